/// When a tunnel tries again: at once the first time and after a healthy session, else after a random part of a growing
/// bound.
///
/// Shape: 0, random(0 … 1 s), random(0 … 2 s), … random(0 … 60 s). A session that lasted `stableAfter` resets it.
/// Why: full jitter spreads a fleet that lost one server; the immediate first try makes a short cut cheap.
public struct ReconnectSchedule: Sendable, Hashable {
    private var backoff: Backoff
    private let cap: Duration
    private let stableAfter: Duration
    private var jitter: JitterSource
    private var connectedAt: Instant?
    private var isImmediate = true

    public init(timing: TunnelTiming, seed: UInt64) {
        backoff = Backoff(base: timing.reconnectBase, cap: timing.reconnectCap, floor: .zero)
        cap = timing.reconnectCap
        stableAfter = timing.stableAfter
        jitter = JitterSource(seed: seed)
    }

    /// Failures in a row.
    public var failures: Int { backoff.failures }

    public mutating func connected(now: Instant) { connectedAt = now }

    /// The session ended, or never came to be: how long to wait now.
    public mutating func ended(now: Instant, needsOperator: Bool = false) -> Duration {
        let wasConnected = connectedAt != nil
        let wasStable = connectedAt.map { now - $0 >= stableAfter } ?? false
        connectedAt = nil
        if wasStable {
            backoff.reset()
            isImmediate = true
        }
        if needsOperator {
            // A wrong key tried often gets us banned.
            isImmediate = false
            return Backoff.jitter(floor: cap / 2, bound: cap, using: &jitter)
        }
        if isImmediate, wasConnected {
            isImmediate = false
            return .zero
        }
        isImmediate = false
        return backoff.next(using: &jitter)
    }
}

/// Spreads tries that nothing else spreads: a relay that starts, or loses many sessions at once, would begin all of them in
/// one instant, and every one costs milliseconds of computing here.
///
/// Shape: of the tries within a second the first eight begin at once, a later one after a random part of 25 ms for each
/// before it. So one lost session comes back at once, and two hundred within five seconds.
public struct ReconnectCrowd: Sendable, Hashable {
    private static let free = 8
    private static let room = Duration.milliseconds(25)
    private static let window = Duration.seconds(1)
    private var since = Instant.zero
    private var count = 0
    private var jitter: JitterSource

    public init(seed: UInt64) { jitter = JitterSource(seed: seed) }

    /// How long the next immediate try waits.
    public mutating func join(now: Instant) -> Duration {
        if now - since > Self.window {
            since = now
            count = 0
        }
        count = min(count + 1, 10_000)
        guard count > Self.free else { return .zero }
        return Backoff.jitter(floor: .zero, bound: Self.room * (count - Self.free), using: &jitter)
    }
}

/// Whether the other end of a session still lives: a round trip through the server process every interval.
///
/// A probe that is unanswered at `missed` ticks in a row means that the server hangs. So a hung server is found within
/// (missed + 1) intervals: 60 s with 15 s × 3.
public struct SessionLiveness: Sendable, Hashable {
    public enum Action: Sendable, Hashable { case probe, wait, giveUp }

    private let missedLimit: Int
    private var isOutstanding = false
    public private(set) var missed = 0

    public init(missedLimit: Int) { self.missedLimit = max(1, missedLimit) }

    /// Once an interval.
    public mutating func tick() -> Action {
        guard isOutstanding else {
            isOutstanding = true
            missed = 0
            return .probe
        }
        missed += 1
        return missed >= missedLimit ? .giveUp : .wait
    }

    public mutating func answered() {
        isOutstanding = false
        missed = 0
    }
}
