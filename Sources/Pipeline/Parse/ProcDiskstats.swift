/// The counters of one block device.
public struct DiskCounters: Sendable, Hashable {
    /// Where the device's name stands in the file.
    public var name: Range<Int>
    /// From the begin of the major number to the end of the minor one.
    public var number: Range<Int>
    public var reads: UInt64 = 0
    public var mergedReads: UInt64 = 0
    /// Units: sectors of 512 bytes, whatever the device's own are.
    public var sectorsRead: UInt64 = 0
    /// Units of all times: ms.
    public var readTime: UInt64 = 0
    public var writes: UInt64 = 0
    public var mergedWrites: UInt64 = 0
    public var sectorsWritten: UInt64 = 0
    public var writeTime: UInt64 = 0
    public var inProgress: UInt64 = 0
    public var ioTime: UInt64 = 0
    public var weightedIOTime: UInt64 = 0

    /// Rates of the time between `before` and this: nil when a counter fell (a new device, or one that wrapped).
    /// `elapsed`: whole ms.
    public func rates(since before: DiskCounters, elapsed: Int64) -> DiskRates? {
        guard reads >= before.reads, writes >= before.writes, readTime >= before.readTime,
            writeTime >= before.writeTime, ioTime >= before.ioTime
        else { return nil }
        let requests = Double(reads - before.reads) + Double(writes - before.writes)
        let waiting = Double(readTime - before.readTime) + Double(writeTime - before.writeTime)
        let busy = Double(ioTime - before.ioTime)
        return DiskRates(
            await: requests > 0 ? waiting / requests : .nan, serviceTime: requests > 0 ? busy / requests : .nan,
            utilisation: elapsed > 0 ? 100 * busy / Double(elapsed) : .nan)
    }

    /// The counters that only grow, in the order that `DiskFlow` expects.
    public var growing: InlineArray<8, UInt64> {
        [reads, writes, sectorsRead, sectorsWritten, readTime, writeTime, ioTime, weightedIOTime]
    }

    fileprivate var isZero: Bool {
        reads | mergedReads | sectorsRead | readTime | writes | mergedWrites | sectorsWritten | writeTime | inProgress
            | ioTime | weightedIOTime == 0
    }
}

/// Figures of a device over a time. What cannot be known is no number.
public struct DiskRates: Sendable, Hashable {
    /// Units: ms a request, waiting and being served.
    public var await: Double
    /// Units: ms a request.
    public var serviceTime: Double
    /// Units: percent of the time; may exceed 100.
    public var utilisation: Double
}

/// What went through a device, and how long it waited, over a time: the figures of the platform's own agent.
public struct DiskFlow: Sendable, Hashable {
    public var readsPerSecond: Double
    public var writesPerSecond: Double
    public var bytesReadPerSecond: Double
    public var bytesWrittenPerSecond: Double
    /// Units: ms a request, waiting and being served; 0 without requests.
    public var readWait: Double
    public var writeWait: Double
    public var wait: Double
    /// Units: percent of the time; may exceed 100.
    public var utilisation: Double
    /// Requests that were waiting or being served, on average.
    public var queue: Double

    /// Of the growth of `DiskCounters.growing`.
    public init(_ growth: CounterGrowth<8>) {
        let counts = growth.counts
        let milliseconds = growth.seconds * 1_000
        func perRequest(_ time: Double, _ requests: Double) -> Double { requests > 0 ? time / requests : 0 }
        readsPerSecond = growth.perSecond(0)
        writesPerSecond = growth.perSecond(1)
        bytesReadPerSecond = growth.perSecond(2) * 512
        bytesWrittenPerSecond = growth.perSecond(3) * 512
        readWait = perRequest(Double(counts[4]), Double(counts[0]))
        writeWait = perRequest(Double(counts[5]), Double(counts[1]))
        wait = perRequest(Double(counts[4]) + Double(counts[5]), Double(counts[0]) + Double(counts[1]))
        utilisation = 100 * Double(counts[6]) / milliseconds
        queue = Double(counts[7]) / milliseconds
    }

    private init(all value: Double) {
        readsPerSecond = value
        writesPerSecond = value
        bytesReadPerSecond = value
        bytesWrittenPerSecond = value
        readWait = value
        writeWait = value
        wait = value
        utilisation = value
        queue = value
    }

    /// No number in any, which leaves the fields out of a line.
    public static let unknown = DiskFlow(all: .nan)
}

/// `/proc/diskstats`.
///
/// Shape: `8 0 sda` and then eleven numbers; what newer kernels add after them (discards, flushes) is passed. Lines with
/// fewer are passed, and those whose eleven numbers are all 0: loop devices and the like that nobody uses.
/// Errors: one of the eleven that is no number.
/// Source: the kernel's Documentation/admin-guide/iostats.rst.
public enum ProcDiskstats {
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> [DiskCounters] {
        var cursor = ByteCursor(bytes)
        var rows: [DiskCounters] = []
        while cursor.nextLine() {
            guard let major = cursor.word(), let minor = cursor.word(), let name = cursor.word() else { continue }
            var row = DiskCounters(name: name, number: major.lowerBound..<minor.upperBound)
            guard hasAll(cursor) else { continue }
            row.reads = try next(&cursor)
            row.mergedReads = try next(&cursor)
            row.sectorsRead = try next(&cursor)
            row.readTime = try next(&cursor)
            row.writes = try next(&cursor)
            row.mergedWrites = try next(&cursor)
            row.sectorsWritten = try next(&cursor)
            row.writeTime = try next(&cursor)
            row.inProgress = try next(&cursor)
            row.ioTime = try next(&cursor)
            row.weightedIOTime = try next(&cursor)
            if !row.isZero { rows.append(row) }
        }
        return rows
    }

    private static func hasAll(_ cursor: ByteCursor) -> Bool {
        var probe = cursor
        for _ in 0..<11 where probe.word() == nil { return false }
        return true
    }

    @inline(__always)
    private static func next(_ cursor: inout ByteCursor) throws(ParseError) -> UInt64 {
        guard let value = cursor.unsigned() else {
            throw ParseError("diskstats", line: cursor.lineNumber, "a value is no number")
        }
        return value
    }
}
