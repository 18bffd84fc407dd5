/// When a batch goes to disk.
public enum SpillMode: String, Sendable, Hashable, CaseIterable {
    /// At once, synced within a second.
    case always
    /// When it does not fit in memory, could not be sent, or the agent stops.
    case onFailure = "on_failure"
    /// Never.
    case off
}

/// The limits of a spill. Defaults are those of the configuration file.
public struct SpillSettings: Sendable, Hashable {
    public var mode: SpillMode = .always
    /// All segments of a stream together.
    public var bytesLimit = 512 * 1024 * 1024
    public var ageLimit: Duration = .seconds(7 * 24 * 3600)
    /// The larger of the two is left free on the file system.
    public var freeFloorBytes = 256 * 1024 * 1024
    public var freeFloorPercent = 5
    /// A segment rolls when it is this large, or this old.
    public var segmentBytes = 8 * 1024 * 1024
    public var segmentAge: Duration = .seconds(600)
    /// Records are synced when the oldest waits this long, or this much waits.
    public var syncInterval: Duration = .seconds(1)
    public var syncBytes = 1024 * 1024
    /// Payload bytes kept in memory, whatever is down.
    public var memoryBytes = 4 * 1024 * 1024
    /// Nothing overtakes the backlog.
    public var strictFIFO = false
    /// Readers whose destination wants every series in order of time: for them nothing overtakes the backlog either.
    public var orderedReaders: Set<String> = []

    // Not in the configuration file: tests make them short.

    /// Cursors are published at most this often.
    public var cursorInterval: Duration = .seconds(1)
    /// Age, free space and orphans are looked at this often.
    public var housekeepingInterval: Duration = .seconds(15)
    /// First and last bound of the full jitter after an I/O error.
    public var probeFloor: Duration = .seconds(1)
    public var probeInterval: Duration = .seconds(60)
    /// Wait before a failed read is tried a second time.
    public var readRetryDelay: Duration = .seconds(1)
    /// Records in memory before mode `onFailure` goes to disk.
    public var memoryBatches = 8

    public init() {}

    /// Whether live data wait for the backlog of a reader.
    public func isStrict(_ reader: String) -> Bool { strictFIFO || orderedReaders.contains(reader) }

    /// The size at which segments roll, small enough for a cap to be kept by dropping whole segments.
    public var effectiveSegmentBytes: Int { max(4096, min(segmentBytes, bytesLimit / 4)) }

    /// Bytes that must stay free on a file system of `total` bytes.
    public func freeFloor(total: UInt64) -> UInt64 {
        max(UInt64(clamping: freeFloorBytes), total / 100 * UInt64(clamping: max(0, min(100, freeFloorPercent))))
    }
}
