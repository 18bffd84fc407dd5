/// One `[[processors.…]]`, compiled.
public struct ProcessorConfig: Sendable, Hashable {
    /// Stable across reloads, as for inputs.
    public var id: String
    public var plugin: String
    /// Processors run in ascending order; those of equal order as they stand in the files.
    public var order: Int
    /// Which points it sees, and which of their tags and fields stay; others pass unchanged.
    public var filter: MetricFilter
    public var rule: ProcessorRule
    /// What the file sets, one line an option, for the fingerprint of the configuration.
    public var lines: [String]

    public init(
        id: String, plugin: String, order: Int = 0, filter: MetricFilter = .open, rule: ProcessorRule,
        lines: [String] = []
    ) {
        self.id = id
        self.plugin = plugin
        self.order = order
        self.filter = filter
        self.rule = rule
        self.lines = lines
    }
}

/// What a processor does.
public enum ProcessorRule: Sendable, Hashable {
    case rename(RenameRule)
    case converter(ConverterRule)
    case regex(RegexRule)
    case defaults(DefaultsRule)
    case strings(StringsRule)
    case override(OverrideRule)
    case tagLimit(TagLimitRule)
    case dedup(interval: Duration, seriesLimit: Int)
}

/// A processor at work: its rule, what it remembers, and its counters.
struct RunningProcessor: Sendable {
    let config: ProcessorConfig
    private(set) var counters: StageCounters
    private var memory: Deduplication?

    init(_ config: ProcessorConfig) {
        self.config = config
        counters = StageCounters(id: config.id)
        if case .dedup(let interval, let limit) = config.rule {
            memory = Deduplication(interval: interval, seriesLimit: limit)
        }
    }

    /// Changes a point; false when it is dropped.
    mutating func apply(to point: inout Point, wall: Timestamp) -> Bool {
        guard config.filter.passes(name: point.name, tags: point.tags) else { return true }
        counters.points &+= 1
        point.modify(by: config.filter)
        guard !point.fields.isEmpty else {
            counters.dropped &+= 1
            return false
        }
        switch config.rule {
        case .rename(let rule): rule.apply(to: &point)
        case .converter(let rule): rule.apply(to: &point)
        case .regex(let rule): rule.apply(to: &point)
        case .defaults(let rule): rule.apply(to: &point)
        case .strings(let rule): rule.apply(to: &point)
        case .override(let rule): rule.apply(to: &point)
        case .tagLimit(let rule): rule.apply(to: &point)
        case .dedup:
            guard var memory else { return true }
            self.memory = nil
            let passes = memory.passes(point, wall: wall)
            counters.overflow = memory.overflow
            counters.series = memory.seriesCount
            self.memory = memory
            if !passes { counters.dropped &+= 1 }
            return passes
        }
        return true
    }
}

/// What a processor or aggregator has done since it was made.
public struct StageCounters: Sendable, Hashable {
    public var id: String
    /// Points that its filters let in.
    public var points: UInt64 = 0
    /// Points that it dropped: repetitions, points without fields, originals that an aggregate replaces.
    public var dropped: UInt64 = 0
    /// Points that an aggregator made.
    public var made: UInt64 = 0
    /// Points outside of an aggregator's window.
    public var late: UInt64 = 0
    /// Points that passed unseen because there are too many series.
    public var overflow: UInt64 = 0
    /// Series that it remembers.
    public var series = 0

    public init(id: String) { self.id = id }
}
