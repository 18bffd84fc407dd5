import NIOCore
import NIOHTTP1
import Pipeline

/// One connection of the scrape proxy, behind the HTTP codec: a client that polls or pushes, a scraper, or somebody who
/// looks.
///
/// One request at a time; a second one before the reply ends the connection. Lives on the event loop.
final class ProxyHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    enum Phase {
        case idle
        /// The body comes.
        case reading(ProxyRequest)
        /// The body comes and goes on.
        case pushing(PushRelay)
        /// The body comes and nobody wants it; this is the answer.
        case discarding(status: Int)
        /// A poll without a scrape yet.
        case polling
        /// A scrape without a response yet.
        case scraping
        /// A response goes out in pieces.
        case answering
        case closed
    }

    static let pollBytes = 1_024
    static let requestBytes = 64 * 1_024

    let hub: ScrapeHub
    let listener: ProxyListener
    let tlsPeer: TLSHandler.PeerSlot?
    private(set) var id: ScrapeTable.Connection = 0
    var phase = Phase.idle
    var context: ChannelHandlerContext?
    var isKeepAlive = true
    var isHead = false
    private var body: [UInt8] = []

    /// The body of the request, which is then gone from here.
    func takeBody() -> [UInt8] {
        defer { body = [] }
        return body
    }

    /// Whether the poll is one of our client.
    private var isOurPoll = false
    /// Whether a scrape went out over this connection that may not have arrived.
    private var hasTaken = false
    var timer: LoopTimer?
    /// Of a scrape: what is asked, and until when.
    var instruction: ScrapeInstruction?
    var deadline = Instant.zero
    var patience = Duration.zero
    /// When a client got it last, and which.
    var handedOut = Instant.zero
    var taker = 0
    /// Of a client: what its request has shown.
    var credential = ClientAccess.Credential()
    /// The push that answers this scrape.
    weak var relay: PushRelay?

    private let connectionGuard: ConnectionGuard

    init(
        _ hub: ScrapeHub, _ listener: ProxyListener, tlsPeer: TLSHandler.PeerSlot?, _ connectionGuard: ConnectionGuard
    ) {
        self.connectionGuard = connectionGuard
        self.hub = hub
        self.listener = listener
        self.tlsPeer = tlsPeer
    }

    func tellGuard(_ milestone: ConnectionGuard.Milestone) { connectionGuard.tell(milestone) }

    // MARK: The connection

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        id = hub.enter(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        let before = phase
        phase = .closed
        switch before {
        case .polling: hub.pollerGone(id, wasWaiting: true, isDeath: false)
        case .scraping:
            if hub.expire(self) != nil { hub.count("scraper_gone") }
            relay?.scraperGone()
        case .answering: relay?.scraperGone()
        case .pushing(let relay): relay.broke()
        default: break
        }
        if hasTaken { hub.pollerGone(id, wasWaiting: false, isDeath: isKeepAlive) }
        hub.leave(id)
        self.context = nil
        context.fireChannelInactive()
    }

    /// What is wrong with a connection ends it: broken requests are answered by the codec's own handler before.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { relay?.scraperReady() }
        context.fireChannelWritabilityChanged()
    }

    var isWritable: Bool { context?.channel.isWritable ?? true }

    var remoteAddress: String { context?.channel.remoteAddress?.ipAddress ?? "unknown" }

    /// Who a client is, as far as it has shown: the same for all of its connections, and when its certificate is renewed.
    /// 0 for one that has shown nothing.
    var identity: Int {
        var hasher = Hasher()
        if let peer = tlsPeer?.value {
            hasher.combine(peer.subject)
            hasher.combine(peer.dnsNames)
            hasher.combine(peer.addresses)
        } else if !credential.digest.isEmpty {
            hasher.combine(credential.digest)
        } else {
            return 0
        }
        return hasher.finalize()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): take(head)
        case .body(let bytes): take(bytes)
        case .end: endOfRequest()
        }
    }

    private func take(_ head: HTTPRequestHead) {
        // Two requests at once are nobody's habit here.
        guard case .idle = phase else { return close() }
        isKeepAlive = head.isKeepAlive
        isHead = head.method == .HEAD
        body = []
        if hasTaken {
            // It speaks again, so what was handed out has arrived.
            hasTaken = false
        }
        let request = ProxyRequest(head)
        let decides = request.role == .clients && hub.access.rules.haveTokens
        if decides { credential = listener.credential(request) }
        if let refusal = listener.refusal(request, namesDecide: decides) {
            hub.refused(refusal.reason)
            if refusal.reason == .credentials { hub.say("no credentials, or wrong ones", self) }
            isKeepAlive = false
            return reply(refusal.status, refusal.text, refusal.fields)
        }
        if head.headers.contains(name: "Expect") {
            context?.writeAndFlush(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
        guard request.kind == .push else {
            phase = .reading(request)
            return
        }
        phase = .pushing(PushRelay(self))
    }

    private func take(_ bytes: ByteBuffer) {
        switch phase {
        case .reading(let request):
            let limit = request.kind == .poll ? ProxyHandler.pollBytes : ProxyHandler.requestBytes
            guard body.count + bytes.readableBytes <= limit else {
                phase = .discarding(status: 413)
                return
            }
            body += bytes.readableBytesView
        case .pushing(let relay):
            hub.pushed(bytes.readableBytes)
            relay.take(bytes)
        default: break
        }
    }

    private func endOfRequest() {
        switch phase {
        case .reading(let request):
            tellGuard(.requestRead)
            serve(request)
        case .pushing(let relay):
            tellGuard(.requestRead)
            relay.end()
        case .discarding(let status):
            tellGuard(.requestRead)
            reply(status, "")
        default: break
        }
    }

    private func serve(_ request: ProxyRequest) {
        switch request.kind {
        case .poll:
            var text = body[...]
            while let last = text.last, last <= 0x20 { text = text.dropLast() }
            while let first = text.first, first <= 0x20 { text = text.dropFirst() }
            body = []
            isOurPoll = request.head.headers.contains(name: PollVerdict.waitHeader)
            limitPoll(request.head.headers.first(name: PollVerdict.waitHeader).flatMap { Int($0) })
            hub.poll(
                self, text: String(decoding: text, as: UTF8.self),
                labels: request.head.headers.first(name: DiscoveryList.labelsHeader),
                instance: request.head.headers.first(name: PollVerdict.instanceHeader).flatMap {
                    UInt64($0, radix: 16)
                } ?? 0)
        case .push: break
        case .scrape: beginScrape(request)
        case .clients:
            reply(
                200, body: DiscoveryList.page(hub.table.discovery),
                [HTTPField("Content-Type", "application/json")])
        case .health:
            reply(hub.table.isDraining ? 503 : 200, hub.table.isDraining ? "stopping\n" : "ok\n")
        case .metrics:
            reply(
                200, body: ProxyMetrics.page(hub.figures()),
                [HTTPField("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        case .connect:
            isKeepAlive = false
            reply(
                hub.settings.always500 ? 500 : 405,
                "CONNECT is not for this port; scrape http:// with the parameter _scheme=https\n")
        case .misdirected:
            reply(421, "a scrape must name its target in the request line; is a reverse proxy in front?\n")
        case .unknown: reply(404, "404 page not found\n")
        }
    }

    // MARK: Polls

    /// The poll waits. What comes before the reply is the connection's end.
    func wait() { phase = .polling }

    /// Of a client that asked for it: an empty answer after so many seconds, before a middlebox cuts the connection.
    private func limitPoll(_ seconds: Int?) {
        guard let seconds, seconds > 0, seconds <= 3_600 else { return }
        schedule(.seconds(Int64(seconds))) { handler in
            guard case .polling = handler.phase else { return }
            handler.hub.pollEnded(handler)
            handler.reply(204, "")
        }
    }

    func answerPoll(_ instruction: [UInt8]) {
        hasTaken = true
        var fields = [HTTPField("Content-Type", "text/plain; charset=utf-8")]
        if isOurPoll { fields.append(HTTPField(PollVerdict.streamsHeader, "1")) }
        reply(200, body: instruction, fields)
    }

    func drain() {
        guard case .polling = phase else { return }
        hub.pollEnded(self)
        // Nobody must come back to a port that is about to close: the connection ends with the answer.
        isKeepAlive = false
        reply(204, "")
    }

    // MARK: Scrapes

    func schedule(_ time: Duration, _ action: @escaping (ProxyHandler) -> Void) {
        let made = timer ?? LoopTimer(hub.timers)
        timer = made
        made.set(time) { [weak self] in
            guard let self else { return }
            action(self)
        }
    }
}
