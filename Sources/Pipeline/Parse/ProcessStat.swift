/// `/proc/PID/stat`, with all that the input `procstat` wants of it.
///
/// Shape: `88 (name) S 2 0 …`: the number, the name in brackets (it may hold anything, brackets and newlines too, so
/// the last `)` ends it), the state, then numbers. Units: ticks for times, bytes for `virtualBytes`, pages for
/// `residentPages`. A column that is missing or no number reads 0.
/// Errors: no number at the begin, no brackets, or nothing behind them.
/// Source: proc(5).
public struct ProcessStat: Sendable, Hashable {
    public var pid: Int32
    /// At most 15 bytes, cut by the kernel.
    public var name: [UInt8]
    /// `R`, `S`, `D` …
    public var state: UInt8
    public var parent: Int32
    public var minorFaults: UInt64
    public var childMinorFaults: UInt64
    public var majorFaults: UInt64
    public var childMajorFaults: UInt64
    public var userTicks: UInt64
    public var systemTicks: UInt64
    public var nice: Int64
    public var threads: Int64
    /// Since boot; together with `pid` it names a process for ever.
    public var startTicks: UInt64
    public var virtualBytes: UInt64
    public var residentPages: UInt64
    public var realtimePriority: UInt64
    /// Waiting for disks.
    public var blockedTicks: UInt64

    /// The columns behind the name.
    private static let columnCount = 40

    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> ProcessStat {
        let cursor = ByteCursor(bytes)
        guard let open = cursor.first(UInt8(ascii: "("), in: 0..<bytes.count),
            let close = cursor.last(UInt8(ascii: ")"), in: open..<bytes.count),
            let number = cursor.unsigned(in: cursor.trimmed(0..<open)), let pid = Int32(exactly: number), pid > 0
        else { throw ParseError("PID/stat", "has no number and name") }
        var columns: [Range<Int>] = []
        columns.reserveCapacity(columnCount)
        var position = close + 1
        while columns.count < columnCount {
            while position < bytes.count, bytes[position] <= 0x20 { position += 1 }
            guard position < bytes.count else { break }
            let start = position
            while position < bytes.count, bytes[position] > 0x20 { position += 1 }
            columns.append(start..<position)
        }
        guard let state = columns.first else { throw ParseError("PID/stat", "has nothing behind the name") }
        func unsigned(_ column: Int) -> UInt64 {
            column <= columns.count ? cursor.unsigned(in: columns[column - 1]) ?? 0 : 0
        }
        func signed(_ column: Int) -> Int64 {
            column <= columns.count ? cursor.signed(in: columns[column - 1]) ?? 0 : 0
        }
        return ProcessStat(
            pid: pid, name: Array(bytes[(open + 1)..<close]), state: bytes[state.lowerBound],
            parent: Int32(truncatingIfNeeded: signed(2)), minorFaults: unsigned(8), childMinorFaults: unsigned(9),
            majorFaults: unsigned(10), childMajorFaults: unsigned(11), userTicks: unsigned(12),
            systemTicks: unsigned(13), nice: signed(17), threads: signed(18), startTicks: unsigned(20),
            virtualBytes: unsigned(21), residentPages: unsigned(22), realtimePriority: unsigned(38),
            blockedTicks: unsigned(40))
    }

    /// The state in a word, as gopsutil has it.
    public var stateName: String {
        switch state {
        case UInt8(ascii: "R"): "running"
        case UInt8(ascii: "S"): "sleep"
        case UInt8(ascii: "D"), UInt8(ascii: "U"): "blocked"
        case UInt8(ascii: "T"), UInt8(ascii: "t"): "stop"
        case UInt8(ascii: "I"): "idle"
        case UInt8(ascii: "Z"): "zombie"
        case UInt8(ascii: "W"): "wait"
        case UInt8(ascii: "L"): "lock"
        default: ""
        }
    }

    /// The length from which the kernel may have cut a name.
    public static let nameLimit = 15

    /// The whole name: where the kernel's may be cut, the file name of the program in `commandLine`, when it goes on
    /// from there.
    public func fullName(commandLine: [UInt8]) -> [UInt8] {
        guard name.count >= ProcessStat.nameLimit else { return name }
        let program = commandLine.prefix { $0 != 0 }
        let start = (program.lastIndex(of: UInt8(ascii: "/")) ?? program.startIndex - 1) + 1
        let file = program[start...]
        return file.starts(with: name) ? Array(file) : name
    }
}

/// `/proc/PID/cmdline`: the arguments of a process, a NUL after each.
public enum ProcessCommandLine {
    /// What is kept of it. Why: a process may write megabytes there, and databases refuse strings above 64 KiB.
    public static let limit = 8192

    /// The arguments with blanks between them; empty ones are left out, and what is beyond `limit`.
    public static func text(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        for argument in bytes.split(separator: 0) {
            if !out.isEmpty { out.append(0x20) }
            out += argument
            guard out.count < limit else { break }
        }
        guard out.count > limit else { return out }
        // Not in the middle of a character.
        var end = limit
        while end > limit - 4, out[end] & 0xC0 == 0x80 { end -= 1 }
        return Array(out[..<end])
    }
}
