/// A file of `/proc/pressure`: how long tasks waited for a resource (PSI).
///
/// Shape: `some avg10=0.12 avg60=0.05 avg300=0.01 total=114514` and the same with `full`; kernels before 5.13 have no
/// full line for the CPU. Other lines are passed.
/// Units: averages in percent, total in microseconds since boot.
/// Errors: one of the two lines without all four numbers.
public struct ProcPressure: Sendable, Hashable {
    public struct Line: Sendable, Hashable {
        public var avg10: Double
        public var avg60: Double
        public var avg300: Double
        public var total: UInt64
    }

    /// At least one task waited.
    public var some: Line?
    /// All tasks waited.
    public var full: Line?

    public static func parse(_ bytes: [UInt8], resource: String) throws(ParseError) -> ProcPressure {
        var cursor = ByteCursor(bytes)
        var pressure = ProcPressure()
        while cursor.nextLine() {
            guard let kind = cursor.word() else { continue }
            let isSome = cursor.equals(kind, someName)
            guard isSome || cursor.equals(kind, fullName) else { continue }
            guard let avg10 = decimal("avg10=", &cursor), let avg60 = decimal("avg60=", &cursor),
                let avg300 = decimal("avg300=", &cursor), let word = cursor.word(), cursor.hasPrefix(word, "total="),
                let total = cursor.unsigned(in: (word.lowerBound + 6)..<word.upperBound)
            else { throw ParseError("pressure/\(resource)", line: cursor.lineNumber, "not four numbers") }
            let line = Line(avg10: avg10, avg60: avg60, avg300: avg300, total: total)
            if isSome { pressure.some = line } else { pressure.full = line }
        }
        return pressure
    }

    private static let someName = Array("some".utf8)
    private static let fullName = Array("full".utf8)

    private static func decimal(_ key: StaticString, _ cursor: inout ByteCursor) -> Double? {
        guard let word = cursor.word(), cursor.hasPrefix(word, key) else { return nil }
        return cursor.decimal(in: (word.lowerBound + key.utf8CodeUnitCount)..<word.upperBound)
    }
}
