import NIOCore
import NIOHTTP1
import Pipeline

/// The scraper's side of a connection.
extension ProxyHandler {
    func beginScrape(_ request: ProxyRequest) {
        let fields = request.head.headers.map { HTTPField($0.name, $0.value) }
        guard let target = ProxiedTarget(absolute: request.head.uri) else {
            return reply(hub.settings.always500 ? 500 : 400, "the target is not http://name:port/path\n")
        }
        guard InnerHead.fits(fields, line: request.head.uri) else {
            return reply(hub.settings.always500 ? 500 : 431, "the scrape's head is too large\n")
        }
        guard
            let time = ScrapeTimeout.parse(
                fields.first("x-prometheus-scrape-timeout-seconds"), fallback: hub.settings.defaultTimeout,
                limit: hub.settings.timeoutLimit)
        else { return reply(hub.settings.always500 ? 500 : 400, "the scrape leaves no time\n") }
        if let refusal = hub.refusal(of: self, asking: target) {
            return reply(hub.settings.always500 ? 500 : 403, "\(refusal)\n")
        }
        patience = time
        handedOut = .zero
        deadline = hub.now + time - ScrapeTimeout.reserve(of: time)
        let made = ScrapeInstruction(
            method: request.head.method.rawValue, target: target, fields: fields, body: takeBody(), id: hub.newID())
        instruction = made
        phase = .scraping
        limitScrape()
        hub.scrape(self, made)
    }

    /// When the scrape came.
    var arrived: Instant { deadline - patience + ScrapeTimeout.reserve(of: patience) }

    /// The time that is left for a client.
    func remaining(at now: Instant) -> Duration { max(.milliseconds(1), deadline - now) }

    private func limitScrape() {
        schedule(deadline - hub.now) { handler in
            if let cause = handler.hub.expire(handler) { return handler.fail(cause) }
            // The response is on its way: it has until the scraper itself gives up.
            handler.schedule(ScrapeTimeout.reserve(of: handler.patience)) { handler in
                handler.relay?.scraperLate()
                handler.abort()
            }
        }
    }

    /// A name that nobody polls under may become known within a grace: after a restart all clients are unknown.
    func limitUnknown(_ grace: Duration, _ name: ScrapeName) {
        guard grace < deadline - hub.now else { return }
        schedule(grace) { handler in
            guard case .scraping = handler.phase else { return }
            if handler.hub.table.isKnown(name) { return handler.limitScrape() }
            if let cause = handler.hub.expire(handler) { handler.fail(cause) }
        }
    }

    /// The scrape has no response; the scraper gets the cause.
    func fail(_ cause: ScrapeTable.Cause) {
        hub.count(cause.label)
        tell(cause)
    }

    /// The push of this scrape was of no use, which has been counted.
    func failBadPush(_ reason: String) { tell(.badPush(reason)) }

    private func tell(_ cause: ScrapeTable.Cause) {
        let url = instruction.map { $0.target.absolute(host: $0.target.name.description) } ?? ""
        var fields: [HTTPField] = []
        if cause == .draining { fields.append(HTTPField("Retry-After", "5")) }
        let text = hub.settings.always500 ? cause.original(url) : "\(url): \(cause.text)"
        reply(cause.status(always500: hub.settings.always500), text + "\n", fields)
    }

    // MARK: The response

    /// The whole response at once.
    func respond(_ status: Int, _ fields: [HTTPField], _ body: ByteBuffer, length: Int?) {
        guard let context else { return }
        write(status, fields, length: length)
        if !isHead, body.readableBytes > 0 { context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil) }
        finishReply()
    }

    /// The head of a response whose body follows in pieces.
    func begin(_ status: Int, _ fields: [HTTPField], length: Int?) {
        write(status, fields, length: length)
        phase = .answering
    }

    func add(_ piece: ByteBuffer) {
        guard case .answering = phase, let context else { return }
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece))), promise: nil)
    }

    private func write(_ status: Int, _ fields: [HTTPField], length: Int?) {
        guard let context else { return }
        var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status))
        for field in fields { head.headers.add(name: field.name, value: field.value) }
        if let length, status != 204, status != 304 {
            head.headers.add(name: "Content-Length", value: "\(length)")
        }
        if isHead, length == nil, status != 204, status != 304, !head.headers.contains(name: "Content-Length") {
            // A length that nobody knows is not told, and the codec would make chunks of none in HTTP/1.1.
            head.version = .http1_0
            isKeepAlive = false
        }
        if !isKeepAlive { head.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }
}
