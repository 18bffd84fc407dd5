/// The lines of `/proc/stat` that count the whole system.
///
/// Shape: a keyword and a number: `btime 1769078410`, `ctxt …`, `processes …`; of `intr` the first number is the sum of
/// all; `page IN OUT` is there before Linux 2.6 only. Missing keywords are nil.
/// Errors: a keyword without a signed 64 bit number after it.
/// Source: proc(5).
public struct ProcStatCounters: Sendable, Hashable {
    /// Units: seconds since 1970.
    public var bootTime: Int64?
    public var contextSwitches: Int64?
    public var interrupts: Int64?
    public var processesForked: Int64?
    public var pagesIn: Int64?
    public var pagesOut: Int64?

    public init() {}

    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> ProcStatCounters {
        var cursor = ByteCursor(bytes)
        var counters = ProcStatCounters()
        while cursor.nextLine() {
            let line = cursor.rest
            guard let first = line.first else { continue }
            switch bytes[first] {
            case UInt8(ascii: "i"): try read("intr", into: &counters.interrupts, &cursor)
            case UInt8(ascii: "b"): try read("btime", into: &counters.bootTime, &cursor)
            case UInt8(ascii: "c"): try read("ctxt", into: &counters.contextSwitches, &cursor)
            case UInt8(ascii: "p"):
                try read("processes", into: &counters.processesForked, &cursor)
                if try read("page", into: &counters.pagesIn, &cursor) {
                    counters.pagesOut = try number(&cursor, "page")
                }
            default: continue
            }
        }
        return counters
    }

    /// Reads the number if the line has this keyword. Returns whether it has.
    @discardableResult
    private static func read(
        _ keyword: StaticString, into value: inout Int64?, _ cursor: inout ByteCursor
    ) throws(ParseError) -> Bool {
        var probe = cursor
        guard let word = probe.word(), word.count == keyword.utf8CodeUnitCount, probe.hasPrefix(word, keyword) else {
            return false
        }
        value = try number(&probe, keyword)
        cursor = probe
        return true
    }

    private static func number(_ cursor: inout ByteCursor, _ keyword: StaticString) throws(ParseError) -> Int64 {
        guard let word = cursor.word(), let value = cursor.signed(in: word) else {
            throw ParseError("stat", line: cursor.lineNumber, "no number after \(keyword)")
        }
        return value
    }
}
