/// Why points were given up. The raw value is the metric label; `index` is the slot in a cursor file, so cases are
/// only ever appended.
public enum DropReason: String, CaseIterable, Sendable, Hashable {
    /// Its bytes on disk do not match their checksum.
    case corrupt
    /// Its segment file is gone.
    case missingSegment = "missing_segment"
    /// Evicted to stay below the cap by bytes.
    case bytes
    /// Evicted because it was older than the cap by age.
    case age
    /// Evicted, or lost from memory, because the disk was full.
    case diskFull = "disk_full"
    /// The disk could not read it back, twice.
    case readError = "read_error"
    /// Lost from memory because the disk was unusable, or there is no disk by mode.
    case memoryFull = "memory_full"
    /// `godwit spill drop`.
    case droppedByOperator = "dropped_by_operator"
    /// No destination can ever take it (too large for a record, or refused alone and beyond repair).
    case undeliverable

    /// Its slot in the cursor file.
    public var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// Where the points of one reader of one stream are.
///
/// Invariant: `sealed == delivered + rejected + Σ dropped + pending`, always, across restarts.
/// Units: points.
public struct Balance: Sendable, Hashable {
    public var sealed: UInt64
    public var delivered: UInt64
    public var rejected: UInt64
    public var dropped: [DropReason: UInt64]
    public var pending: UInt64

    public init(
        sealed: UInt64, delivered: UInt64, rejected: UInt64, dropped: [DropReason: UInt64], pending: UInt64
    ) {
        self.sealed = sealed
        self.delivered = delivered
        self.rejected = rejected
        self.dropped = dropped
        self.pending = pending
    }

    public var droppedTotal: UInt64 { dropped.values.reduce(0) { $0.addingSaturated($1) } }

    /// The invariant, for tests and the status page.
    public var isExact: Bool {
        sealed == delivered.addingSaturated(rejected).addingSaturated(droppedTotal).addingSaturated(pending)
    }
}

/// The two orders in which a reader is served: what was sealed just now, and what piled up.
public enum Lane: String, Sendable, Hashable, CaseIterable {
    case live, replay
}

/// A batch with its place in the stream: the same bytes on every try.
public struct StoredBatch: Sendable, Hashable {
    public let sequence: UInt64
    /// Points sealed in this stream before it.
    public let pointsBefore: UInt64
    public let batch: Batch

    public init(sequence: UInt64, pointsBefore: UInt64, batch: Batch) {
        self.sequence = sequence
        self.pointsBefore = pointsBefore
        self.batch = batch
    }

    /// The stretch of the stream that it fills.
    public var span: StreamSpan {
        StreamSpan(
            StreamPosition(sequence: sequence, points: pointsBefore),
            StreamPosition(
                sequence: sequence.addingSaturated(1),
                points: pointsBefore.addingSaturated(UInt64(clamping: batch.pointCount))))
    }
}
