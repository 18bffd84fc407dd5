/// What the proxy has done since it began.
public struct ScrapeProxyCounters: Sendable, Hashable {
    public var polls = 0
    public var evictions = 0
    /// Polls whose connection ended while they waited.
    public var lostPolls = 0
    /// Polls answered without a scrape, at the time that the client wished.
    public var expiredPolls = 0
    public var handedOut = 0
    /// By outcome: `ok`, or the word of the cause.
    public var scrapes: [String: Int] = [:]
    /// Pushes that nobody waited for any more.
    public var latePushes = 0
    /// Requests that may not be made.
    public var refusals: [ProxyRefusal: Int] = [:]
    /// Bytes of pages that went to scrapers, of what clients pushed, and of scrapes that went to clients.
    public var bodyBytes = 0
    public var pushedBytes = 0
    public var instructionBytes = 0
    /// How long scrapes waited for a poll, and how long clients had them.
    public var queueWaits = DurationHistogram()
    public var roundTrips = DurationHistogram()

    public init() {}
}

/// A listener with TLS.
public struct TLSListener: Sendable, Hashable {
    public var listener: String
    public var figures: ServerTLSFigures

    public init(_ listener: String, _ figures: ServerTLSFigures) {
        self.listener = listener
        self.figures = figures
    }
}

/// The proxy as the status shows it.
public struct ScrapeProxyFigures: Sendable, Hashable {
    public var counters = ScrapeProxyCounters()
    public var clients = 0
    public var waitingPolls = 0
    public var openScrapes = 0
    public var connections = 0
    /// Of the listeners with TLS, by where they listen.
    public var tls: [TLSListener] = []
    /// Addresses that are listened at.
    public var listening: [String] = []
    /// Why one cannot be had.
    public var trouble: String?

    public init() {}
}

/// A poll of one name at one proxy, as the status shows it.
public struct ScrapePollFigures: Sendable, Hashable {
    public var proxy: String
    public var name: String
    public var isUp = false
    public var lastError = ""
    public var polls = 0
    public var errors = 0

    public init(proxy: String, name: String) {
        self.proxy = proxy
        self.name = name
    }
}

/// The scrape client as the status shows it.
public struct ScrapeClientFigures: Sendable, Hashable {
    public var polls: [ScrapePollFigures] = []
    /// By outcome: `ok`, `refused`, `target`, `timeout`, `busy`.
    public var scrapes: [String: Int] = [:]
    public var pushErrors = 0
    /// Polls that another client of the same name ended.
    public var evictions = 0
    public var running = 0

    public init() {}
}
