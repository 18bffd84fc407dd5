import Pipeline

/// What a child gets from its supervisor.
public struct ChildContext: Sendable {
    /// Where the child is in the tree: the ids from the root down, joined by `/`.
    public let path: String
    private let announce: @Sendable () -> Void

    public init(path: String, announce: @escaping @Sendable () -> Void) {
        self.path = path
        self.announce = announce
    }

    /// Says that the child serves, so the next sibling may start. Call it once; more is harmless.
    public func ready() { announce() }
}

/// One child of a supervisor: its rules and its body.
public struct ChildSpec: Sendable {
    /// A child's body: lives until it is cancelled, then cleans up and returns. Throws for what deserves a restart.
    public typealias Body = @Sendable (ChildContext) async throws -> Void

    public var policy: ChildPolicy
    public var run: Body
    /// Set when the child is a supervisor itself, for the status tree.
    let supervisor: Supervisor?

    public var id: String { policy.id }

    public init(
        id: String, restart: RestartRule = .permanent, whenExhausted: ExhaustionRule, intensity: RestartIntensity,
        stopTimeout: Duration, parkedStart: ParkedStart? = nil, run: @escaping Body
    ) {
        policy = ChildPolicy(
            id: id, restart: restart, whenExhausted: whenExhausted, intensity: intensity, stopTimeout: stopTimeout,
            parkedStart: parkedStart)
        self.run = run
        supervisor = nil
    }

    /// A supervisor as the child of another: permanent, escalating. `stopTimeout` must cover its whole subtree.
    public init(supervisor: Supervisor, intensity: RestartIntensity, stopTimeout: Duration) {
        policy = ChildPolicy(
            id: supervisor.id, restart: .permanent, whenExhausted: .escalate, intensity: intensity,
            stopTimeout: stopTimeout)
        run = { try await supervisor.run($0) }
        self.supervisor = supervisor
    }
}

/// Why a supervisor gave up.
public struct SupervisorError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// A child failed more often than its, or the supervisor's, intensity allows.
        case exhausted
        /// The run was abandoned by the parent and another one took its place.
        case superseded
    }

    public var code: Code
    public var supervisor: String
    public var message: String

    public var description: String { "supervisor \(supervisor): \(message)" }
}
