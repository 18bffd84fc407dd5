import Pipeline

/// What the batcher has done since it was made.
public struct BatcherStatus: Sendable, Hashable {
    /// Points that came from collectors.
    public var receivedPoints: UInt64 = 0
    public var sealedBatches: UInt64 = 0
    /// Points sealed, summed over the streams.
    public var sealedPoints: UInt64 = 0
    /// Points waiting in open batches.
    public var openPoints = 0
    /// Points removed by name, tag and field filters, by processors and by aggregators.
    public var filteredPoints: UInt64 = 0
    /// Points without a name or without a field that line protocol can hold.
    public var unencodablePoints: UInt64 = 0
    /// Points lost because the channel was full or closed.
    public var droppedInChannel: UInt64 = 0
    /// Bytes sealed, before and after compression.
    public var encodedBytes: UInt64 = 0
    public var sealedBytes: UInt64 = 0
    /// What each processor and aggregator has done, in the order in which they run.
    public var processors: [StageCounters] = []
    public var aggregators: [StageCounters] = []
    /// When the last flush tick had been handled, spill included: the watchdog's proof of progress.
    public var lastFlush: Instant?
}

/// A stream as the batcher sees it: one encoding, one sink, and the rules by which each input's points enter it.
public struct StreamPlan: Sendable {
    public var name: String
    public var sink: any BatchSink
    public var codec: PayloadCodec
    public var options: LineProtocol.Options
    public var limits: BatchLimits
    public var rules: [String: InputRules]
    /// When it is flushed; nil = with the batcher's own tick.
    public var flush: TickSchedule?

    public init(
        name: String, sink: any BatchSink, codec: PayloadCodec, options: LineProtocol.Options, limits: BatchLimits,
        rules: [String: InputRules], flush: TickSchedule? = nil
    ) {
        self.name = name
        self.sink = sink
        self.codec = codec
        self.options = options
        self.limits = limits
        self.rules = rules
        self.flush = flush
    }
}
