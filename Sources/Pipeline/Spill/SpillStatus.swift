/// What recovery and running found, counted. The raw value is the metric name's part.
public enum RecoveryVerdict: String, Sendable, Hashable, CaseIterable {
    case tornTail = "recovered_torn_tail"
    case damagedBytes = "damaged_bytes_skipped"
    case corruptRecord = "corrupt_records"
    case quarantined = "quarantined_segments"
    case emptySegment = "empty_segments"
    case cursorLost = "cursor_lost"
    case cursorForeign = "cursor_foreign"
    case foreignSegment = "foreign_segments"
    case unknownFile = "unknown_files"
    case unsupported = "spill_unsupported"
    case readError = "read_errors"
    case writeError = "write_errors"
    case syncError = "sync_errors"
    case clockStep = "clock_steps"
    case directoryLost = "directory_lost"
}

/// Where batches go at present.
public enum SpillState: String, Sendable, Hashable {
    /// `run` has not opened it yet.
    case starting
    case ok
    /// The disk is unusable; it is probed.
    case memory
    /// A later version wrote this folder; it is left alone.
    case unsupported
    /// By mode.
    case off
}

/// One moment of a spill log, for `/status`, `/metrics` and health.
public struct SpillStatus: Sendable, Hashable {
    public struct Reader: Sendable, Hashable {
        public var name: String
        /// It has a cursor, but no output of that name is configured.
        public var isOrphaned: Bool
        public var balance: Balance
        /// Waiting below the frontier (replay lane); batches are counted by sequence numbers.
        public var backlogBatches: UInt64
        public var backlogPoints: UInt64
        /// Waiting beyond the frontier (live lane).
        public var liveBatches: UInt64

        public init(
            name: String, isOrphaned: Bool, balance: Balance, backlogBatches: UInt64, backlogPoints: UInt64,
            liveBatches: UInt64
        ) {
            self.name = name
            self.isOrphaned = isOrphaned
            self.balance = balance
            self.backlogBatches = backlogBatches
            self.backlogPoints = backlogPoints
            self.liveBatches = liveBatches
        }
    }

    public var name: String
    public var state: SpillState
    public var bytes: Int = 0
    public var bytesLimit: Int = 0
    public var segments: Int = 0
    /// Since the oldest segment was begun: nothing on disk is older.
    public var oldestAge: Duration?
    /// Written, not yet synced.
    public var dirtyBytes: Int = 0
    /// Payload bytes in memory.
    public var memoryBytes: Int = 0
    public var quarantinedBytes: Int = 0
    /// Positions: sealed (queued), written to the file, synced. Sequence numbers and points of the stream.
    public var queued: StreamPosition = .origin
    public var written: StreamPosition = .origin
    public var durable: StreamPosition = .origin
    public var lastSync: Duration?
    public var readers: [Reader] = []
    public var verdicts: [RecoveryVerdict: Int] = [:]
    public var lastError: String?

    public init(name: String, state: SpillState) {
        self.name = name
        self.state = state
    }
}
