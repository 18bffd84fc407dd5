/// Whose handshake is done now, and who waits: so that thousands of clients that come back at once cost a bounded memory,
/// and each turn of the event loop a bounded time.
///
/// One mutating method per event. First come, first served. Bounds: `limit` at once; a ticket for each that waits, and as
/// many again of those that have left.
public struct HandshakeQueue: Sendable {
    public typealias Ticket = UInt64

    public let limit: Int
    public private(set) var running = 0
    private var waiting: Set<Ticket> = []
    /// The oldest first; those that are not in `waiting` have left.
    private var order: [Ticket] = []
    private var next = 0
    private var lastTicket: Ticket = 0

    public init(limit: Int) { self.limit = max(1, limit) }

    /// How many wait for their turn.
    public var waitingCount: Int { waiting.count }

    /// Somebody wants to begin: nil when it may, else the ticket under which it waits.
    public mutating func enter() -> Ticket? {
        guard running >= limit else {
            running += 1
            return nil
        }
        lastTicket &+= 1
        waiting.insert(lastTicket)
        order.append(lastTicket)
        return lastTicket
    }

    /// One that ran has ended. Whose turn it is now; it counts as running from here on.
    public mutating func leave() -> Ticket? {
        while next < order.count {
            let ticket = order[next]
            next += 1
            if waiting.remove(ticket) != nil {
                compact()
                return ticket
            }
        }
        compact()
        running -= 1
        return nil
    }

    /// One that waited is gone.
    public mutating func forget(_ ticket: Ticket) {
        guard waiting.remove(ticket) != nil else { return }
        compact()
    }

    private mutating func compact() {
        guard order.count > 2 * waiting.count + 64 else { return }
        order = order[next...].filter { waiting.contains($0) }
        next = 0
    }
}
