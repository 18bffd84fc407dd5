/// `/proc/PID/stat`: what a process is doing, and how many threads it has.
///
/// Shape: `88 (name) S 2 0 …`; the name may hold anything, blanks and brackets too, so the last `)` ends it. The state is
/// the letter after it, the number of threads the 20th column of the file.
/// Errors: fewer than three words after the name. A text without `)` is none of a process.
/// Source: proc(5).
public struct ProcPidStat: Sendable, Hashable {
    /// `R`, `S`, `D` …
    public var state: UInt8
    /// 0 when the column is missing or no number.
    public var threads: Int64

    /// nil when the text is none of a process.
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> ProcPidStat? {
        let cursor = ByteCursor(bytes)
        guard let bracket = cursor.last(UInt8(ascii: ")"), in: 0..<bytes.count) else { return nil }
        var position = bracket &+ 1
        var words = 0
        var stat = ProcPidStat(state: 0, threads: 0)
        while let word = word(bytes, &position) {
            words += 1
            if words == 1 { stat.state = bytes[word.lowerBound] }
            if words == 18 {
                stat.threads = cursor.signed(in: word) ?? 0
                break
            }
        }
        guard words >= 3 else { throw ParseError("PID/stat", "fewer than three words after the name") }
        return stat
    }

    @inline(__always)
    private static func word(_ bytes: [UInt8], _ position: inout Int) -> Range<Int>? {
        while position < bytes.count, isSpace(bytes[position]) { position &+= 1 }
        guard position < bytes.count else { return nil }
        let start = position
        while position < bytes.count, !isSpace(bytes[position]) { position &+= 1 }
        return start..<position
    }

    @inline(__always)
    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }
}

/// Processes by state.
public struct ProcessTally: Sendable, Hashable {
    public var blocked: Int64 = 0
    public var dead: Int64 = 0
    public var idle: Int64 = 0
    public var paging: Int64 = 0
    public var parked: Int64 = 0
    public var running: Int64 = 0
    public var sleeping: Int64 = 0
    public var stopped: Int64 = 0
    public var zombies: Int64 = 0
    /// States without a count of their own are in here only.
    public var total: Int64 = 0
    public var threads: Int64 = 0

    public init() {}

    public mutating func add(_ process: ProcPidStat) {
        switch process.state {
        case UInt8(ascii: "R"): running &+= 1
        case UInt8(ascii: "S"): sleeping &+= 1
        case UInt8(ascii: "D"): blocked &+= 1
        case UInt8(ascii: "Z"): zombies &+= 1
        case UInt8(ascii: "X"): dead &+= 1
        case UInt8(ascii: "T"), UInt8(ascii: "t"): stopped &+= 1
        case UInt8(ascii: "W"): paging &+= 1
        case UInt8(ascii: "I"): idle &+= 1
        case UInt8(ascii: "P"): parked &+= 1
        default: break
        }
        total &+= 1
        threads = threads.addingSaturated(process.threads)
    }
}
