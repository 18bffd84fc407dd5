/// The breaker of one route: keeps a dead route from eating time, and finds out cheaply when it is back.
///
/// Shape: closed → open (a hard failure; 3 failures in a row; 5 of the last 10 within 60 s; throttled for 60 s) for
/// full jitter of 5 s · 2^k up to 300 s (10 s when no other route is usable) → half-open (one cheap probe, then one real batch) → closed.
/// A wrong configuration opens it for a fixed 60 s: a person must act, so there is nothing to grow.
public struct RouteBreaker: Sendable, Hashable {
    /// Raw values are public names of the status report.
    public enum State: String, Sendable, Hashable {
        case closed, open
        case halfOpen = "half_open"
    }

    /// What the route may be used for now.
    public enum Permission: Sendable, Hashable {
        /// Send a batch.
        case send
        /// Send a probe and report it by `probed`.
        case probe
        /// Nothing before that moment, which is always in the future.
        case wait(until: Instant)
    }

    /// How bad a failure is.
    public enum Failure: Sendable, Hashable {
        /// Refused, unreachable, no such name, TLS: opens at once.
        case hard
        /// Time-out, reset, 5xx: opens when repeated.
        case soft
        /// Busy: opens only when that lasts.
        case throttled
        /// Credentials, address, redirect: opens for a minute.
        case configuration
    }

    public static let longestWait = Duration.seconds(300)
    /// Of a route without an alternative: as often as an agent without a breaker would try, and with a probe only.
    public static let longestWaitAlone = Duration.seconds(10)
    /// Of a route that is preferred to the one in use.
    public static let longestWatch = Duration.seconds(60)
    public static let consecutiveLimit = 3
    public static let windowFailureLimit = 5
    public static let window = Duration.seconds(60)
    public static let throttledLimit = Duration.seconds(60)
    public static let configurationWait = Duration.seconds(60)
    /// How long a half-open permission is kept for the one who got it.
    public static let trialLimit = Duration.seconds(60)

    public private(set) var state: State
    /// When the state was entered.
    public private(set) var since: Instant
    /// Whether the last failure was one of configuration.
    public private(set) var isMisconfigured = false
    /// How often it opened since it was closed last: the k of the wait.
    public private(set) var openings = 0
    private let longestWait: Duration
    private var openUntil = Instant.zero
    /// The same when no other route is usable either.
    private var neededAt = Instant.zero
    private var consecutive = 0
    /// The last 10 results: when, and whether it failed.
    private var recent: [Result] = []
    private var throttledSince: Instant?
    /// Half-open: the probe was good, one batch may go.
    private var isProbed = false
    /// Half-open: somebody probes or sends until then.
    private var trialUntil: Instant?

    private struct Result: Sendable, Hashable {
        var at: Instant
        var failed: Bool
    }

    /// `isAlone`: there is no other route, so nothing is won by staying away from this one. `needsProof`: nothing is
    /// sent before a good probe, since a stranger may answer there.
    public init(now: Instant, isAlone: Bool = false, needsProof: Bool = false) {
        since = now
        state = needsProof ? .halfOpen : .closed
        longestWait = isAlone ? Self.longestWaitAlone : Self.longestWait
    }

    /// Whether `permission` would give one now; asks without taking it.
    public func isUsable(now: Instant) -> Bool {
        switch state {
        case .closed: true
        case .open: now >= openUntil
        case .halfOpen: trialUntil.map { now >= $0 } ?? true
        }
    }

    /// When a throttled route may be left for another one; nil when it is not throttled.
    public var throttledLongAt: Instant? { throttledSince.map { $0 + Self.throttledLimit } }

    /// Asks for the route. In half-open the first asker gets the permission, later ones wait for its report.
    public mutating func permission(now: Instant) -> Permission {
        switch state {
        case .closed: return .send
        case .open:
            guard now >= openUntil else { return .wait(until: openUntil) }
            enter(.halfOpen, now)
            isProbed = false
            trialUntil = now + Self.trialLimit
            return .probe
        case .halfOpen:
            if let trialUntil, now < trialUntil {
                return .wait(until: min(trialUntil, now + .milliseconds(250)))
            }
            trialUntil = now + Self.trialLimit
            return isProbed ? .send : .probe
        }
    }

    /// The result of the probe that `permission` asked for. A good one lets its owner send one batch at once.
    public mutating func probed<Random: RandomNumberGenerator>(
        good: Bool, now: Instant, using random: inout Random
    ) {
        guard state == .halfOpen else { return }
        if good {
            isProbed = true
            trialUntil = now + Self.trialLimit
        } else {
            open(now, using: &random)
        }
    }

    /// What a person had to change may have been changed: a route that is open for its configuration is tried at once.
    public mutating func mended(now: Instant) {
        if state == .open, isMisconfigured { openUntil = now }
    }

    /// What kept the route closed is known to be gone: it is tried at once.
    public mutating func roadReturned(now: Instant) {
        if state == .open { openUntil = now }
    }

    /// The route is preferred to the one in use: it is asked at least once in `longestWatch`, so that a repaired road is
    /// not left unused for minutes. A probe is all that this costs.
    public mutating func watched(now: Instant) {
        if state == .open, !isMisconfigured { openUntil = min(openUntil, since + Self.longestWatch) }
    }

    /// No route is usable: nothing is won by staying away from this one, so it waits like one without an alternative.
    public mutating func needed() {
        if state == .open, !isMisconfigured { openUntil = min(openUntil, neededAt) }
    }

    /// The permission was not used (the sender was cancelled): the next asker gets it.
    public mutating func gaveUp() {
        if state == .halfOpen { trialUntil = nil }
    }

    /// A batch was accepted, or refused for its own content: the route works.
    public mutating func succeeded(now: Instant) {
        consecutive = 0
        openings = 0
        throttledSince = nil
        isMisconfigured = false
        record(failed: false, now)
        if state != .closed {
            recent.removeAll()
            enter(.closed, now)
        }
    }

    /// A batch or a probe failed. Returns whether the route is open now.
    @discardableResult
    public mutating func failed<Random: RandomNumberGenerator>(
        _ failure: Failure, now: Instant, using random: inout Random
    ) -> Bool {
        isMisconfigured = failure == .configuration
        if failure != .throttled {
            throttledSince = nil
            record(failed: true, now)
        }
        switch failure {
        case .hard: open(now, using: &random)
        case .configuration:
            open(now, using: &random)
            openUntil = now + Self.configurationWait
        case .throttled:
            let first = throttledSince ?? now
            throttledSince = first
            // Busy is an answer: in half-open the server is back, only its readiness is missing.
            if state == .halfOpen { enter(.closed, now) }
            if now - first >= Self.throttledLimit { open(now, using: &random) }
        case .soft:
            consecutive = consecutive.addingSaturated(1)
            let failures = recent.count { $0.failed && now - $0.at <= Self.window }
            let isRepeated = consecutive >= Self.consecutiveLimit || failures >= Self.windowFailureLimit
            if state == .halfOpen || isRepeated { open(now, using: &random) }
        }
        return state == .open
    }

    /// When an open breaker lets a probe through; nil when it is not open.
    public var opensUntil: Instant? { state == .open ? openUntil : nil }

    private mutating func open<Random: RandomNumberGenerator>(_ now: Instant, using random: inout Random) {
        // A late report of a request that was under way when it opened must not double the wait.
        guard state != .open else { return }
        let bound = Backoff.bound(base: .seconds(5), exponent: openings, cap: longestWait)
        openUntil = now + Backoff.jitter(floor: .milliseconds(50), bound: bound, using: &random)
        neededAt = openUntil
        if bound > Self.longestWaitAlone {
            neededAt = now + Backoff.jitter(floor: .milliseconds(50), bound: Self.longestWaitAlone, using: &random)
        }
        openings = openings.addingSaturated(1)
        consecutive = 0
        throttledSince = nil
        trialUntil = nil
        enter(.open, now)
    }

    private mutating func enter(_ new: State, _ now: Instant) {
        state = new
        since = now
    }

    private mutating func record(failed: Bool, _ now: Instant) {
        if recent.count == 10 { recent.removeFirst() }
        recent.append(Result(at: now, failed: failed))
    }
}
