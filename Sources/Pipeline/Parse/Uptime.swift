/// How Telegraf writes an uptime for people.
public enum Uptime {
    /// Shape: `14 days, 11:07`, `1 day,  3:07`, ` 0:05`. Units: seconds since boot.
    public static func format(_ seconds: UInt64) -> String {
        let days = seconds / 86_400
        let hours = seconds / 3600 % 24
        let minutes = seconds / 60 % 60
        let clock = (hours < 10 ? " " : "") + "\(hours):" + (minutes < 10 ? "0" : "") + "\(minutes)"
        return days == 0 ? clock : "\(days) day\(days == 1 ? "" : "s"), \(clock)"
    }
}
