import Logging
import NIOCore
import Pipeline

/// The scrape proxy on its event loop: the table of who waits for whom, and the connections by number.
///
/// Lives on one event loop only, with every connection of every listener; what happens between two of them is a call.
final class ScrapeHub {
    let settings: ScrapeProxySettings
    let eventLoop: any EventLoop
    let log: Logger
    let access: ClientAccess
    private(set) var table: ScrapeTable
    private(set) var counters = ScrapeProxyCounters()
    private var connections: [ScrapeTable.Connection: ProxyHandler] = [:]
    private var lastConnection: ScrapeTable.Connection = 0
    private var random = SystemRandomNumberGenerator()
    private var pruning: RepeatedTask?
    let timers: LoopTimers
    /// The most connections since memory was given back to the system.
    private var mostConnections = 0
    private var isGivingBack = false
    /// So many connections or names that are gone are worth a walk over the heap.
    private static let manyGone = 200

    init(_ settings: ScrapeProxySettings, eventLoop: any EventLoop, log: Logger) {
        self.settings = settings
        self.eventLoop = eventLoop
        self.log = log
        access = ClientAccess(settings.names, log: log)
        table = ScrapeTable(limits: settings.table)
        timers = LoopTimers(eventLoop)
    }

    var now: Instant { KernelClock.monotonic() }
    var connectionCount: Int { connections.count }

    // MARK: Connections

    func enter(_ handler: ProxyHandler) -> ScrapeTable.Connection {
        lastConnection += 1
        connections[lastConnection] = handler
        mostConnections = max(mostConnections, connections.count)
        return lastConnection
    }

    func leave(_ connection: ScrapeTable.Connection) {
        connections[connection] = nil
        guard !isGivingBack, mostConnections - connections.count >= ScrapeHub.manyGone else { return }
        isGivingBack = true
        // Later, and once for all that end until then: it looks at the whole heap.
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(3)) { [weak self] in
            guard let self else { return }
            self.isGivingBack = false
            self.mostConnections = self.connections.count
            OwnProcess.giveBackMemory()
        }
    }

    func startPruning() {
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        pruning = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(30), delay: .seconds(30)) { _ in
            let hub = loop.value
            let before = hub.table.knownClients
            hub.table.prune(now: hub.now)
            // Small things that stayed among large ones that have long gone.
            if before - hub.table.knownClients >= ScrapeHub.manyGone { OwnProcess.giveBackMemory() }
        }
    }

    // MARK: Polls

    /// A whole poll has come.
    func poll(_ handler: ProxyHandler, text: String, labels: String?, instance: UInt64) {
        counters.polls += 1
        guard let name = ScrapeName(text) else { return handler.reply(400, "not a name of a host\n") }
        if let status = refusal(of: handler, on: name) { return handler.reply(status, "") }
        handler.wait()
        perform(
            table.poll(
                handler.id, name: name, host: text, labels: DiscoveryList.labels(labels), instance: instance, now: now))
    }

    /// A waiting poll has been answered without a scrape.
    func pollEnded(_ handler: ProxyHandler) {
        if !table.isDraining { counters.expiredPolls += 1 }
        table.pollEnded(handler.id, now: now)
    }

    /// The connection of a poll is gone, or of one that was answered and has taken scrapes.
    func pollerGone(_ connection: ScrapeTable.Connection, wasWaiting: Bool, isDeath: Bool) {
        if wasWaiting {
            counters.lostPolls += 1
            table.pollEnded(connection, now: now)
        }
        if isDeath { perform(table.takerDied(connection, now: now)) }
    }

    // MARK: Scrapes

    /// A whole scrape has come; the handler has its deadline. Gives it its number in the table.
    func scrape(_ handler: ProxyHandler, _ instruction: ScrapeInstruction) {
        let name = instruction.target.name
        let grace = settings.unknownGrace
        let waits = grace > .zero && !table.isKnown(name)
        if let action = table.scrape(
            handler.id, id: instruction.id, name: name, isRepeatable: instruction.isRepeatable,
            waitsForUnknown: waits, now: now)
        {
            perform([action])
        } else if waits {
            handler.limitUnknown(grace, name)
        }
    }

    /// RFC 9562, version 4.
    func newID() -> String {
        let high = random.next() & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
        let low = random.next() & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
        }
        return [
            hex(high >> 32, 8), hex(high >> 16 & 0xFFFF, 4), hex(high & 0xFFFF, 4), hex(low >> 48, 4),
            hex(low & 0xFFFF_FFFF_FFFF, 12),
        ].joined(separator: "-")
    }

    /// The time of a scrape is over, or its scraper is gone. nil while it is being answered.
    func expire(_ handler: ProxyHandler) -> ScrapeTable.Cause? { table.expire(handler.id, now: now) }

    func count(_ outcome: String) { counters.scrapes[outcome, default: 0] += 1 }

    // MARK: Pushes

    /// Who waits for the response `id`, if the pusher may bring it. Errors: the status for the pusher.
    func claim(_ id: String?, by handler: ProxyHandler) -> (scraper: ProxyHandler?, refusal: Int) {
        guard let id, let owner = table.owner(of: id), let scraper = connections[owner.scrape] else {
            counters.latePushes += 1
            return (nil, 410)
        }
        if let status = refusal(of: handler, on: owner.name) { return (nil, status) }
        guard handler.identity == scraper.taker else {
            refused(.identity)
            say("a push by another client than the one that has the scrape", handler)
            return (nil, 403)
        }
        table.answer(owner.scrape, now: now)
        return (scraper, 0)
    }

    /// The response of a scrape has ended.
    func answered(_ handler: ProxyHandler, outcome: String, bytes: Int) {
        table.answered(handler.id)
        count(outcome)
        if outcome == "ok" { counters.roundTrips.add(now - handler.handedOut) }
        counters.bodyBytes = counters.bodyBytes.addingSaturated(bytes)
    }

    /// Bytes of a push have come.
    func pushed(_ bytes: Int) { counters.pushedBytes = counters.pushedBytes.addingSaturated(bytes) }

    func refused(_ reason: ProxyRefusal) { counters.refusals[reason, default: 0] += 1 }

    // MARK: What the table decides

    private func perform(_ actions: [ScrapeTable.Action]) {
        for action in actions {
            switch action {
            case .handOut(let poll, let scrape, _, let host): handOut(poll, scrape, host)
            case .evict(let poll):
                counters.evictions += 1
                connections[poll]?.reply(408, "")
            case .refuse(let poll): connections[poll]?.reply(503, "")
            case .fail(let scrape, let cause): connections[scrape]?.fail(cause)
            }
        }
    }

    private func handOut(_ poll: ScrapeTable.Connection, _ scrape: ScrapeTable.Connection, _ host: String) {
        guard let poller = connections[poll], let scraper = connections[scrape],
            let instruction = scraper.instruction
        else { return perform(table.takerDied(poll, now: now)) }
        counters.handedOut += 1
        let now = now
        if scraper.handedOut == .zero { counters.queueWaits.add(now - scraper.arrived) }
        scraper.handedOut = now
        scraper.taker = poller.identity
        let remaining = scraper.remaining(at: now)
        let bytes = instruction.encoded(host: host, remaining: remaining - ScrapeTimeout.reserve(of: remaining))
        counters.instructionBytes = counters.instructionBytes.addingSaturated(bytes.count)
        poller.answerPoll(bytes)
    }

    // MARK: The end

    /// Turns new scrapes away and ends polls; what clients have taken may still be pushed.
    func drain() {
        pruning?.cancel()
        perform(table.drain())
        for handler in Array(connections.values) { handler.drain() }
    }

    func closeAll() {
        for handler in Array(connections.values) { handler.close() }
    }

    func figures() -> ScrapeProxyFigures {
        var figures = ScrapeProxyFigures()
        figures.counters = counters
        figures.clients = table.knownClients
        figures.waitingPolls = table.waitingPolls
        figures.openScrapes = table.openScrapes
        figures.connections = connections.count
        return figures
    }
}
