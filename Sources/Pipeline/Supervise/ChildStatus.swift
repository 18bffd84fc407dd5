/// Where a child is in its life.
public enum ChildState: String, Sendable, Hashable, CaseIterable {
    /// Its turn to start has not come.
    case waiting
    /// Started, not yet ready.
    case starting
    case running
    /// Failed; a restart is due.
    case backingOff = "backing_off"
    /// Failed too often; given up for minutes, then tried again.
    case parked
    /// Cancelled, not yet ended.
    case stopping
    /// Ended, and not to be started again.
    case stopped
}

/// One node of the supervision tree, as the status shows it.
public struct ChildStatus: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable { case worker, supervisor }

    public var id: String
    public var kind: Kind
    public var state: ChildState
    /// How long it has been in `state`.
    public var age: Duration
    public var restarts: UInt64
    /// How many of its runs did not end when told to and were left behind.
    public var abandoned: UInt64
    public var lastError: String?
    /// How long until it is started again; nil unless it backs off or is parked.
    public var retryIn: Duration?
    public var children: [ChildStatus]

    public init(
        id: String, kind: Kind, state: ChildState, age: Duration, restarts: UInt64 = 0, abandoned: UInt64 = 0,
        lastError: String? = nil, retryIn: Duration? = nil, children: [ChildStatus] = []
    ) {
        self.id = id
        self.kind = kind
        self.state = state
        self.age = age
        self.restarts = restarts
        self.abandoned = abandoned
        self.lastError = lastError
        self.retryIn = retryIn
        self.children = children
    }

    /// This node and everything below it, parents first, each with its path (ids joined by `/`).
    public func flattened(under parent: String = "") -> [(path: String, status: ChildStatus)] {
        let path = parent.isEmpty ? id : parent + "/" + id
        return [(path, self)] + children.flatMap { $0.flattened(under: path) }
    }
}
