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

    /// A config id as a file name: `[A-Za-z0-9._-]`, at most 100 characters, no leading dot.
    public static func sanitised(_ name: String) -> String {
        var bytes = name.utf8.prefix(100).map { byte -> UInt8 in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x2d, 0x2e, 0x5f: byte
            default: 0x5f
            }
        }
        if bytes.isEmpty || bytes[0] == 0x2e { bytes.insert(0x5f, at: 0) }
        return String(decoding: bytes.prefix(100), as: UTF8.self)
    }
}
