import Glibc
import Pipeline

/// What node_exporter says besides what inputs collect: the time, its zone, and uname(2).
enum NodeIdentity {
    static func add(to text: inout PrometheusText, _ table: ExpositionTable, at time: Timestamp) {
        if !table.has("node_time_seconds"), !text.has("node_time_seconds") {
            text.single(
                "node_time_seconds", .gauge, "System time in seconds since epoch (1970).",
                Double(time.nanoseconds) / 1e9)
        }
        var (seconds, parts) = (time_t(time.nanoseconds / 1_000_000_000), tm())
        if !table.has("node_time_zone_offset_seconds"), !text.has("node_time_zone_offset_seconds"),
            localtime_r(&seconds, &parts) != nil
        {
            text.family("node_time_zone_offset_seconds", .gauge, "System time zone offset in seconds.")
            text.sample(
                [("time_zone", parts.tm_zone.map { String(cString: $0) } ?? "UTC")], Double(parts.tm_gmtoff))
        }
        var names = utsname()
        guard !table.has("node_uname_info"), !text.has("node_uname_info"), uname(&names) == 0 else { return }
        func field<Field>(_ field: Field) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        text.family(
            "node_uname_info", .gauge, "Labeled system information as provided by the uname system call.")
        text.sample(
            [
                ("domainname", field(names.__domainname)), ("machine", field(names.machine)),
                ("nodename", field(names.nodename)), ("release", field(names.release)),
                ("sysname", field(names.sysname)), ("version", field(names.version)),
            ], 1 as Double)
    }
}
