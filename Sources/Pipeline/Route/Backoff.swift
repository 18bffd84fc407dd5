/// How long to wait before the next try: full jitter, that is a random part of an exponentially growing bound.
///
/// Shape: wait = random(floor … min(cap, base · 2ⁿ)) for the n-th failure in a row, n from 0.
/// Why: full jitter spreads a fleet that lost the same server at the same moment; there is no give-up, only a cap.
public struct Backoff: Sendable, Hashable {
    public var base: Duration
    public var cap: Duration
    /// The bound of waits for a server that asked us to slow down.
    public var throttledCap: Duration
    public var floor: Duration
    /// Failures in a row so far.
    public private(set) var failures = 0

    public init(
        base: Duration = .milliseconds(500), cap: Duration = .seconds(30), throttledCap: Duration = .seconds(60),
        floor: Duration = .milliseconds(50)
    ) {
        self.base = base
        self.cap = cap
        self.throttledCap = throttledCap
        self.floor = floor
    }

    /// Counts one more failure and draws its wait.
    public mutating func next<Random: RandomNumberGenerator>(
        throttled: Bool = false, using random: inout Random
    ) -> Duration {
        let bound = Self.bound(base: base, exponent: failures, cap: throttled ? throttledCap : cap)
        failures = failures.addingSaturated(1)
        return Self.jitter(floor: floor, bound: bound, using: &random)
    }

    /// A success: the next failure waits as the first one did.
    public mutating func reset() { failures = 0 }

    /// min(cap, base · 2^exponent).
    static func bound(base: Duration, exponent: Int, cap: Duration) -> Duration {
        let factor: Int64 = exponent >= 62 ? .max : 1 << Int64(max(0, exponent))
        return min(cap, .nanoseconds(base.wholeNanoseconds.multipliedSaturated(by: factor)))
    }

    /// A random duration from `floor` to `bound`, both included; `floor` when the bound is below it.
    static func jitter<Random: RandomNumberGenerator>(
        floor: Duration, bound: Duration, using random: inout Random
    ) -> Duration {
        let low = floor.wholeNanoseconds
        return .nanoseconds(Int64.random(in: low...max(low, bound.wholeNanoseconds), using: &random))
    }
}
