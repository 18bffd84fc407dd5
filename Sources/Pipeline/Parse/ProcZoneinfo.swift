/// `/proc/zoneinfo`, of which only the `low` watermarks matter here.
///
/// Shape: a line `        low      3872` per zone. Units: pages.
public enum ProcZoneinfo {
    /// The sum of the low watermarks of all zones. A mark that is no number counts as 0.
    public static func lowWatermarkPages(_ bytes: [UInt8]) -> UInt64 {
        var cursor = ByteCursor(bytes)
        var sum: UInt64 = 0
        while cursor.nextLine() {
            guard let name = cursor.word(), cursor.hasPrefix(name, "low") else { continue }
            sum = sum.addingSaturated(cursor.unsigned() ?? 0)
        }
        return sum
    }
}
