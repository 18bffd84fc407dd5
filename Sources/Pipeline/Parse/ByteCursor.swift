/// A position in the bytes of a kernel file: walks lines, and words inside a line, without making strings.
///
///     var cursor = ByteCursor(bytes)
///     while cursor.nextLine() {
///         guard let name = cursor.word(), let value = cursor.unsigned() else { continue }
///     }
///
/// Never traps: what is missing is nil. Words are separated by blanks and tabs, lines by LF.
/// Cost: about 1 ns a byte, no allocation.
public struct ByteCursor: Sendable {
    public let bytes: [UInt8]
    /// The next byte to read.
    public private(set) var index = 0
    /// End of the current line, without its LF.
    public private(set) var lineEnd = 0
    /// Number of the current line, from 1; 0 before the first `nextLine()`.
    public private(set) var lineNumber = 0
    private var nextStart = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Moves to the beginning of the next line; false when there is none. A file that ends with LF has no empty line
    /// after it.
    @inline(__always)
    public mutating func nextLine() -> Bool {
        guard nextStart < bytes.count else {
            index = bytes.count
            lineEnd = bytes.count
            return false
        }
        index = nextStart
        lineNumber &+= 1
        var end = index
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end &+= 1 }
        lineEnd = end
        nextStart = end &+ 1
        return true
    }

    /// What is left of the current line.
    public var rest: Range<Int> { index..<lineEnd }

    /// Whether nothing is left of the current line.
    public var isAtLineEnd: Bool { index >= lineEnd }

    /// Moves behind blanks and tabs.
    @inline(__always)
    public mutating func skipBlanks() {
        while index < lineEnd, ByteCursor.isBlank(bytes[index]) { index &+= 1 }
    }

    /// The next word of this line; nil at its end.
    @inline(__always)
    public mutating func word() -> Range<Int>? {
        skipBlanks()
        guard index < lineEnd else { return nil }
        let start = index
        while index < lineEnd, !ByteCursor.isBlank(bytes[index]) { index &+= 1 }
        return start..<index
    }

    /// The next word as a number; nil (the word is passed all the same) for anything but decimal digits that fit.
    @inline(__always)
    public mutating func unsigned() -> UInt64? {
        guard let word = word() else { return nil }
        return unsigned(in: word)
    }

    /// The bytes of `range` as a number; nil for anything but decimal digits that fit.
    @inline(__always)
    public func unsigned(in range: Range<Int>) -> UInt64? {
        guard !range.isEmpty, range.upperBound <= bytes.count else { return nil }
        var value: UInt64 = 0
        for position in range {
            let digit = bytes[position] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            let (tenfold, tooBig) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = tenfold.addingReportingOverflow(UInt64(digit))
            if tooBig || overflow { return nil }
            value = sum
        }
        return value
    }

    /// The bytes of `range` as a number with an optional sign; nil for anything else or what does not fit.
    public func signed(in range: Range<Int>) -> Int64? {
        guard let first = range.first, first < bytes.count else { return nil }
        let sign = bytes[first]
        let hasSign = sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+")
        guard let magnitude = unsigned(in: hasSign ? (first + 1)..<range.upperBound : range) else { return nil }
        if sign == UInt8(ascii: "-") {
            return magnitude == UInt64(Int64.max) + 1 ? .min : Int64(exactly: magnitude).map { -$0 }
        }
        return Int64(exactly: magnitude)
    }

    /// The bytes of `range` as a finite number with decimals; nil for anything else.
    public func decimal(in range: Range<Int>) -> Double? {
        // Up to 15 digits and one point: the quotient of two exact doubles is the correctly rounded value.
        var digits: UInt64 = 0
        var divisor = 1.0
        var count = 0
        var seenPoint = false
        for position in range where position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "."), !seenPoint {
                seenPoint = true
            } else if byte &- UInt8(ascii: "0") < 10, count < 15 {
                digits = digits &* 10 &+ UInt64(byte &- UInt8(ascii: "0"))
                count += 1
                if seenPoint { divisor *= 10 }
            } else {
                return Double(text(range)).flatMap { $0.isFinite ? $0 : nil }
            }
        }
        return count == 0 ? nil : Double(digits) / divisor
    }

    /// Whether the bytes of `range` are exactly `text`.
    @inline(__always)
    public func equals(_ range: Range<Int>, _ text: [UInt8]) -> Bool {
        guard range.count == text.count, range.upperBound <= bytes.count else { return false }
        var offset = 0
        while offset < text.count {
            if bytes[range.lowerBound &+ offset] != text[offset] { return false }
            offset &+= 1
        }
        return true
    }

    /// Whether the bytes of `range` begin with `text`.
    @inline(__always)
    public func hasPrefix(_ range: Range<Int>, _ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard range.count >= length, range.upperBound <= bytes.count else { return false }
        return text.withUTF8Buffer { prefix in
            for offset in 0..<length where bytes[range.lowerBound &+ offset] != prefix[offset] { return false }
            return true
        }
    }

    /// The first `byte` in `range`.
    public func first(_ byte: UInt8, in range: Range<Int>) -> Int? {
        var position = range.lowerBound
        while position < range.upperBound {
            if bytes[position] == byte { return position }
            position &+= 1
        }
        return nil
    }

    /// The last `byte` in `range`.
    public func last(_ byte: UInt8, in range: Range<Int>) -> Int? {
        var position = range.upperBound
        while position > range.lowerBound {
            position &-= 1
            if bytes[position] == byte { return position }
        }
        return nil
    }

    /// `range` without blanks, tabs and CRs at both ends.
    public func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, ByteCursor.isSpace(bytes[start]) { start &+= 1 }
        while end > start, ByteCursor.isSpace(bytes[end &- 1]) { end &-= 1 }
        return start..<end
    }

    /// The bytes of `range` as text; what is no UTF-8 becomes U+FFFD.
    public func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

    @inline(__always)
    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte >= 0x09 && byte <= 0x0D
    }
}

extension [UInt8] {
    /// The whole content as text, without white space at both ends; what is no UTF-8 becomes U+FFFD.
    /// Source: one-value files of sysfs.
    public var trimmedText: String {
        let cursor = ByteCursor(self)
        return cursor.text(cursor.trimmed(0..<count))
    }
}
