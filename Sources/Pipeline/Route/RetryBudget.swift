/// Keeps repetitions of one route from becoming a storm: at most one a second, and one more for every ten first tries.
///
/// Shape: a bucket of at most 10 repetitions. Bounds: constant size.
public struct RetryBudget: Sendable, Hashable {
    private static let capacity = 10.0
    private var tokens = capacity
    private var updated: Instant

    public init(now: Instant) { updated = now }

    /// A first try was sent: a tenth of a repetition is earned.
    public mutating func sentFirstTry(now: Instant) {
        refill(now)
        tokens = min(Self.capacity, tokens + 0.1)
    }

    /// Takes one repetition and says when it may be sent: `now`, or later when the budget is used up.
    public mutating func reserve(now: Instant) -> Instant {
        refill(now)
        // A debt of a minute is enough: further askers get the same moment, and there are only two lanes.
        tokens = max(-60, tokens - 1)
        return tokens >= 0 ? now : now + .seconds(-tokens)
    }

    private mutating func refill(_ now: Instant) {
        tokens = min(Self.capacity, tokens + max(0, (now - updated).inSeconds))
        updated = max(updated, now)
    }
}
