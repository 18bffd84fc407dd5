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
