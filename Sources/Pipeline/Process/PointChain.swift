/// Processors and aggregators as they are to run.
public struct ChainPlan: Sendable, Hashable {
    /// Names, tags, filters and rounding of each input: applied before the first processor.
    public var inputs: [String: InputRules]
    /// In the order of the files; they run by their `order`.
    public var processors: [ProcessorConfig]
    public var aggregators: [AggregatorConfig]
    /// Whether points of inputs, and whether aggregates, go through the processors.
    public var processesOriginals: Bool
    public var processesAggregates: Bool
    /// What the end of a window is rounded to.
    public var precision: Duration
    /// Whether windows end at multiples of their period.
    public var alignsWindows: Bool

    public init(
        inputs: [String: InputRules], processors: [ProcessorConfig] = [], aggregators: [AggregatorConfig] = [],
        processesOriginals: Bool = true, processesAggregates: Bool = true, precision: Duration = .seconds(1),
        alignsWindows: Bool = true
    ) {
        self.inputs = inputs
        self.processors = processors
        self.aggregators = aggregators
        self.processesOriginals = processesOriginals
        self.processesAggregates = processesAggregates
        self.precision = precision
        self.alignsWindows = alignsWindows
    }

    /// As a configuration has them; nil without processors and aggregators. `nodeName` is for the tag `host`.
    public init?(_ config: Config, nodeName: String) {
        guard config.hasChain else { return nil }
        let globalTags = config.globalTags(nodeName: nodeName)
        var inputs: [String: InputRules] = [:]
        for input in config.inputs {
            inputs[input.id] = InputRules(
                transforms: [MetricTransform(input.metric, globalTags: globalTags, stage: .input)],
                precision: input.schedule.arrivalPrecision)
        }
        self.init(
            inputs: inputs, processors: config.processors, aggregators: config.aggregators,
            processesOriginals: config.agent.processesOriginals,
            processesAggregates: config.agent.processesAggregates,
            precision: TickSchedule.precision(configured: config.agent.precision, interval: config.agent.interval),
            alignsWindows: config.agent.roundsInterval)
    }
}

/// The way of points through processors and aggregators, as in Telegraf:
/// input rules → processors → aggregators → outputs, and aggregates → processors (others than before) → outputs.
///
/// What comes out is a sample set again, under `source`, whose series are shared from set to set, so that the encoders
/// behind it keep their caches.
public struct PointChain: Sendable {
    /// The name under which processed points enter the streams.
    public static let source = ""

    public private(set) var plan: ChainPlan
    private var before: [RunningProcessor]
    private var after: [RunningProcessor]
    private var aggregators: [RunningAggregator]
    private var inputs: [String: InputStage]
    private var composer = PointComposer()
    /// Points that filters of inputs, processors and aggregators removed, since the start.
    public private(set) var filteredPoints: UInt64 = 0

    public init(_ plan: ChainPlan, wall: Timestamp, now: Instant) {
        self.plan = plan
        before = PointChain.processors(plan, plan.processesOriginals)
        after = PointChain.processors(plan, plan.processesAggregates && !plan.aggregators.isEmpty)
        aggregators = plan.aggregators.map {
            RunningAggregator($0, isAligned: plan.alignsWindows, wall: wall, now: now)
        }
        inputs = plan.inputs.mapValues(InputStage.init)
    }

    private static func processors(_ plan: ChainPlan, _ isWanted: Bool) -> [RunningProcessor] {
        guard isWanted else { return [] }
        return plan.processors.enumerated().sorted { ($0.element.order, $0.offset) < ($1.element.order, $1.offset) }
            .map { RunningProcessor($0.element) }
    }

    /// When the next window ends; nil without aggregators.
    public var nextPush: Instant? { aggregators.map(\.pushes).min() }

    /// Takes the points of an input in. Returns those that go on to the outputs.
    public mutating func add(_ set: SampleSet, from input: String, wall: Timestamp) -> SampleSet {
        guard var stage = inputs.removeValue(forKey: input) else {
            filteredPoints &+= UInt64(set.rows.count)
            return SampleSet()
        }
        defer { inputs[input] = stage }
        var out = SampleSet()
        for row in set.rows {
            guard var point = stage.point(row, of: set), PointChain.process(&point, &before, wall) else {
                filteredPoints &+= 1
                continue
            }
            var isDropped = false
            for index in aggregators.indices where aggregators[index].add(point) { isDropped = true }
            if isDropped { filteredPoints &+= 1 } else { composer.append(point, to: &out) }
        }
        return out
    }

    /// Ends the windows that are due.
    public mutating func push(wall: Timestamp, now: Instant) -> SampleSet {
        var out = SampleSet()
        for index in aggregators.indices where aggregators[index].pushes <= now {
            emit(aggregators[index].push(wall: wall, now: now, precision: plan.precision), wall, &out)
        }
        return out
    }

    /// What all aggregators have collected so far, for a process that ends.
    public mutating func drain(wall: Timestamp) -> SampleSet {
        var out = SampleSet()
        for index in aggregators.indices {
            emit(aggregators[index].drain(wall: wall, precision: plan.precision), wall, &out)
        }
        return out
    }

    /// Takes a new plan. Processors and aggregators that are the same keep what they remember; what changed or removed
    /// aggregators have collected comes out.
    public mutating func configure(_ new: ChainPlan, wall: Timestamp, now: Instant) -> SampleSet {
        var out = SampleSet()
        let keepsWindows = new.alignsWindows == plan.alignsWindows
        var old = aggregators
        for index in old.indices where !keepsWindows || !new.aggregators.contains(old[index].config) {
            emit(old[index].drain(wall: wall, precision: plan.precision), wall, &out)
        }
        var next = PointChain(new, wall: wall, now: now)
        next.filteredPoints = filteredPoints
        next.composer = composer
        if keepsWindows {
            for index in next.aggregators.indices {
                if let same = old.first(where: { $0.config == next.aggregators[index].config }) {
                    next.aggregators[index] = same
                }
            }
        }
        PointChain.keep(before, &next.before)
        PointChain.keep(after, &next.after)
        self = next
        return out
    }

    private static func keep(_ old: [RunningProcessor], _ new: inout [RunningProcessor]) {
        for index in new.indices {
            if let same = old.first(where: { $0.config == new[index].config }) { new[index] = same }
        }
    }

    /// What processors have done, those before and behind the aggregators together, in the order in which they run.
    public var processorCounters: [StageCounters] {
        guard !before.isEmpty else { return after.map(\.counters) }
        return before.enumerated().map { index, processor in
            var counters = processor.counters
            if index < after.count {
                let other = after[index].counters
                counters.points &+= other.points
                counters.dropped &+= other.dropped
                counters.overflow &+= other.overflow
                counters.series += other.series
            }
            return counters
        }
    }

    public var aggregatorCounters: [StageCounters] { aggregators.map(\.counters) }

    private mutating func emit(_ points: [Point], _ wall: Timestamp, _ out: inout SampleSet) {
        for var point in points {
            if PointChain.process(&point, &after, wall) {
                composer.append(point, to: &out)
            } else {
                filteredPoints &+= 1
            }
        }
    }

    /// Leads a point through processors; false when one drops it, or leaves nothing of it.
    private static func process(_ point: inout Point, _ processors: inout [RunningProcessor], _ wall: Timestamp) -> Bool
    {
        for index in processors.indices where !processors[index].apply(to: &point, wall: wall) { return false }
        return !point.fields.isEmpty
    }
}
