/// The polls of one name that wait for a scrape, the oldest first. One costs no memory of its own.
struct WaitingPolls: Sendable {
    struct Poll: Sendable {
        var connection: ScrapeTable.Connection
        /// Which client it is of, where the client says so; 0 where not.
        var instance: UInt64
    }

    /// How many clients may share a name.
    static let limit = 64

    private var first: Poll?
    private var others: [Poll] = []

    var isEmpty: Bool { first == nil }

    /// Adds a poll; what comes back is ended by it. Where a name is shared, that is an older poll of the same client;
    /// where it is not, any.
    mutating func add(_ poll: Poll, shares: Bool) -> ScrapeTable.Connection? {
        var ended: ScrapeTable.Connection?
        if let first {
            let same = poll.instance == 0 ? nil : ([first] + others).first { $0.instance == poll.instance }
            if let old = shares ? same : first {
                ended = old.connection
            } else if others.count >= WaitingPolls.limit - 1 {
                ended = first.connection
            }
        }
        if let ended { _ = remove(ended) }
        if first == nil { first = poll } else { others.append(poll) }
        return ended
    }

    /// The one that has waited longest.
    mutating func take() -> ScrapeTable.Connection? {
        defer { first = others.isEmpty ? nil : others.removeFirst() }
        return first?.connection
    }

    /// False when it does not wait here.
    mutating func remove(_ connection: ScrapeTable.Connection) -> Bool {
        if first?.connection == connection {
            _ = take()
            return true
        }
        guard let index = others.firstIndex(where: { $0.connection == connection }) else { return false }
        others.remove(at: index)
        return true
    }
}
