/// Reads the fields of SSH's binary form: 32 bit big-endian numbers and strings with their length in front.
///
/// Source: RFC 4251, 5. Never traps; what is cut is nil.
struct SSHReader {
    private let bytes: [UInt8]
    private(set) var index: Int

    init(_ bytes: [UInt8], from index: Int = 0) {
        self.bytes = bytes
        self.index = index
    }

    var left: Int { bytes.count - index }

    mutating func uint32() -> UInt32? {
        guard left >= 4 else { return nil }
        defer { index += 4 }
        return bytes[index..<(index + 4)].reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func string() -> [UInt8]? {
        let start = index
        guard let length = uint32(), UInt64(length) <= UInt64(left) else {
            index = start
            return nil
        }
        defer { index += Int(length) }
        return Array(bytes[index..<(index + Int(length))])
    }

    mutating func text() -> String? { string().map { String(decoding: $0, as: UTF8.self) } }

    mutating func rest() -> [UInt8] {
        defer { index = bytes.count }
        return Array(bytes[index...])
    }
}

/// Writes the same form.
public struct SSHWriter: Sendable {
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public mutating func byte(_ value: UInt8) { bytes.append(value) }

    public mutating func uint32(_ value: UInt32) {
        for shift: UInt32 in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    public mutating func string(_ value: some Collection<UInt8>) {
        uint32(UInt32(clamping: value.count))
        bytes += value
    }

    /// A number without sign, given with its most significant byte first; leading zeros do not matter.
    public mutating func number(_ magnitude: [UInt8]) {
        var digits = Array(magnitude.drop { $0 == 0 })
        if let first = digits.first, first & 0x80 != 0 { digits.insert(0, at: 0) }
        string(digits)
    }
}
