import Pipeline

/// What a router did with a batch.
public struct Delivery: Sendable, Hashable {
    public var outcome: DeliveryOutcome
    /// The route that gave the outcome; nil when none was usable.
    public var route: String?
    /// Requests that carried the batch in this try; 0 when only waits and probes were called for.
    public var requests = 0
    /// Before that moment another try is pointless; nil when the sender's own back-off decides.
    public var nextTry: Instant?
    /// Set when this delivery made another route the active one.
    public var change: RouteOrder<String>.Switch?
}

/// The routes of one output, as the status page shows them.
public struct RouterStatus: Sendable, Hashable {
    public struct RouteStatus: Sendable, Hashable {
        public var id: String
        public var breaker: RouteBreaker.State
        /// When the breaker entered its state.
        public var since: Instant
        public var isMisconfigured: Bool
        /// When an open breaker tries again.
        public var nextTry: Instant?
        /// Until when the destination asked us to wait.
        public var throttledUntil: Instant?
        public var lastError: String?
        public var lastErrorAt: Timestamp?
    }

    /// The route of the last delivery.
    public var active: String?
    public var activeSince: Instant
    public var lastSwitch: RouteOrder<String>.Switch?
    public var switches: UInt64 = 0
    public var routes: [RouteStatus]
}
