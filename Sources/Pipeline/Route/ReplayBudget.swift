/// How fast the backlog may be sent, so that neither the server nor the live data suffer.
///
/// Shape: rate = min(limit, max(64 KiB/s, 4 × live rate)) × ramp / 2^h. After start-up, and after an outage, replay
/// begins at a random moment within 30 s and ramps up over 60 s, so that a fleet does not come back as one wave. A busy
/// or slow server halves the rate (h + 1, at most 6 times); every 30 s without trouble give one halving back.
/// Units: bytes on the wire, per second.
public struct ReplayBudget: Sendable, Hashable {
    public static let floorRate = 64.0 * 1024
    public static let startSpread = Duration.seconds(30)
    public static let ramp = Duration.seconds(60)
    /// A request that took longer than this counts as slow.
    public static let slowLimit = Duration.seconds(2)
    private static let halvingsLimit = 6
    private static let recovery = Duration.seconds(30)
    private static let liveWindow = Duration.seconds(30)

    /// The configured upper bound.
    public var limit: Double
    private var startAt: Instant
    private var nextAt: Instant
    private var halvings = 0
    private var halvedAt: Instant
    private var windowStart: Instant
    private var windowBytes = 0.0
    /// Live bytes per second of the window before the current one.
    private var previousRate = 0.0

    /// Starts at a random moment within 30 s from `now`.
    public init<Random: RandomNumberGenerator>(bytesPerSecond: Int, now: Instant, using random: inout Random) {
        limit = max(1, Double(bytesPerSecond))
        startAt = now + Backoff.jitter(floor: .zero, bound: Self.startSpread, using: &random)
        nextAt = startAt
        halvedAt = now
        windowStart = now
    }

    /// The destination is back after an outage: a new random start, a new ramp.
    public mutating func recovered<Random: RandomNumberGenerator>(now: Instant, using random: inout Random) {
        startAt = now + Backoff.jitter(floor: .zero, bound: Self.startSpread, using: &random)
        nextAt = max(nextAt, startAt)
    }

    /// When the next replay request may start.
    public var readyAt: Instant { nextAt }

    /// A live request of so many bytes was sent.
    public mutating func sentLive(bytes: Int, now: Instant) {
        rollWindow(now)
        windowBytes += Double(max(0, bytes))
    }

    /// A replay request of so many bytes was sent: the next one waits until their time is over.
    public mutating func sentReplay(bytes: Int, now: Instant) {
        let cost = Double(max(0, bytes)) / rate(now: now)
        nextAt = max(nextAt, now) + .seconds(min(cost, 3600))
    }

    /// The server said 429 or 503, or was slow. Halves at most once in 5 s, since both lanes report one state.
    public mutating func slowDown(now: Instant) {
        guard halvings == 0 || now - halvedAt >= .seconds(5) else { return }
        halvings = min(Self.halvingsLimit, currentHalvings(now) + 1)
        halvedAt = now
    }

    /// The rate at `now`.
    public func rate(now: Instant) -> Double {
        let full = min(limit, max(Self.floorRate, 4 * liveRate(now: now)))
        let age = (now - startAt).inSeconds / Self.ramp.inSeconds
        // The ramp begins at a twentieth: a rate of zero would never end its first wait.
        let ramped = full * min(1, max(0.05, age))
        return max(1, ramped / Double(1 << currentHalvings(now)))
    }

    /// Live bytes per second over the last 30 to 60 s.
    public func liveRate(now: Instant) -> Double {
        let elapsed = (now - windowStart).inSeconds
        let window = Self.liveWindow.inSeconds
        guard elapsed < 2 * window else { return windowBytes / max(elapsed, 1) }
        return max(previousRate, windowBytes / max(elapsed, window))
    }

    private func currentHalvings(_ now: Instant) -> Int {
        let healed = (now - halvedAt).inSeconds / Self.recovery.inSeconds
        return max(0, halvings - Int(max(0, min(healed, 64))))
    }

    private mutating func rollWindow(_ now: Instant) {
        let elapsed = (now - windowStart).inSeconds
        guard elapsed >= Self.liveWindow.inSeconds else { return }
        previousRate = windowBytes / elapsed
        windowBytes = 0
        windowStart = now
    }
}
