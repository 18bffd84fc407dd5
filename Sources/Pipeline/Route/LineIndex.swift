/// Where the points of a line-protocol payload begin, for cutting it without touching a line.
///
/// Shape: one entry a line; the LF belongs to its line. Bounds: 8 bytes a line.
public struct LineIndex: Sendable, Hashable {
    /// Start of each line, and the payload's length behind the last.
    private var starts: [Int]

    public var count: Int { starts.count - 1 }

    /// Finds the lines of `payload`. Where the LFs alone do not give `expected` lines, an LF inside a quoted field
    /// value is taken as part of the value.
    public init(_ payload: [UInt8], expected: Int) {
        let plain = Self.plainStarts(payload)
        starts = plain.count - 1 == expected ? plain : Self.quotedStarts(payload)
    }

    /// The bytes of a range of lines; empty for lines that do not exist.
    public func bytes(of lines: Range<Int>) -> Range<Int> {
        let lines = lines.clamped(to: 0..<count)
        return starts[lines.lowerBound]..<starts[lines.upperBound]
    }

    private static func plainStarts(_ payload: [UInt8]) -> [Int] {
        var starts = [0]
        for (index, byte) in payload.enumerated() where byte == 0x0A { starts.append(index + 1) }
        if starts.last != payload.count { starts.append(payload.count) }
        return starts
    }

    private static func quotedStarts(_ payload: [UInt8]) -> [Int] {
        var starts = [0]
        var isInFields = false
        var isQuoted = false
        var isEscaped = false
        var (before, twoBefore): (UInt8, UInt8) = (0, 0)
        for (index, byte) in payload.enumerated() {
            if isQuoted {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isQuoted = false
                }
            } else if byte == 0x0A {
                starts.append(index + 1)
                isInFields = false
            } else if byte == UInt8(ascii: " "), before != UInt8(ascii: "\\") {
                isInFields = true
            } else if byte == UInt8(ascii: "\""), isInFields, before == UInt8(ascii: "="),
                twoBefore != UInt8(ascii: "\\")
            {
                isQuoted = true
            }
            (before, twoBefore) = (byte, before)
        }
        if starts.last != payload.count { starts.append(payload.count) }
        return starts
    }
}
