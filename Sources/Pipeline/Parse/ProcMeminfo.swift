/// `/proc/meminfo`: the values that monitoring reads, by their kernel names.
///
/// Shape: `MemTotal:       16200000 kB`. A line without a colon, with two, or with a name not listed here is passed.
/// Units: as the file says: KiB for sizes, pages for the two HugePages counts; `bytes(_:)` and `count(_:)` tell them
/// apart. Missing names read 0.
/// Errors: a listed name whose value is no number.
/// Source: proc(5).
public struct ProcMeminfo: Sendable, Hashable {
    public enum Key: Int, CaseIterable, Sendable {
        // In the order of the kernel's file, so that finding a name costs one comparison as a rule.
        case memTotal, memFree, memAvailable, buffers, cached, swapCached, active, inactive, activeAnon, inactiveAnon
        case activeFile, inactiveFile, unevictable, highTotal, highFree, lowTotal, lowFree, swapTotal, swapFree, dirty
        case writeback, mapped, shmem, slab, sReclaimable, sUnreclaim, pageTables, writebackTmp, commitLimit
        case committedAS, vmallocTotal, vmallocUsed, vmallocChunk, percpu, hugePagesTotal, hugePagesFree, hugepagesize

        fileprivate static let spellings: [[UInt8]] = [
            "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "SwapCached", "Active", "Inactive",
            "Active(anon)", "Inactive(anon)", "Active(file)", "Inactive(file)", "Unevictable", "HighTotal", "HighFree",
            "LowTotal", "LowFree", "SwapTotal", "SwapFree", "Dirty", "Writeback", "Mapped", "Shmem", "Slab",
            "SReclaimable", "SUnreclaim", "PageTables", "WritebackTmp", "CommitLimit", "Committed_AS", "VmallocTotal",
            "VmallocUsed", "VmallocChunk", "Percpu", "HugePages_Total", "HugePages_Free", "Hugepagesize",
        ].map { Array($0.utf8) }

        /// The name in the file.
        public var spelling: String { String(decoding: Key.spellings[rawValue], as: UTF8.self) }
    }

    private var values = [UInt64](repeating: 0, count: Key.allCases.count)
    private var present: UInt64 = 0

    public init() {}

    /// Whether the file has the name.
    public func has(_ key: Key) -> Bool { present & (1 << UInt64(key.rawValue)) != 0 }
    /// A size, in bytes.
    public func bytes(_ key: Key) -> UInt64 { values[key.rawValue] &* 1024 }
    /// A number as it stands.
    public func count(_ key: Key) -> UInt64 { values[key.rawValue] }

    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> ProcMeminfo {
        var cursor = ByteCursor(bytes)
        var memory = ProcMeminfo()
        var expected = 0
        while cursor.nextLine() {
            let line = cursor.rest
            guard let colon = cursor.first(UInt8(ascii: ":"), in: line),
                cursor.first(UInt8(ascii: ":"), in: (colon + 1)..<line.upperBound) == nil,
                let key = key(cursor.trimmed(line.lowerBound..<colon), in: cursor, expected)
            else { continue }
            expected = key + 1
            var number = cursor.trimmed((colon + 1)..<line.upperBound)
            if number.count > 3, cursor.equals((number.upperBound - 3)..<number.upperBound, unit) {
                number = number.lowerBound..<(number.upperBound - 3)
            }
            guard let value = cursor.unsigned(in: number) else {
                let name = String(decoding: Key.spellings[key], as: UTF8.self)
                throw ParseError("meminfo", line: cursor.lineNumber, "no number after \(name)")
            }
            memory.values[key] = value
            memory.present |= 1 << UInt64(key)
        }
        return memory
    }

    private static let unit = Array(" kB".utf8)

    private static func key(_ name: Range<Int>, in cursor: ByteCursor, _ expected: Int) -> Int? {
        if expected < Key.spellings.count, cursor.equals(name, Key.spellings[expected]) { return expected }
        return Key.spellings.firstIndex { cursor.equals(name, $0) }
    }

    /// What can be used without swapping, on kernels that do not say it themselves (before 3.14).
    ///
    /// Formula: with W = `lowWatermarkPages` * `pageSize` and P = Active(file) + Inactive(file):
    /// MemFree - W + P - min(P/2, W) + SReclaimable - min(SReclaimable/2, W), at least 0. Without zoneinfo
    /// (`lowWatermarkPages` nil) or without one of the three names: Cached + SReclaimable + MemFree.
    /// Source: the kernel's own estimate, commit 34e431b0ae39.
    public func estimatedAvailable(lowWatermarkPages: UInt64?, pageSize: UInt64) -> UInt64 {
        guard has(.activeFile), has(.inactiveFile), has(.sReclaimable), let pages = lowWatermarkPages else {
            return bytes(.cached).addingSaturated(bytes(.sReclaimable)).addingSaturated(bytes(.memFree))
        }
        let watermark = pages.multipliedSaturated(by: pageSize)
        let pageCache = bytes(.activeFile).addingSaturated(bytes(.inactiveFile))
        let reclaimable = bytes(.sReclaimable)
        return bytes(.memFree)
            .addingSaturated(pageCache.subtractingSaturated(min(pageCache / 2, watermark)))
            .addingSaturated(reclaimable.subtractingSaturated(min(reclaimable / 2, watermark)))
            .subtractingSaturated(watermark)
    }
}
