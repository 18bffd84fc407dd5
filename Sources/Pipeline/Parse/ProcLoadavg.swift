/// `/proc/loadavg`: mean number of runnable tasks over 1, 5 and 15 minutes.
///
/// Shape: `3.72 2.40 2.10 5/812 12345`. Errors: fewer than three words, or one of the three that is no number.
public struct ProcLoadavg: Sendable, Hashable {
    public var load1: Double
    public var load5: Double
    public var load15: Double

    public init(load1: Double, load5: Double, load15: Double) {
        self.load1 = load1
        self.load5 = load5
        self.load15 = load15
    }

    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> ProcLoadavg {
        var cursor = ByteCursor(bytes)
        guard cursor.nextLine(), let first = cursor.word(), let second = cursor.word(), let third = cursor.word(),
            let load1 = cursor.decimal(in: first), let load5 = cursor.decimal(in: second),
            let load15 = cursor.decimal(in: third)
        else { throw ParseError("loadavg", "no three numbers") }
        return ProcLoadavg(load1: load1, load5: load5, load15: load15)
    }
}
