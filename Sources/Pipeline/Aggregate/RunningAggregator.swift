/// An aggregator at work: its window, what it has collected, and its counters.
///
/// A window is open from its start to `delay` after its end; then what came of it is pushed and the next one begins. With
/// `round_interval` windows end at multiples of the period. A point that is older than the start by more than `grace`, or
/// newer than the end by more than `delay`, does not count.
struct RunningAggregator: Sendable {
    let config: AggregatorConfig
    private let isAligned: Bool
    private var store: SeriesStore
    private(set) var counters: StageCounters
    /// The wall clock at the ends of the window.
    private(set) var start: Timestamp
    private(set) var end: Timestamp
    /// When it is pushed.
    private(set) var pushes: Instant

    init(_ config: AggregatorConfig, isAligned: Bool, wall: Timestamp, now: Instant) {
        self.config = config
        self.isAligned = isAligned
        store = SeriesStore(config.rule, seriesLimit: config.seriesLimit)
        counters = StageCounters(id: config.id)
        start = isAligned ? wall.aligned(down: config.period) : wall
        end = start + config.period
        pushes = now + (end - wall) + config.delay
    }

    /// Takes a point in; true when it goes no further.
    mutating func add(_ original: Point) -> Bool {
        guard config.metric.filter.passes(name: original.name, tags: original.tags) else { return false }
        // The end of a series is nothing to aggregate.
        guard !original.isStaleMarker else { return config.dropsOriginal }
        counters.points &+= 1
        var point = original
        point.modify(by: config.metric.filter)
        if !point.fields.isEmpty {
            if start - point.time > config.grace || point.time - end > config.delay {
                counters.late &+= 1
            } else if store.add(point) {
                counters.series = store.count
            } else {
                // What was not counted in must not vanish.
                counters.overflow &+= 1
                return false
            }
        }
        if config.dropsOriginal { counters.dropped &+= 1 }
        return config.dropsOriginal
    }

    /// Ends the window and begins the next. `precision` is what its end is rounded to.
    mutating func push(wall: Timestamp, now: Instant, precision: Duration) -> [Point] {
        let points = collect(time: end.rounded(to: precision), wall: wall)
        start = end
        end = start + config.period
        // The clock was set, or the machine slept: a window that has now in it.
        let moment = wall + (.zero - config.delay)
        if moment < start || moment > end {
            start = isAligned ? moment.aligned(down: config.period) : moment
            end = start + config.period
        }
        pushes = now + max(end - wall + config.delay, .milliseconds(1))
        return points
    }

    /// What has been collected so far, for one that ends.
    mutating func drain(wall: Timestamp, precision: Duration) -> [Point] {
        collect(time: min(wall, end).rounded(to: precision), wall: wall)
    }

    private mutating func collect(time: Timestamp, wall: Timestamp) -> [Point] {
        var points = store.push(end: time, wall: wall)
        for index in points.indices {
            points[index].rename(by: config.metric)
            for tag in config.metric.tags where points[index].tag(tag.key) == nil {
                points[index].set(tag: tag.key, to: tag.value)
            }
        }
        counters.made &+= UInt64(points.count)
        counters.series = store.count
        return points
    }
}

extension Timestamp {
    /// The last multiple of `step` that is not after this moment, counted from the year 1, UTC, as Go does it.
    func aligned(down step: Duration) -> Timestamp {
        let step = Int128(max(1, step.wholeNanoseconds))
        let fromYearOne = Int128(nanoseconds) + 62_135_596_800_000_000_000
        let remainder = Int64(clamping: ((fromYearOne % step) + step) % step)
        return Timestamp(nanoseconds: nanoseconds.subtractingSaturated(remainder))
    }
}
