/// Who polls, who asks, and which of them belong together: the whole memory of a scrape proxy, without its sockets.
///
/// One mutating method per event; each returns what the connections must do. A poll, a scrape and a push are known by
/// numbers that the shell gives them, a scrape also by the id that goes over the wire.
/// Promises: a scrape is answered once; it is handed to one poll, and once more when that poll's connection dies before
/// the push, if it may be repeated; a poll that is gone gets nothing. Bounds: names, waiting scrapes per name and in all.
public struct ScrapeTable: Sendable {
    public typealias Connection = UInt64

    public struct Limits: Sendable, Hashable {
        /// Names at the same time.
        public var names = 20_000
        /// Scrapes that wait for a poll of one name.
        public var waitingPerName = 64
        /// Scrapes under way, waiting or taken.
        public var scrapes = 10_000
        /// How long a name is known after its last poll ended.
        public var registration = Duration.seconds(300)
        /// Clients of one name share its scrapes; without that the last one to poll ends the others' polls.
        public var sharesNames = false

        public init() {}
    }

    public enum Action: Sendable, Hashable {
        /// Answer a poll with a scrape, in which the host is spelt like this.
        case handOut(poll: Connection, scrape: Connection, id: String, host: String)
        /// Another poll of the same name has come.
        case evict(poll: Connection)
        /// A scrape's answer is this.
        case fail(scrape: Connection, Cause)
        /// A name that cannot be taken: the table is full.
        case refuse(poll: Connection)
    }

    struct Client: Sendable {
        /// As the client spells it.
        var host: String
        var labels: [HTTPField]
        var waiting = WaitingPolls()
        /// Scrapes that no poll has taken yet, oldest first.
        var queue: [Connection] = []
        var lastSeen: Instant
        var taken = 0
    }

    struct Scrape: Sendable {
        var id: String
        var name: ScrapeName
        var isRepeatable: Bool
        var poll: Connection?
        var wasRepeated = false
        var isAnswering = false
    }

    public let limits: Limits
    public private(set) var isDraining = false
    var clients: [ScrapeName: Client] = [:]
    private var polls: [Connection: ScrapeName] = [:]
    private var scrapes: [Connection: Scrape] = [:]
    private var ids: [String: Connection] = [:]
    /// Which scrapes a connection has taken, until they are pushed.
    private var takers: [Connection: [Connection]] = [:]

    public init(limits: Limits = Limits()) { self.limits = limits }

    // MARK: Polls

    /// A client polls over a connection, which waits for nothing else. `instance` tells clients of one name apart.
    public mutating func poll(
        _ poll: Connection, name: ScrapeName, host: String, labels: [HTTPField] = [], instance: UInt64 = 0,
        now: Instant
    ) -> [Action] {
        let known = clients.index(forKey: name)
        guard !isDraining, known != nil || clients.count < limits.names else { return [.refuse(poll: poll)] }
        // A name is kept once, not once for each place where it stands: there are thousands.
        let name = known.map { clients[$0].key } ?? name
        var client = known.map { clients[$0].value } ?? Client(host: "", labels: [], lastSeen: now)
        if client.host != host { client.host = host == name.description ? name.description : host }
        client.labels = labels
        client.lastSeen = now
        guard client.queue.isEmpty else {
            let scrape = client.queue.removeFirst()
            clients[name] = client
            return [handOut(scrape, to: poll, name)]
        }
        let ended = client.waiting.add(
            WaitingPolls.Poll(connection: poll, instance: instance), shares: limits.sharesNames)
        polls[poll] = name
        clients[name] = client
        guard let ended else { return [] }
        polls[ended] = nil
        return [.evict(poll: ended)]
    }

    /// A waiting poll ended without a scrape: its connection is gone, or it was answered for its age.
    public mutating func pollEnded(_ poll: Connection, now: Instant) {
        guard let name = polls.removeValue(forKey: poll) else { return }
        _ = clients[name]?.waiting.remove(poll)
        clients[name]?.lastSeen = now
    }

    private mutating func handOut(_ scrape: Connection, to poll: Connection, _ name: ScrapeName) -> Action {
        scrapes[scrape]?.poll = poll
        takers[poll, default: []].append(scrape)
        clients[name]?.taken += 1
        return .handOut(
            poll: poll, scrape: scrape, id: scrapes[scrape]?.id ?? "", host: clients[name]?.host ?? name.description)
    }

    /// The connection over which scrapes were handed out is dead: they may not have arrived. Each is handed out once
    /// more where that does no harm.
    public mutating func takerDied(_ connection: Connection, now: Instant) -> [Action] {
        pollEnded(connection, now: now)
        var actions: [Action] = []
        for scrape in takers.removeValue(forKey: connection) ?? [] {
            guard var entry = scrapes[scrape], entry.poll == connection, !entry.isAnswering else { continue }
            clients[entry.name]?.taken -= 1
            guard entry.isRepeatable, !entry.wasRepeated, !isDraining else {
                end(scrape)
                actions.append(.fail(scrape: scrape, .clientGone))
                continue
            }
            entry.poll = nil
            entry.wasRepeated = true
            scrapes[scrape] = entry
            if let next = offer(scrape, entry.name) { actions.append(next) }
        }
        return actions
    }

    /// To the poll that waits, or to the front of the queue.
    private mutating func offer(_ scrape: Connection, _ name: ScrapeName) -> Action? {
        guard let poll = clients[name]?.waiting.take() else {
            clients[name]?.queue.insert(scrape, at: 0)
            return nil
        }
        polls[poll] = nil
        return handOut(scrape, to: poll, name)
    }

    // MARK: Scrapes

    /// Somebody asks for `name`. Without an action the scrape waits: for a poll, or, where `isKnown` says no, for the
    /// name to become known.
    public mutating func scrape(
        _ scrape: Connection, id: String, name: ScrapeName, isRepeatable: Bool, waitsForUnknown: Bool, now: Instant
    ) -> Action? {
        if isDraining { return .fail(scrape: scrape, .draining) }
        guard scrapes.count < limits.scrapes else { return .fail(scrape: scrape, .tooMany) }
        if clients[name] == nil {
            guard waitsForUnknown else { return .fail(scrape: scrape, .unknownName) }
            guard clients.count < limits.names else { return .fail(scrape: scrape, .tooMany) }
            // Not a client: it is gone with its last waiting scrape.
            clients[name] = Client(host: "", labels: [], lastSeen: now)
        }
        if let poll = clients[name]?.waiting.take() {
            polls[poll] = nil
            add(scrape, id, name, isRepeatable)
            return handOut(scrape, to: poll, name)
        }
        guard clients[name].map({ $0.queue.count < limits.waitingPerName }) ?? false else {
            return .fail(scrape: scrape, .tooMany)
        }
        add(scrape, id, name, isRepeatable)
        clients[name]?.queue.append(scrape)
        return nil
    }

    private mutating func add(_ scrape: Connection, _ id: String, _ name: ScrapeName, _ isRepeatable: Bool) {
        scrapes[scrape] = Scrape(id: id, name: name, isRepeatable: isRepeatable)
        ids[id] = scrape
    }

    /// Whether a client of this name has polled lately.
    public func isKnown(_ name: ScrapeName) -> Bool { clients[name].map { !$0.host.isEmpty } ?? false }

    /// The time of a scrape is over, or its scraper gone: it is forgotten. Why nothing came; nil when it was not known
    /// or is being answered.
    public mutating func expire(_ scrape: Connection, now: Instant) -> Cause? {
        guard let entry = scrapes[scrape], !entry.isAnswering else { return nil }
        let client = clients[entry.name]
        if entry.poll != nil { clients[entry.name]?.taken -= 1 }
        end(scrape)
        guard entry.poll == nil else { return .noPush }
        guard let client, !client.host.isEmpty else { return .unknownName }
        return .notPolling(lastSeen: max(.zero, now - client.lastSeen))
    }

    private mutating func end(_ scrape: Connection) {
        guard let entry = scrapes.removeValue(forKey: scrape) else { return }
        ids[entry.id] = nil
        if let poll = entry.poll, var taken = takers[poll] {
            taken.removeAll { $0 == scrape }
            takers[poll] = taken.isEmpty ? nil : taken
        } else {
            clients[entry.name]?.queue.removeAll { $0 == scrape }
            if let client = clients[entry.name], client.host.isEmpty, client.queue.isEmpty { clients[entry.name] = nil }
        }
    }

    // MARK: Pushes

    /// Somebody brings the response to the scrape `id`: who asked for it and under which name it was polled; nil when
    /// nobody asked, it is answered already, or its time is over.
    public func owner(of id: String) -> (scrape: Connection, name: ScrapeName)? {
        guard let scrape = ids[id], let entry = scrapes[scrape], !entry.isAnswering, entry.poll != nil else {
            return nil
        }
        return (scrape, entry.name)
    }

    /// The response begins: a second one is not taken.
    public mutating func answer(_ scrape: Connection, now: Instant) {
        guard let entry = scrapes[scrape], !entry.isAnswering else { return }
        scrapes[scrape]?.isAnswering = true
        clients[entry.name]?.taken -= 1
        clients[entry.name]?.lastSeen = now
    }

    /// The response has ended, well or badly.
    public mutating func answered(_ scrape: Connection) { end(scrape) }

    // MARK: Housekeeping

    /// Forgets names that have neither polled nor been busy for the registration time.
    public mutating func prune(now: Instant) {
        clients = clients.filter { _, client in
            !client.waiting.isEmpty || !client.queue.isEmpty || client.taken > 0
                || now - client.lastSeen < limits.registration
        }
    }

    /// From now on every new scrape is turned away, and so is each that no client has taken.
    public mutating func drain() -> [Action] {
        isDraining = true
        let waiting = clients.values.flatMap(\.queue)
        for scrape in waiting { end(scrape) }
        return waiting.map { .fail(scrape: $0, .draining) }
    }

    /// All names with their labels, for `/clients`. A name that is connected is on it however long its poll has waited.
    public var discovery: [(name: String, labels: [HTTPField])] {
        clients.values.filter { !$0.host.isEmpty }.map { ($0.host, $0.labels) }
    }

    public var waitingPolls: Int { polls.count }
    public var knownClients: Int { clients.values.reduce(0) { $0 + ($1.host.isEmpty ? 0 : 1) } }
    public var openScrapes: Int { scrapes.count }
    public var waitingScrapes: Int { scrapes.values.reduce(0) { $0 + ($1.poll == nil ? 1 : 0) } }
}
