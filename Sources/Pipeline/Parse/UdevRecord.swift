/// A record of udev's database, `/run/udev/data/bMAJ:MIN`.
///
/// Shape: `E:KEY=value` for a property, other letters for other things.
public enum UdevRecord {
    private static let labelKey: StaticString = "E:ID_FS_LABEL="

    /// The label of the file system on the device; nil when there is none.
    public static func label(_ bytes: [UInt8]) -> String? {
        var cursor = ByteCursor(bytes)
        while cursor.nextLine() {
            let line = cursor.rest
            guard cursor.hasPrefix(line, labelKey) else { continue }
            return cursor.text((line.lowerBound + labelKey.utf8CodeUnitCount)..<line.upperBound)
        }
        return nil
    }
}
