import Pipeline

/// What a sender has done since it was made, and where its routes stand.
public struct SenderStatus: Sendable, Hashable {
    public var output: String
    /// Points the destination has, points it refused, points that no request can carry.
    public var delivered: UInt64 = 0
    public var rejected: UInt64 = 0
    public var undeliverable: UInt64 = 0
    public var batches: UInt64 = 0
    /// Requests by outcome; every class is present.
    public var requests: [DeliveryOutcome.Class: UInt64] = [:]
    /// Requests that repeated an earlier one.
    public var retries: UInt64 = 0
    /// Payload bytes handed to routes, repetitions included.
    public var bytes: UInt64 = 0
    /// Of the last request that was accepted.
    public var lastLatency: Duration?
    public var lastDelivery: Timestamp?
    public var lastError: String?
    public var lastErrorAt: Timestamp?
    /// Lines in the dead-letter ring, and all that ever came.
    public var deadLetters = 0
    public var deadLettersTotal: UInt64 = 0
    /// What each lane does: the sequence it works on.
    public var inFlight: [Lane: UInt64] = [:]
    /// Bytes per second that replay may use now.
    public var replayRate: Double = 0
    public var router: RouterStatus

    init(output: String, router: RouterStatus) {
        self.output = output
        self.router = router
        for outcome in DeliveryOutcome.Class.allCases { requests[outcome] = 0 }
    }
}

/// How a sender behaves, apart from where it sends to.
public struct SenderSettings: Sendable, Hashable {
    /// Upper bound of replay, bytes on the wire per second.
    public var replayBytesPerSecond: Int
    /// Bytes of dead letters that are kept.
    public var deadLetterBytes = 4 << 20
    /// Upper bound of everything that is sent; nil without one.
    public var rateLimit: RateLimit?
    /// The longest that one try over all routes may take.
    public var tryLimit = Duration.seconds(120)

    public init(replayBytesPerSecond: Int = 1 << 20) { self.replayBytesPerSecond = replayBytesPerSecond }
}
