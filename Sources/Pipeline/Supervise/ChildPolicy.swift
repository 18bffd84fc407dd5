/// How many restarts are tolerated: more than `count` within `period` is too many.
public struct RestartIntensity: Sendable, Hashable {
    public var count: Int
    public var period: Duration

    public init(count: Int, period: Duration) {
        self.count = count
        self.period = period
    }
}

/// When an ended child is started again.
public enum RestartRule: Sendable, Hashable {
    /// Always; returning counts as a failure, because the child was meant to live as long as its supervisor.
    case permanent
    /// After a failure only; returning is success.
    case transient
    /// Never.
    case temporary
}

/// What happens when a child fails more often than its intensity allows.
public enum ExhaustionRule: Sendable, Hashable {
    /// The supervisor stops its children and fails upward.
    case escalate
    /// The child alone is given up for a while, visibly; its siblings go on.
    case park
}

/// Which siblings a failure takes along.
public enum SupervisionStrategy: String, Sendable, Hashable {
    /// None.
    case oneForOne = "one_for_one"
    /// All of them.
    case oneForAll = "one_for_all"
    /// Those that were started after the failed one.
    case restForOne = "rest_for_one"
}

/// In which order a supervisor stops several children.
public enum StopOrder: Sendable, Hashable {
    /// The reverse of the start order, one after the other, each with its own time-out.
    case reversed
    /// All at once: for siblings that know nothing of each other, where one that hangs must not delay the others.
    case together
}

/// A park verdict that was reached before the child ever started, by crash attribution.
public struct ParkedStart: Sendable, Hashable {
    public var delay: Duration
    public var reason: String

    public init(delay: Duration, reason: String) {
        self.delay = delay
        self.reason = reason
    }
}

/// The rules of one child, without its body.
public struct ChildPolicy: Sendable, Hashable {
    /// Unique among siblings.
    public var id: String
    public var restart: RestartRule
    public var whenExhausted: ExhaustionRule
    /// The child's own restart intensity. Failures of a child that escalates count against its supervisor's, too.
    public var intensity: RestartIntensity
    /// How long a cancelled child may take to end. After that it is abandoned.
    public var stopTimeout: Duration
    /// Set when the child begins parked.
    public var parkedStart: ParkedStart?

    public init(
        id: String, restart: RestartRule, whenExhausted: ExhaustionRule, intensity: RestartIntensity,
        stopTimeout: Duration, parkedStart: ParkedStart? = nil
    ) {
        self.id = id
        self.restart = restart
        self.whenExhausted = whenExhausted
        self.intensity = intensity
        self.stopTimeout = stopTimeout
        self.parkedStart = parkedStart
    }
}
