import Pipeline

/// Chooses the road of each batch: breaker, probe and order of preference of an output's routes.
///
/// Owns: the decisions of each route. Receives: `deliver` from the sender's lanes. Sends: batches and probes to the
/// transports. Started by the sender, in whose task it lives; stops by cancellation.
public actor Router {
    private static let probeTimeout = Duration.seconds(3)

    private struct RouteState {
        let transport: any Transport
        var breaker: RouteBreaker
        var throttledUntil: Instant?
        /// For waits whose length the server leaves to us.
        var throttleBackoff = Backoff()
        var lastError: String?
        var lastErrorAt: Timestamp?
        /// The largest request that this road takes; a proxy on it may take less than the server.
        var learned = LearnedLimit()
        var retryBudget: RetryBudget
    }

    private let clock: any Clock
    private var random: JitterSource
    private var order: RouteOrder<String>
    private var states: [String: RouteState] = [:]

    public init(routes: [Route], clock: any Clock, random: JitterSource = JitterSource()) {
        self.clock = clock
        self.random = random
        let now = clock.now
        order = RouteOrder(routes.map(\.id), now: now)
        for route in routes {
            states[route.id] = RouteState(
                transport: route.transport,
                breaker: RouteBreaker(now: now, isAlone: routes.count == 1, needsProof: route.needsProof),
                retryBudget: RetryBudget(now: now))
        }
    }

    /// What the transports do by themselves, and the probes of routes, until cancelled.
    public func run() async throws {
        let transports = order.ids.compactMap { states[$0]?.transport }
        try await withThrowingDiscardingTaskGroup { group in
            for transport in transports { group.addTask { try await transport.run() } }
            group.addTask { try await self.watchRoutes() }
        }
    }

    /// Probes the routes that are preferred to the active one.
    private func watchRoutes() async throws {
        while true {
            let interval = RouteOrder<String>.probeInterval
            try await clock.sleep(for: order.ids.count > 1 ? interval : .seconds(3600))
            await lookForMending()
            for id in order.watched { await watch(id) }
        }
    }

    /// Sends `batch` over the best usable route; over the next one, with the same bytes, as soon as a breaker opens.
    /// `isRepetition`: these bytes were sent before.
    public func deliver(
        _ batch: Batch, id: BatchID, deadline: Instant, isRepetition: Bool = false
    ) async -> Delivery {
        await lookForMending()
        hurry()
        var tried: Set<String> = []
        var last: Delivery?
        var requests = 0
        while !Task.isCancelled, let route = best(except: tried) {
            if let waiting = throttled(route) {
                // It is there, only busy: another route is worth a look only when that lasts.
                guard let later = waiting.nextTry, later <= clock.now else { return waiting }
                order.failed(route, cause: waiting.outcome.reason)
                last = waiting
                tried.insert(route)
                continue
            }
            guard await permit(route) else {
                tried.insert(route)
                continue
            }
            guard let transport = states[route]?.transport else { break }
            if requests == 0, !isRepetition { states[route]?.retryBudget.sentFirstTry(now: clock.now) }
            requests += 1
            let before = order.lastSwitch
            let outcome = await transport.send(batch, id: id, deadline: deadline)
            if Task.isCancelled, !outcome.isFinal {
                states[route]?.breaker.gaveUp()
                return Delivery(outcome: outcome, route: route, requests: requests, nextTry: nil)
            }
            let isOpen = record(outcome, of: route, bytes: batch.textByteCount)
            let delivery = Delivery(
                outcome: outcome, route: route, requests: requests, nextTry: throttled(route)?.nextTry,
                change: order.lastSwitch == before ? nil : order.lastSwitch)
            guard isOpen else { return delivery }
            last = delivery
            tried.insert(route)
        }
        hurry()
        let errors = order.ids.compactMap { states[$0]?.lastError }
        let outcome = last?.outcome ?? .unavailable(reason: errors.first ?? "no route is usable")
        return Delivery(outcome: outcome, route: last?.route, requests: requests, nextTry: reopening)
    }

    public func status() -> RouterStatus {
        let routes = order.ids.compactMap { id in
            states[id].map { state in
                RouterStatus.RouteStatus(
                    id: id, breaker: state.breaker.state, since: state.breaker.since,
                    isMisconfigured: state.breaker.isMisconfigured, nextTry: state.breaker.opensUntil,
                    throttledUntil: state.throttledUntil, lastError: state.lastError,
                    lastErrorAt: state.lastErrorAt)
            }
        }
        return RouterStatus(
            active: order.active, activeSince: order.activeSince, lastSwitch: order.lastSwitch,
            switches: order.switches, routes: routes)
    }

    // MARK: What is known of the road that comes next

    /// Into how many parts a payload of `bytes` has to be cut for the road that would carry it now.
    public func parts(for bytes: Int) -> Int {
        nextState?.learned.parts(for: bytes, now: clock.now) ?? 1
    }

    /// Whether a request of so many bytes is not worth a try on that road.
    public func excludes(_ bytes: Int) -> Bool { nextState?.learned.excludes(bytes, now: clock.now) ?? false }

    private var nextState: RouteState? { (best(except: []) ?? order.active).flatMap { states[$0] } }

    /// Takes one repetition out of the budget of `route` and says when it may be sent.
    public func reserveRepetition(on route: String?) -> Instant {
        let now = clock.now
        guard let route else { return now }
        return states[route]?.retryBudget.reserve(now: now) ?? now
    }

    // MARK: What is mended by others

    private static let mendingInterval = Duration.seconds(1)

    /// Waits until `moment`, but no longer than until a route that was refused for its credentials has new ones, or a
    /// tunnel is back.
    public func wait(until moment: Instant) async throws {
        while clock.now < moment {
            let isWatching = await lookForMending()
            if isWatching == nil { return }
            let now = clock.now
            try await clock.sleep(until: isWatching == true ? min(moment, now + Self.mendingInterval) : moment)
        }
    }

    /// Lets a route try again whose tunnel is back, or a misconfigured one whose secrets were touched. nil when there is
    /// one; otherwise whether it is worth looking again.
    @discardableResult
    private func lookForMending() async -> Bool? {
        var isWatching = false
        for id in order.ids {
            guard let state = states[id], state.breaker.state == .open else { continue }
            if let isBack = await state.transport.isRoadBack() {
                if isBack {
                    states[id]?.breaker.roadReturned(now: clock.now)
                    return nil
                }
                isWatching = true
            }
            guard state.breaker.isMisconfigured else { continue }
            switch await state.transport.secretState() {
            case .new:
                states[id]?.breaker.mended(now: clock.now)
                return nil
            case .used: isWatching = true
            case .fixed: break
            }
        }
        return isWatching
    }

    // MARK: Choice

    /// What a batch gets to hear while `route` is asked to wait: its next try is in the past when another route may
    /// be taken instead.
    private func throttled(_ route: String) -> Delivery? {
        guard let state = states[route], let until = state.throttledUntil, until > clock.now else { return nil }
        let leave = order.ids.count > 1 ? state.breaker.throttledLongAt ?? until : until
        let outcome = DeliveryOutcome.throttled(retryAfter: nil, reason: state.lastError ?? "asked to wait")
        return Delivery(outcome: outcome, route: route, nextTry: min(leave, until))
    }

    private func best(except tried: Set<String>) -> String? {
        let now = clock.now
        return order.candidates(now: now) { id in
            !tried.contains(id) && (states[id]?.breaker.isUsable(now: now) ?? false)
        }.first
    }

    /// Where no route is usable, all of them are tried as often as the only one would be.
    private func hurry() {
        guard best(except: []) == nil else { return }
        for id in order.ids { states[id]?.breaker.needed() }
    }

    /// The first moment at which some route may be tried again.
    private var reopening: Instant {
        let now = clock.now
        let moments = states.values.map { state in
            max(state.breaker.opensUntil ?? now, state.throttledUntil ?? now, now + .milliseconds(50))
        }
        return moments.min() ?? now + .seconds(60)
    }

    /// Whether a batch may go over `route` now; probes it first where its breaker wants that.
    private func permit(_ route: String) async -> Bool {
        switch states[route]?.breaker.permission(now: clock.now) {
        case .send: return true
        case .probe: return await probe(route)
        case .wait, nil: return false
        }
    }

    private func probe(_ route: String) async -> Bool {
        guard let transport = states[route]?.transport else { return false }
        let outcome = await transport.probe(deadline: clock.now + Self.probeTimeout)
        if Task.isCancelled {
            states[route]?.breaker.gaveUp()
            return false
        }
        let now = clock.now
        states[route]?.breaker.probed(good: outcome.isGood, now: now, using: &random)
        order.probed(route, good: outcome.isGood, now: now)
        if case .bad(let reason) = outcome { note(reason, of: route) }
        return outcome.isGood
    }

    /// One round of probing a preferred route that does not carry the data now.
    private func watch(_ route: String) async {
        states[route]?.breaker.watched(now: clock.now)
        switch states[route]?.breaker.permission(now: clock.now) {
        case .send, .probe:
            _ = await probe(route)
            // Whoever has a batch may try it, and need not wait for our report.
            states[route]?.breaker.gaveUp()
        case .wait, nil: break
        }
    }

    // MARK: Results

    /// Takes note of an outcome; true when the route is closed to further tries for now.
    private func record(_ outcome: DeliveryOutcome, of route: String, bytes: Int) -> Bool {
        guard var state = states[route] else { return true }
        let now = clock.now
        if !outcome.reason.isEmpty { note(outcome.reason, &state) }
        var isOpen = false
        switch outcome {
        case .delivered, .partial, .data, .tooBig:
            state.breaker.succeeded(now: now)
            state.throttledUntil = nil
            state.throttleBackoff.reset()
            if outcome.isFinal {
                state.learned.accepted(bytes: bytes)
                order.delivered(by: route, now: now)
            }
            if case .tooBig = outcome { state.learned.refused(bytes: bytes, now: now) }
        case .throttled(let wish, _):
            let own = state.throttleBackoff.next(throttled: true, using: &random)
            // A wish of 0 s means "soon": our own back-off keeps a server that always says so from being hammered.
            let wait = wish.map { $0 > .zero ? $0 + .milliseconds(50) : own } ?? own
            state.throttledUntil = now + min(wait, ReplyDate.cap + .seconds(1))
            isOpen = state.breaker.failed(.throttled, now: now, using: &random)
        case .server, .ambiguous: isOpen = state.breaker.failed(.soft, now: now, using: &random)
        case .unavailable: isOpen = state.breaker.failed(.hard, now: now, using: &random)
        case .configuration, .createDatabase:
            isOpen = state.breaker.failed(.configuration, now: now, using: &random)
        }
        states[route] = state
        if isOpen { order.failed(route, cause: outcome.reason) }
        return isOpen
    }

    private func note(_ error: String, of route: String) {
        guard var state = states[route] else { return }
        note(error, &state)
        states[route] = state
    }

    private func note(_ error: String, _ state: inout RouteState) {
        state.lastError = error
        state.lastErrorAt = clock.wall
    }
}
