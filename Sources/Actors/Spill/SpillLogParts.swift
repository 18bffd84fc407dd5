import Pipeline

/// One reader inside the log.
struct ReaderState {
    var pending: PendingSet
    /// What the cursor file says; nil when there is none.
    var published: PendingSet?
    var outstanding: [Lane: StoredBatch] = [:]
    /// Where the backlog was read last: a hint that saves walking a segment from its start.
    var walk: (segment: String, walker: SegmentWalker)?
    /// A read failed once; the next failure skips.
    var isRetrying = false
    var waiters: [UInt64: AsyncStream<Void>.Continuation] = [:]

    init(_ pending: PendingSet) { self.pending = pending }
}

/// One segment file of the stream.
struct SegmentFile {
    var name: String
    var header: SegmentHeader
    var size: Int
    /// Behind its last record, where that is known without reading it.
    var end: StreamPosition?
    var newest: Timestamp?
    /// Open to write (active), or still to be synced.
    var descriptor: Int32?
    var isDirty = false
    /// Takes no more records.
    var isSealed = false
    /// Its sync failed: what memory no longer holds of it must be written anew.
    var needsCopy = false
    var opened = Instant.zero

    var start: StreamPosition { header.start }
}

/// Any source of randomness behind one type, so that it can be passed on as `inout`.
struct AnyGenerator: RandomNumberGenerator {
    var base: any RandomNumberGenerator & Sendable
    mutating func next() -> UInt64 { base.next() }
}
