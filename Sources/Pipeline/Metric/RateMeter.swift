/// How fast the counters of one thing grow: keeps its last reading and compares the next with it.
///
/// A reading gives no growth when it is the first, when no time has passed, or when any of the counters fell: the thing
/// was reset or replaced, or a counter wrapped, and what the others show then is no growth of this time either. Kept with
/// what else is known of a thing and dropped with it, so one that went and came back starts anew.
/// Units: time is that of the monotonic clock.
/// Cost: no allocation; `count` words and a moment.
public struct RateMeter<let count: Int>: Sendable {
    private struct Reading {
        var counters: InlineArray<count, UInt64>
        var time: Instant
    }

    private var last: Reading?

    public init() {}

    /// Notes a reading at `now`; nil: the counters are not there, and the next reading is a first one. Returns what grew
    /// since the reading before.
    public mutating func advance(to counters: InlineArray<count, UInt64>?, at now: Instant) -> CounterGrowth<count>? {
        let before = last
        last = counters.map { Reading(counters: $0, time: now) }
        guard let before, let counters else { return nil }
        let seconds = (now - before.time).inSeconds
        guard seconds > 0 else { return nil }
        var counts = InlineArray<count, UInt64>(repeating: 0)
        for index in counters.indices {
            let (growth, fell) = counters[index].subtractingReportingOverflow(before.counters[index])
            if fell { return nil }
            counts[index] = growth
        }
        return CounterGrowth(counts: counts, seconds: seconds)
    }
}

/// By how much the counters of one thing grew in a time.
public struct CounterGrowth<let count: Int>: Sendable {
    /// In the order in which the reading had them.
    public let counts: InlineArray<count, UInt64>
    /// Always more than 0.
    public let seconds: Double

    /// Growth of one counter a second.
    public func perSecond(_ index: Int) -> Double { Double(counts[index]) / seconds }
}
