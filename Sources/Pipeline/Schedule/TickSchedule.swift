/// When an input gathers: aligned or rolling ticks with a fixed offset and a fresh jitter each.
///
/// Rules: the first tick is, with `roundInterval`, the first multiple of the interval at or after start + interval/100
/// (which keeps the first distance from being absurdly short), otherwise the start itself; each further one is the one
/// before + interval. Offset and jitter are added to a tick, never carried over. Multiples are counted from the year
/// 1, UTC, as Go does it: this differs from the Unix epoch only for intervals that do not divide a day (7 s, 11 s).
/// Source: Telegraf, agent options `interval`, `round_interval`, `collection_offset`, `collection_jitter`.
public struct TickSchedule: Sendable, Hashable {
    /// One planned moment of gathering, on the wall clock.
    public struct Tick: Sendable, Hashable {
        /// Without offset and jitter.
        public var scheduled: Timestamp
        /// When to gather.
        public var fire: Timestamp
        /// Ticks between the previous one and this one whose moment had passed already.
        public var skipped: UInt64
    }

    public let interval: Duration
    public let roundInterval: Bool
    public let offset: Duration
    public let jitter: Duration
    private var last: Timestamp?

    /// `interval` is held at 1 µs or more, `offset` and `jitter` at 0 or more.
    public init(interval: Duration, roundInterval: Bool, offset: Duration, jitter: Duration) {
        self.interval = max(interval, .microseconds(1))
        self.roundInterval = roundInterval
        self.offset = max(offset, .zero)
        self.jitter = max(jitter, .zero)
    }

    /// Begins the schedule at `start`: the first tick.
    public mutating func first(from start: Timestamp, using random: inout some RandomNumberGenerator) -> Tick {
        let scheduled = roundInterval ? aligned(start + .nanoseconds(interval.wholeNanoseconds / 100)) : start
        return tick(scheduled, skipped: 0, &random)
    }

    /// The tick after the previous one that does not lie before `now`; those that do are counted as skipped.
    public mutating func next(after now: Timestamp, using random: inout some RandomNumberGenerator) -> Tick {
        guard let last else { return first(from: now, using: &random) }
        let step = interval.wholeNanoseconds
        let planned = last + interval
        let late = (now - (planned + offset)).wholeNanoseconds
        let skipped = late < 0 ? 0 : late / step + 1
        let moved = skipped.multipliedSaturated(by: step)
        return tick(planned + .nanoseconds(moved), skipped: UInt64(skipped), &random)
    }

    /// The wall clock was set by `distance` and now reads `now`: aligned ticks are aligned anew, rolling ones keep
    /// their distance from each other.
    public mutating func clockJumped(by distance: Duration, to now: Timestamp) {
        guard let last else { return }
        self.last =
            roundInterval
            ? aligned(now + .nanoseconds(interval.wholeNanoseconds / 100)) + (.zero - interval)
            : last + distance
    }

    /// The precision that points are rounded to: the configured one, else the unit of the interval.
    public static func precision(configured: Duration, interval: Duration) -> Duration {
        if configured > .zero { return configured }
        for unit in [Duration.seconds(1), .milliseconds(1), .microseconds(1)] where interval >= unit { return unit }
        return .nanoseconds(1)
    }

    private mutating func tick(
        _ scheduled: Timestamp, skipped: UInt64, _ random: inout some RandomNumberGenerator
    ) -> Tick {
        last = scheduled
        let limit = jitter.wholeNanoseconds
        let delay = limit > 0 ? Int64.random(in: 0..<limit, using: &random) : 0
        return Tick(scheduled: scheduled, fire: scheduled + offset + .nanoseconds(delay), skipped: skipped)
    }

    /// The first multiple of the interval at or after `time`.
    private func aligned(_ time: Timestamp) -> Timestamp {
        let step = Int128(interval.wholeNanoseconds)
        let fromYearOne = Int128(time.nanoseconds) + 62_135_596_800_000_000_000
        let remainder = fromYearOne % step
        return remainder == 0 ? time : time + .nanoseconds(Int64(step - remainder))
    }
}
