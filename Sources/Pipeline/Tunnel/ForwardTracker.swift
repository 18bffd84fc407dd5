/// What is known of one forward at a moment, for status and metrics.
public struct ForwardStatus: Sendable, Hashable {
    public var id: String
    public var tunnel: String
    public var kind: ForwardSpec.Kind
    public var bind: String
    public var target: String
    /// It serves routes of outputs and has no port.
    public var isInternal = false
    public var state = TunnelState.pending
    public var reason: TunnelReason?
    public var message = ""
    /// How long in this state.
    public var since = Duration.zero
    /// How long ago a connection reached the target or a probe went through.
    public var lastOK: Duration?
    /// How often it was set up anew.
    public var restarts: UInt64 = 0
    /// The port that the server or the kernel chose.
    public var port: UInt16?
    public var openConnections = 0
    public var connections: UInt64 = 0
    public var failures: UInt64 = 0
    public var sentBytes: UInt64 = 0
    public var receivedBytes: UInt64 = 0

    public init(id: String, tunnel: String, kind: ForwardSpec.Kind, bind: String, target: String) {
        self.id = id
        self.tunnel = tunnel
        self.kind = kind
        self.bind = bind
        self.target = target
    }
}

/// What is known of one tunnel at a moment.
public struct TunnelStatus: Sendable, Hashable {
    public var name: String
    public var server: String
    public var state = TunnelState.pending
    public var reason: TunnelReason?
    public var message = ""
    public var since = Duration.zero
    /// How long ago the server last answered.
    public var lastOK: Duration?
    /// Sessions made after the first.
    public var restarts: UInt64 = 0
    /// Until the next try.
    public var retryIn: Duration?
    public var roundTrip: Duration?
    /// How we proved who we are: `publickey SHA256:…`.
    public var method = ""
    public var fingerprint = ""
    public var openConnections = 0
    public var forwards: [ForwardStatus] = []

    public init(name: String, server: String) {
        self.name = name
        self.server = server
    }
}

/// The state of a tunnel or forward with its reason, when it began, and when all was well last.
public struct StateTracker: Sendable, Hashable {
    public private(set) var state = TunnelState.pending
    public private(set) var reason: TunnelReason?
    public private(set) var message = ""
    public private(set) var since: Instant
    public private(set) var lastOK: Instant?
    public private(set) var restarts: UInt64 = 0
    private var failuresInARow = 0
    private var wasUp = false
    /// A probe has set the state: only a probe can tell that what it found is over. Clients may well get through where
    /// the server listens at the wrong address, or where the target answers with errors.
    private var isFromProbe = false

    /// Failed connections in a row that make a forward degraded.
    private static let failureLimit = 3

    public init(now: Instant) { since = now }

    /// Sets the state; true when that is a change worth a line in the log.
    @discardableResult
    public mutating func become(
        _ state: TunnelState, _ reason: TunnelReason? = nil, _ message: String = "", now: Instant
    ) -> Bool {
        if state == .up, self.state != .up, self.state != .degraded {
            if wasUp { restarts = restarts.addingSaturated(1) }
            wasUp = true
            failuresInARow = 0
        }
        isFromProbe = false
        self.message = message
        guard state != self.state || reason != self.reason else { return false }
        if state != self.state { since = now }
        self.state = state
        self.reason = reason
        return true
    }

    /// A connection reached its target, or the server answered. True when that ended a degradation.
    @discardableResult
    public mutating func succeeded(now: Instant) -> Bool {
        failuresInARow = 0
        guard !isFromProbe || reason == .targetRefused || reason == .targetTimeout else { return false }
        lastOK = now
        return state == .degraded ? become(.up, now: now) : false
    }

    /// A connection did not reach its target. True when that made the forward degraded.
    @discardableResult
    public mutating func failed(_ reason: TunnelReason, _ message: String, now: Instant) -> Bool {
        failuresInARow = failuresInARow.addingSaturated(1)
        guard !isFromProbe, state == .degraded || state == .up && failuresInARow >= Self.failureLimit else {
            return false
        }
        return become(.degraded, reason, message, now: now)
    }

    /// A probe came to its end: nil when all is well. It counts only for what stands. True when that is a change.
    @discardableResult
    public mutating func probed(_ failure: TunnelFailure?, now: Instant) -> Bool {
        guard state == .up || state == .degraded else { return false }
        guard let failure else {
            isFromProbe = false
            return succeeded(now: now)
        }
        defer { isFromProbe = true }
        return become(.degraded, failure.reason, failure.message, now: now)
    }
}
