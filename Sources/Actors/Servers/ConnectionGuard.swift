import NIOCore

/// Bounds of one server's connections: in number, size and time.
public struct ServerLimits: Sendable, Hashable {
    public var clients: Int
    /// Connections from one address; nil = as many as `clients`.
    public var clientsPerAddress: Int?
    /// Bytes of a request's line and headers.
    public var headBytes: Int
    public var bodyBytes: Int
    /// How long a request may take to arrive, from the connection or the end of the reply before.
    public var requestTime: Duration
    /// How long a reply may make no progress.
    public var stallTime: Duration
    /// The same for endless replies, whose reader may pause.
    public var streamStallTime: Duration
    /// How long a connection may say nothing between two requests; nil = `requestTime`.
    public var idleTime: Duration?

    public init(
        clients: Int, headBytes: Int, bodyBytes: Int, requestTime: Duration, stallTime: Duration,
        streamStallTime: Duration, idleTime: Duration? = nil
    ) {
        self.clients = clients
        self.headBytes = headBytes
        self.bodyBytes = bodyBytes
        self.requestTime = requestTime
        self.stallTime = stallTime
        self.streamStallTime = streamStallTime
        self.idleTime = idleTime
    }
}

/// Stands between the socket and the HTTP codec of one connection and ends what is too large or too slow.
///
/// Bytes are counted before the parser sees them. A timer exists only while something is awaited.
final class ConnectionGuard: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// What the connection's task tells the guard.
    enum Milestone: Sendable {
        /// The request is complete.
        case requestRead
        /// The reply is endless.
        case streaming
        /// The reply is handed over. Answered when all of it has gone to the kernel; another request may come then.
        /// Without the wait a close would throw away what is still buffered.
        case replyWritten
        /// The connection ends with the reply that was written, though more of the request may come. Answered when it
        /// has ended.
        case refused
    }

    /// The status for a peer that begins a TLS handshake where none is spoken.
    static let noTLS = "400 This Port Speaks No TLS"

    /// The name under which it stands in the pipeline.
    static let name = "godwit.guard"

    private let limits: ServerLimits
    /// What the bodies of all connections share; nil = each has its own bound alone.
    private let budget: BodyBudget?
    /// Set when the peer gets this status and nothing else.
    private let refusal: String?
    private var received = 0
    private var bodyReceived = 0
    private var charged = 0
    private var lineEnds = 0
    private var sawLineEnd = false
    private var hasBegun = false
    private var isHeadComplete = false
    private var isRefused = false
    private var isStreaming = false
    private let timers: LoopTimers?
    private var requestTimer: LoopTimer?
    private var stallTimer: LoopTimer?
    private var context: ChannelHandlerContext?
    private var pendingWrites = 0
    private var completedWrites: UInt64 = 0
    private var awaitsDrain = false
    private var drained: EventLoopPromise<Void>?
    private var ended: EventLoopPromise<Void>?

    /// How long what still comes of a refused request is read and thrown away. Without that the kernel answers it with
    /// a reset, which can overtake the reply.
    private static let lingerTime = Duration.seconds(2)

    private let onRefusal: TCPServer.RefusalListener?

    /// `timers` are those of the whole loop, where there are many connections; nil = this one has its own.
    init(
        _ limits: ServerLimits, refusal: String?, budget: BodyBudget? = nil, timers: LoopTimers? = nil,
        onRefusal: TCPServer.RefusalListener? = nil
    ) {
        self.timers = timers
        self.onRefusal = onRefusal
        self.limits = limits
        self.budget = budget
        self.refusal = refusal
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        if let refusal { refuse(context, refusal) } else { awaitRequest(context) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        requestTimer?.cancel()
        stallTimer?.cancel()
        discharge()
        awaitsDrain = false
        drained?.fail(ChannelError.ioOnClosedChannel)
        drained = nil
        ended?.succeed()
        ended = nil
        context.fireChannelInactive()
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused else { return }
        let buffer = unwrapInboundIn(data)
        if received == 0 {
            if limits.idleTime != nil { limitRequest(context, limits.requestTime) }
            if buffer.readableBytesView.starts(with: [0x16, 0x03]) {
                received = buffer.readableBytes
                return refuse(context, ConnectionGuard.noTLS)
            }
        }
        if let status = count(buffer) { return refuse(context, status) }
        context.fireChannelRead(data)
    }

    /// Counts the bytes; a status when they are too many.
    private func count(_ buffer: ByteBuffer) -> String? {
        received += buffer.readableBytes
        var headBytes = 0
        for byte in buffer.readableBytesView {
            guard !isHeadComplete else { break }
            headBytes += 1
            switch byte {
            case UInt8(ascii: "\n") where !hasBegun: break
            case UInt8(ascii: "\n"):
                sawLineEnd = true
                lineEnds += 1
                isHeadComplete = lineEnds == 2
            case UInt8(ascii: "\r"): break
            case UInt8(ascii: " ") where lineEnds == 1, UInt8(ascii: "\t") where lineEnds == 1:
                // A header that goes on in the next line: whoever reads it otherwise sees another request.
                return "400 Bad Request"
            default:
                hasBegun = true
                lineEnds = 0
            }
        }
        bodyReceived += buffer.readableBytes - headBytes
        if let budget, bodyReceived > charged {
            guard budget.charge(bodyReceived - charged) else { return "503 Service Unavailable" }
            charged = bodyReceived
        }
        if bodyReceived > limits.bodyBytes { return "413 Content Too Large" }
        if received - bodyReceived > limits.headBytes {
            return sawLineEnd ? "431 Request Header Fields Too Large" : "414 URI Too Long"
        }
        return nil
    }

    private func awaitRequest(_ context: ChannelHandlerContext) {
        (received, bodyReceived, lineEnds) = (0, 0, 0)
        (sawLineEnd, hasBegun, isHeadComplete) = (false, false, false)
        discharge()
        limitRequest(context, limits.idleTime ?? limits.requestTime)
    }

    private func discharge() {
        if charged > 0 { budget?.release(charged) }
        charged = 0
    }

    private func limitRequest(_ context: ChannelHandlerContext, _ time: Duration) {
        requestTimer?.cancel()
        guard context.channel.isActive else { return }
        let timer = requestTimer ?? newTimer(context)
        requestTimer = timer
        timer.set(time) { [weak self] in
            guard let self, let context = self.context else { return }
            // A client that said nothing gets nothing.
            if self.received > 0 { self.refuse(context, "408 Request Timeout") } else { context.close(promise: nil) }
        }
    }

    private func newTimer(_ context: ChannelHandlerContext) -> LoopTimer {
        LoopTimer(timers ?? LoopTimers(context.eventLoop))
    }

    private func refuse(_ context: ChannelHandlerContext, _ status: String) {
        guard !isRefused else { return }
        isRefused = true
        requestTimer?.cancel()
        onRefusal?(status, context.channel.remoteAddress)
        let body = "\(status)\n"
        let wait = status.hasPrefix("503") ? "Retry-After: 1\r\n" : ""
        let text =
            "HTTP/1.1 \(status)\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n"
            + "\(wait)Connection: close\r\n\r\n\(body)"
        // From here towards the socket: the codec, which is behind us, must not see raw bytes.
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer(string: text))), promise: nil)
        if received > 0 { linger(context) } else { context.close(promise: nil) }
    }

    /// Ends our half, throws away what comes, and closes when the client has had time to read.
    private func linger(_ context: ChannelHandlerContext) {
        requestTimer?.cancel()
        discharge()
        context.close(mode: .output, promise: nil)
        let timer = requestTimer ?? newTimer(context)
        requestTimer = timer
        timer.set(Self.lingerTime) { [weak self] in self?.context?.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Nobody behind us takes what comes now, so nobody asks for more.
        if isRefused { context.read() }
        context.fireChannelReadComplete()
    }

    // MARK: Replies

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard let milestone = event as? Milestone else {
            return context.triggerUserOutboundEvent(event, promise: promise)
        }
        take(milestone, context, promise)
    }

    /// The same as the event, for a handler that knows its guard.
    func tell(_ milestone: Milestone) {
        if let context { take(milestone, context, nil) }
    }

    private func take(_ milestone: Milestone, _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
        switch milestone {
        case .requestRead: requestTimer?.cancel()
        case .streaming: isStreaming = true
        case .refused:
            guard context.channel.isActive, !isRefused else { break }
            isRefused = true
            ended = promise
            return linger(context)
        case .replyWritten:
            awaitRequest(context)
            guard pendingWrites == 0 else {
                requestTimer?.cancel()
                awaitsDrain = true
                drained = promise
                return
            }
        }
        promise?.succeed()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isRefused else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        let written = promise ?? context.eventLoop.makePromise(of: Void.self)
        pendingWrites += 1
        written.futureResult.assumeIsolated().whenComplete { [weak self] _ in
            guard let self else { return }
            self.pendingWrites -= 1
            self.completedWrites &+= 1
            guard self.pendingWrites == 0, self.awaitsDrain else { return }
            self.awaitsDrain = false
            let drained = self.drained
            self.drained = nil
            self.awaitRequest(context)
            drained?.succeed()
        }
        context.write(data, promise: written)
        if stallTimer?.isSet != true { watchProgress(context) }
    }

    /// Looks again after the stall time: closes the connection when writes are pending and none was completed.
    private func watchProgress(_ context: ChannelHandlerContext) {
        let before = completedWrites
        let limit = isStreaming ? limits.streamStallTime : limits.stallTime
        let timer = stallTimer ?? newTimer(context)
        stallTimer = timer
        timer.set(limit) { [weak self] in
            guard let self, let context = self.context, self.pendingWrites > 0 else { return }
            if self.completedWrites == before { context.close(promise: nil) } else { self.watchProgress(context) }
        }
    }
}
