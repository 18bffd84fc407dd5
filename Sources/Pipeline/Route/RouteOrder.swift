/// Which of several routes carries the data: the most preferred that works, without flapping.
///
/// Shape: ids in order of preference. Away from a route that fails: at once. Back to a more preferred one: after 3 good
/// probes in a row over at least 30 s, not before the stay on the present one has lasted 60 s (doubled for each further
/// failover within 30 min, at most 30 min), and only by a real batch that it delivered. Until that delivery the old
/// route stays the active one.
public struct RouteOrder<ID: Hashable & Sendable>: Sendable {
    /// The last change of the active route.
    public struct Switch: Sendable, Hashable {
        public var from: ID?
        public var to: ID
        public var at: Instant
        public var cause: String
    }

    private struct Streak: Sendable {
        var good = 0
        var since = Instant.zero
    }

    public static var probesForFailback: Int { 3 }
    public static var probeSpan: Duration { .seconds(30) }
    /// How often a more preferred route is probed while another one carries the data.
    public static var probeInterval: Duration { .seconds(10) }
    public static var minimumStay: Duration { .seconds(60) }
    public static var maximumStay: Duration { .seconds(1800) }
    public static var flapWindow: Duration { .seconds(1800) }

    public let ids: [ID]
    /// The route of the last delivery; nil before the first.
    public private(set) var active: ID?
    public private(set) var activeSince: Instant
    public private(set) var lastSwitch: Switch?
    /// Changes of the active route, the first delivery not counted.
    public private(set) var switches: UInt64 = 0
    private var streaks: [ID: Streak] = [:]
    private var failovers: [Instant] = []
    private var lastCause: [ID: String] = [:]

    public init(_ ids: [ID], now: Instant) {
        self.ids = ids
        activeSince = now
    }

    /// The routes to try for one batch, best first, of those that `usable` admits.
    public func candidates(now: Instant, usable: (ID) -> Bool) -> [ID] {
        let open = ids.filter(usable)
        guard let active, open.contains(active) else { return open }
        let rest = open.filter { $0 != active }
        let ready = rest.filter { isPreferred($0, to: active) && mayFailBack(to: $0, now: now) }
        return ready + [active] + rest.filter { !ready.contains($0) }
    }

    /// The routes that want a probe because they are preferred to the active one.
    public var watched: [ID] {
        guard let active else { return [] }
        return ids.filter { isPreferred($0, to: active) }
    }

    public mutating func probed(_ id: ID, good: Bool, now: Instant) {
        guard good else {
            streaks[id] = nil
            return
        }
        var streak = streaks[id] ?? Streak(good: 0, since: now)
        streak.good = streak.good.addingSaturated(1)
        streaks[id] = streak
    }

    /// A batch failed on `id` so that its breaker opened.
    public mutating func failed(_ id: ID, cause: String) {
        streaks[id] = nil
        lastCause[id] = cause
    }

    /// `id` delivered a batch: it is the active route from now on.
    public mutating func delivered(by id: ID, now: Instant) {
        guard id != active else { return }
        let previous = active
        let isFailback = previous.map { isPreferred(id, to: $0) } ?? false
        let cause: String
        if let previous {
            cause = isFailback ? "preferred route is back" : lastCause[previous] ?? "route not usable"
            if !isFailback { failovers.append(now) }
        } else {
            cause = "first delivery"
        }
        failovers.removeAll { now - $0 > Self.flapWindow }
        if failovers.count > 16 { failovers.removeFirst() }
        if previous != nil { switches &+= 1 }
        lastSwitch = Switch(from: previous, to: id, at: now, cause: cause)
        active = id
        activeSince = now
        streaks = [:]
    }

    /// How long the active route stays before a failback.
    public func stay(now: Instant) -> Duration {
        let flaps = failovers.count { now - $0 <= Self.flapWindow }
        return Backoff.bound(base: Self.minimumStay, exponent: max(0, flaps - 1), cap: Self.maximumStay)
    }

    private func mayFailBack(to id: ID, now: Instant) -> Bool {
        guard let streak = streaks[id], streak.good >= Self.probesForFailback else { return false }
        return now - streak.since >= Self.probeSpan && now - activeSince >= stay(now: now)
    }

    private func isPreferred(_ id: ID, to other: ID) -> Bool {
        guard let first = ids.firstIndex(of: id), let second = ids.firstIndex(of: other) else { return false }
        return first < second
    }
}
