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
    private(set) var table: ScrapeTable
    private(set) var counters = ScrapeProxyCounters()
    private var connections: [ScrapeTable.Connection: ProxyHandler] = [:]
    private var lastConnection: ScrapeTable.Connection = 0
    private var random = SystemRandomNumberGenerator()
    private var pruning: RepeatedTask?

    init(_ settings: ScrapeProxySettings, eventLoop: any EventLoop, log: Logger) {
        self.settings = settings
        self.eventLoop = eventLoop
        self.log = log
        table = ScrapeTable(limits: settings.table)
    }

    var now: Instant { KernelClock.monotonic() }
    var connectionCount: Int { connections.count }

    // MARK: Connections

    func enter(_ handler: ProxyHandler) -> ScrapeTable.Connection {
        lastConnection += 1
        connections[lastConnection] = handler
        return lastConnection
    }

    func leave(_ connection: ScrapeTable.Connection) { connections[connection] = nil }

    func startPruning() {
        let loop = NIOLoopBound(self, eventLoop: eventLoop)
        pruning = eventLoop.scheduleRepeatedTask(initialDelay: .seconds(30), delay: .seconds(30)) { _ in
            let hub = loop.value
            hub.table.prune(now: hub.now)
        }
    }

    // MARK: Polls

    /// A whole poll has come.
    func poll(_ handler: ProxyHandler, text: String, labels: String?) {
        counters.polls += 1
        guard let name = ScrapeName(text) else { return handler.reply(400, "not a name of a host\n") }
        guard handler.mayUse(name) else {
            return refuseName(handler, name)
        }
        let labels = DiscoveryList.labels(labels)
        handler.wait()
        perform(table.poll(handler.id, name: name, host: text, labels: labels, now: now))
    }

    func refuseName(_ handler: ProxyHandler, _ name: ScrapeName) {
        refused(.name)
        let peer = handler.tlsPeer?.value
        log.warning(
            "the certificate does not carry the name \(name)",
            metadata: [
                "peer": "\(handler.remoteAddress)", "serial": "\(peer?.serial ?? "")",
                "names": "\(peer?.dnsNames.joined(separator: " ") ?? "")",
            ])
        handler.reply(403, "")
    }

    /// A waiting poll has been answered without a scrape.
    func pollEnded(_ handler: ProxyHandler) { table.pollEnded(handler.id, now: now) }

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
        guard handler.mayUse(owner.name) else {
            refused(.identity)
            log.warning("a push from a stranger", metadata: ["peer": "\(handler.remoteAddress)"])
            return (nil, 403)
        }
        table.answer(owner.scrape, now: now)
        return (scraper, 0)
    }

    /// The response of a scrape has ended.
    func answered(_ handler: ProxyHandler, outcome: String, bytes: Int) {
        table.answered(handler.id)
        count(outcome)
        counters.bodyBytes = counters.bodyBytes.addingSaturated(bytes)
    }

    func refused(_ reason: ProxyRefusal) { counters.refusals[reason, default: 0] += 1 }

    /// A connection was ended with this status before anybody saw a request of it.
    func refusedUnseen(_ status: String, _ peer: SocketAddress?) {
        switch status {
        case ConnectionGuard.noTLS:
            refused(.tlsOnPlainPort)
            log.warning(
                "a TLS handshake came to a port without TLS", metadata: ["peer": "\(peer?.ipAddress ?? "unknown")"])
        case let text where text.hasPrefix("403"): refused(.network)
        case let text where text.hasPrefix("503"): refused(.connections)
        default: refused(.malformed)
        }
    }

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
        let remaining = scraper.remaining(at: now)
        poller.answerPoll(
            instruction.encoded(host: host, remaining: remaining - ScrapeTimeout.reserve(of: remaining)))
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
