import Pipeline

/// Who knows how a road through a tunnel is.
public protocol RoadWatch: Sendable {
    func condition(of road: TunnelRoad) async -> RoadCondition
}

/// A transport over a tunnel of our own: says what the tunnel knows about a failure, so that a session that is down, a
/// database that is dead behind a session that stands, and a database that refuses are told apart.
///
/// Owns: whether the road was found closed. Receives: `send`, `probe`. Sends: the same to the transport that it wraps; a
/// question to the tunnel after each failure, and none after a success. It has no task of its own.
public actor TunnelTransport: Transport {
    private let road: TunnelRoad
    private let inner: any Transport
    private let tunnels: any RoadWatch
    private let clock: any Clock
    /// Nothing could go over the road when something was to be sent.
    private var wasClosed = false

    /// `inner` connects to the socket at which the tunnel listens for `road`.
    public init(road: TunnelRoad, inner: any Transport, tunnels: any RoadWatch, clock: any Clock) {
        self.road = road
        self.inner = inner
        self.tunnels = tunnels
        self.clock = clock
    }

    public func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome {
        let started = clock.now
        let outcome = await inner.send(batch, id: id, deadline: deadline)
        switch outcome {
        case .unavailable, .ambiguous:
            guard let (complaint, isSure) = await complaint(since: started) else { return outcome }
            // Also where nobody knows whether it arrived: the same bytes go over the next road at once.
            guard isSure else { return .ambiguous(reason: complaint) }
            return .unavailable(reason: complaint)
        default: return outcome
        }
    }

    public func probe(deadline: Instant) async -> ProbeOutcome {
        let started = clock.now
        let outcome = await inner.probe(deadline: deadline)
        guard !outcome.isGood, let complaint = await complaint(since: started) else { return outcome }
        return .bad(reason: complaint.text)
    }

    public func run() async throws { try await inner.run() }
    public func secretState() async -> SecretState { await inner.secretState() }

    public func isRoadBack() async -> Bool? {
        guard wasClosed else { return nil }
        // Also without us the tunnel asks for its target every half a minute.
        guard case .up(nil, _) = await tunnels.condition(of: road) else { return false }
        wasClosed = false
        return true
    }

    /// What the tunnel says about a failure of something that began at `started`, and whether that is sure to be the
    /// cause; nil when it has nothing to say.
    private func complaint(since started: Instant) async -> (text: String, isSure: Bool)? {
        let condition = await tunnels.condition(of: road)
        guard let text = condition.complaint(of: road) else { return nil }
        switch condition {
        case .down:
            wasClosed = true
            return (text, true)
        case .up(let failure, let at):
            // An older failure of another connection explains nothing.
            guard at >= started else { return nil }
            // On a line that is slow, and full of our own data, a new connection takes its time.
            let isSure = failure?.reason != .targetTimeout
            if isSure { wasClosed = true }
            return (text, isSure)
        }
    }
}
