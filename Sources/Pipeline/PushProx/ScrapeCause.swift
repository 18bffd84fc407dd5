extension ScrapeTable {
    /// Why a scrape gets no response of its target.
    public enum Cause: Sendable, Hashable {
        case unknownName
        /// Known, but it did not poll in time.
        case notPolling(lastSeen: Duration)
        /// A client took it and pushed nothing in time.
        case noPush
        case tooMany
        case draining
        /// The client that took it is gone, and it may not be handed out again.
        case clientGone
        /// What was pushed cannot be used.
        case badPush(String)
    }
}

extension ScrapeTable.Cause {
    /// Which status says it. `always500` is what the real proxy does.
    public func status(always500: Bool = false) -> Int {
        if always500 { return 500 }
        return switch self {
        case .unknownName: 404
        case .notPolling, .noPush: 504
        case .tooMany, .draining: 503
        case .clientGone, .badPush: 502
        }
    }

    /// One line, for the body of the answer.
    public var text: String {
        switch self {
        case .unknownName: "no client of this name has polled"
        case .notPolling(let lastSeen):
            "the client did not poll in time; it was last seen \(lastSeen.wholeNanoseconds / 1_000_000_000) s ago"
        case .noPush: "the client took the scrape and pushed nothing in time"
        case .tooMany: "too many scrapes wait"
        case .draining: "the proxy is stopping"
        case .clientGone: "the client was lost after it took the scrape"
        case .badPush(let reason): "the client's push cannot be used: \(reason)"
        }
    }

    /// The same as the real proxy words it, for who looks for its words; what it does not know is worded by us.
    public func original(_ url: String) -> String {
        switch self {
        case .unknownName, .notPolling:
            "Error scraping \"\(url)\": Timeout reached for \"\(url)\": context deadline exceeded"
        case .noPush: "Error scraping \"\(url)\": context deadline exceeded"
        case .tooMany, .draining, .clientGone, .badPush: "Error scraping \"\(url)\": \(text)"
        }
    }

    /// A word for the counter.
    public var label: String {
        switch self {
        case .unknownName: "unknown_name"
        case .notPolling: "not_polling"
        case .noPush: "no_push"
        case .tooMany: "too_many"
        case .draining: "draining"
        case .clientGone: "client_gone"
        case .badPush: "bad_push"
        }
    }
}
