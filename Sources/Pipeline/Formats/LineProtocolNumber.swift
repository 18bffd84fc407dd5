/// Numbers, booleans and timestamps as line protocol writes them, read from raw bytes.
///
/// Shape: `1`, `-1.5`, `.5`, `1e-7` floats; `1i` signed; `1u` unsigned; `t`, `true`, `True`, `TRUE` and their opposites.
/// No hexadecimal, no NaN, no infinity, no blanks. Never traps; what does not fit its type is an error.
struct LineProtocolNumber {
    /// A value and where it ends.
    struct Result {
        var cell: UInt64
        var kind: FieldKind
        var end: Int
    }

    /// Powers of ten that a double holds exactly.
    private static let powers: [Double] = (0...22).map { exponent in
        (0..<exponent).reduce(1.0) { value, _ in value * 10 }
    }

    /// The number that begins at `start`.
    static func read(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) throws(LineIssueReason) -> Result {
        var at = start
        let end = bytes.count
        var isNegative = false
        if at < end, bytes[at] == UInt8(ascii: "-") || bytes[at] == UInt8(ascii: "+") {
            isNegative = bytes[at] == UInt8(ascii: "-")
            at &+= 1
        }
        var mantissa: UInt64 = 0
        var isExact = true
        let digitsStart = at
        while at < end, bytes[at] &- 48 < 10 {
            add(bytes[at] &- 48, to: &mantissa, &isExact)
            at &+= 1
        }
        var digits = at - digitsStart
        if at < end, digits > 0, bytes[at] == UInt8(ascii: "i") || bytes[at] == UInt8(ascii: "u") {
            guard isExact else { throw .outOfRange }
            return try whole(mantissa, isNegative, bytes[at], end: at + 1)
        }
        var exponent = 0
        if at < end, bytes[at] == UInt8(ascii: ".") {
            at &+= 1
            let fractionStart = at
            while at < end, bytes[at] &- 48 < 10 {
                add(bytes[at] &- 48, to: &mantissa, &isExact)
                at &+= 1
            }
            exponent = fractionStart - at
            digits += at - fractionStart
        }
        guard digits > 0 else { throw .badNumber }
        if at < end, bytes[at] | 0x20 == UInt8(ascii: "e") {
            at &+= 1
            exponent += try readExponent(bytes, &at)
        }
        let cell = try double(bytes, start..<at, mantissa, isExact, exponent, isNegative)
        return Result(cell: cell.bitPattern, kind: .float, end: at)
    }

    @inline(__always)
    private static func add(_ digit: UInt8, to mantissa: inout UInt64, _ isExact: inout Bool) {
        let (tenfold, tooBig) = mantissa.multipliedReportingOverflow(by: 10)
        let (sum, overflow) = tenfold.addingReportingOverflow(UInt64(digit))
        mantissa = sum
        if tooBig || overflow { isExact = false }
    }

    private static func whole(
        _ magnitude: UInt64, _ isNegative: Bool, _ suffix: UInt8, end: Int
    ) throws(LineIssueReason) -> Result {
        if suffix == UInt8(ascii: "u") {
            guard !isNegative else { throw .outOfRange }
            return Result(cell: magnitude, kind: .uint, end: end)
        }
        guard magnitude <= UInt64(Int64.max) + (isNegative ? 1 : 0) else { throw .outOfRange }
        return Result(cell: isNegative ? 0 &- magnitude : magnitude, kind: .int, end: end)
    }

    private static func readExponent(
        _ bytes: UnsafeBufferPointer<UInt8>, _ at: inout Int
    ) throws(LineIssueReason) -> Int {
        var isNegative = false
        if at < bytes.count, bytes[at] == UInt8(ascii: "-") || bytes[at] == UInt8(ascii: "+") {
            isNegative = bytes[at] == UInt8(ascii: "-")
            at &+= 1
        }
        let start = at
        var value = 0
        while at < bytes.count, bytes[at] &- 48 < 10 {
            // Far beyond what any double has; the slow way decides.
            value = min(100_000, value * 10 + Int(bytes[at] &- 48))
            at &+= 1
        }
        guard at > start else { throw .badNumber }
        return isNegative ? -value : value
    }

    /// A product or quotient of two exact doubles is correctly rounded; everything else is left to the library.
    @inline(__always)
    private static func double(
        _ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ mantissa: UInt64, _ isExact: Bool, _ exponent: Int,
        _ isNegative: Bool
    ) throws(LineIssueReason) -> Double {
        if isExact, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
            let value =
                exponent < 0 ? Double(mantissa) / powers[-exponent] : Double(mantissa) * powers[exponent]
            return isNegative ? -value : value
        }
        let text = String(decoding: UnsafeBufferPointer(rebasing: bytes[range]), as: UTF8.self)
        guard let value = Double(text) else { throw .badNumber }
        guard value.isFinite else { throw .outOfRange }
        return value
    }

    /// The word that begins at `start`, and where it ends.
    static func readBool(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) throws(LineIssueReason) -> Result {
        var end = start
        while end < bytes.count, end - start <= 5, bytes[end] | 0x20 >= 97, bytes[end] | 0x20 <= 122 { end &+= 1 }
        for (text, value) in words where text.utf8CodeUnitCount == end - start {
            var isSame = true
            for offset in 0..<(end - start) where bytes[start + offset] != text.utf8Start[offset] { isSame = false }
            if isSame { return Result(cell: value, kind: .bool, end: end) }
        }
        throw .badBool
    }

    private static let words: [(StaticString, UInt64)] = [
        ("true", 1), ("false", 0), ("t", 1), ("f", 0), ("T", 1), ("F", 0), ("True", 1), ("False", 0), ("TRUE", 1),
        ("FALSE", 0),
    ]

    /// A whole number of units since 1970, and where it ends.
    static func readTime(
        _ bytes: UnsafeBufferPointer<UInt8>, _ start: Int, factor: Int64
    ) throws(LineIssueReason) -> (time: Timestamp, end: Int) {
        var at = start
        var isNegative = false
        if at < bytes.count, bytes[at] == UInt8(ascii: "-") {
            isNegative = true
            at &+= 1
        }
        let digits = at
        var magnitude: UInt64 = 0
        var isExact = true
        while at < bytes.count, bytes[at] &- 48 < 10 {
            add(bytes[at] &- 48, to: &magnitude, &isExact)
            at &+= 1
        }
        guard at > digits else { throw .badTime }
        guard isExact, let units = Int64(exactly: magnitude) else { throw .timeOutOfRange }
        let (nanoseconds, overflow) = (isNegative ? -units : units).multipliedReportingOverflow(by: factor)
        guard !overflow else { throw .timeOutOfRange }
        return (Timestamp(nanoseconds: nanoseconds), at)
    }
}

/// The reason alone, while the line is still being read.
typealias LineIssueReason = LineIssue.Reason

extension LineIssue.Reason: Error {}
