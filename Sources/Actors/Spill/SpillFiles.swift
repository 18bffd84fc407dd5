import Pipeline

/// The names of files in a stream's folder.
public enum SpillFiles {
    static let quarantine = "quarantine"

    static func segment(_ sequence: UInt64) -> String {
        let digits = String(sequence, radix: 16)
        return String(repeating: "0", count: max(0, 16 - digits.count)) + digits + ".seg"
    }

    static func isSegment(_ name: String) -> Bool {
        name.hasSuffix(".seg") && name.utf8.count == 20 && UInt64(name.dropLast(4), radix: 16) != nil
    }

    static func cursor(_ reader: String) -> String { sanitised(reader) + ".cursor" }

    /// The reader of a cursor file; nil for any other file.
    static func reader(_ name: String) -> String? {
        guard name.hasSuffix(".cursor") else { return nil }
        let reader = String(name.dropLast(7))
        return reader.isEmpty || sanitised(reader) != reader ? nil : reader
    }

    /// A temporary file that a crash left behind.
    static func isLeftover(_ name: String) -> Bool {
        guard name.hasSuffix(".tmp") else { return false }
        let rest = String(name.dropLast(4))
        return isSegment(rest) || reader(rest) != nil
    }

    private static let nameLimit = 100

    /// A config id as a file name. One of at most 100 of `[A-Za-z0-9._:#%-]` without a leading dot stays as it is; any
    /// other is made to look like that and gets its checksum at the end, since two outputs must never share a cursor.
    public static func sanitised(_ name: String) -> String {
        var bytes = name.utf8.prefix(nameLimit - 9).map { isPlain($0) ? $0 : UInt8(ascii: "_") }
        guard name.isEmpty || name.utf8.count > nameLimit || name.hasPrefix(".") || !name.utf8.allSatisfy(isPlain)
        else { return name }
        if bytes.first == UInt8(ascii: ".") { bytes[0] = UInt8(ascii: "_") }
        let digits = String(CRC32C.checksum(Array(name.utf8), seed: 0), radix: 16)
        return String(decoding: bytes, as: UTF8.self) + "-" + String(repeating: "0", count: 8 - digits.utf8.count)
            + digits
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: ":"), UInt8(ascii: "#"), UInt8(ascii: "%"):
            true
        default: false
        }
    }
}
