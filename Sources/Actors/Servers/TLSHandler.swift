import CCrypto
import NIOCore
import Pipeline

/// TLS between the socket and the rest of one connection's pipeline, by OpenSSL over memory buffers. Server side.
///
/// The rest of the pipeline hears of the connection when the handshake is done, so that its timers and limits begin
/// there; until then this handler's deadline counts. A peer that speaks HTTP without TLS is told so in HTTP.
/// Bounds: what has come is decrypted at once, what is written is encrypted at once: nothing gathers here.
final class TLSHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// Ends the connection so that the peer sees it was not its regular end.
    struct Abort: Sendable {}

    private enum Phase {
        /// Nothing has come: it costs nothing yet.
        case silent
        /// The first bytes are here, and others are shaking hands.
        case queued(HandshakeLane.Wait)
        case handshake
        case open
        case closed
    }

    /// How much of a peer is kept until its turn comes: a first message, and what a hasty peer sends behind it.
    private static let pendingLimit = 64 * 1_024
    /// How often a handshake is looked at: one that takes longer gives way to those that wait.
    private static let patience = Duration.seconds(2)

    let peer = PeerSlot()
    private let tls: ServerTLS
    /// Made when its turn has come.
    private var state: TLSSession?
    private var session: OpaquePointer? { state?.session }
    private var phase = Phase.silent
    private var pending = ByteBuffer()
    private let timers: LoopTimers?
    private var deadline: LoopTimer?

    /// `timers` are those of the whole loop, where there are many connections; nil = this one has its own.
    init(_ tls: ServerTLS, timers: LoopTimers? = nil) {
        self.tls = tls
        self.timers = timers
    }

    private func setDeadline(
        _ context: ChannelHandlerContext, _ time: Duration, _ action: @escaping () -> Void
    ) {
        let timer = deadline ?? LoopTimer(timers ?? LoopTimers(context.eventLoop))
        deadline = timer
        timer.set(time, action)
    }

    private var isOpen: Bool { if case .open = phase { true } else { false } }

    // MARK: The connection

    func channelActive(context: ChannelHandlerContext) {
        limit(context, .timeout, "no handshake was begun in time")
    }

    /// Ends the connection unless the phase that it is in now ends in time.
    private func limit(_ context: ChannelHandlerContext, _ failure: HandshakeFailure, _ text: String) {
        setDeadline(context, tls.settings.handshakeTime) { [weak self] in self?.refuse(context, failure, text) }
    }

    /// The same for a handshake: the whole time is only for one that nobody waits for.
    private func limitHandshake(_ context: ChannelHandlerContext, left: Duration) {
        let time = min(left, TLSHandler.patience)
        setDeadline(context, time) { [weak self] in
            guard let self else { return }
            guard left <= time || self.tls.lane.isCrowded else {
                return self.limitHandshake(context, left: left - time)
            }
            self.refuse(context, .timeout, "the handshake was not done in time")
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        noteDeparture(context)
        context.fireErrorCaught(error)
    }

    private func noteDeparture(_ context: ChannelHandlerContext) {
        guard case .handshake = phase else { return }
        tls.failed(.left, "the peer left in the middle of the handshake", peer: TLSHandler.name(of: context))
        leavePhase()
    }

    func channelInactive(context: ChannelHandlerContext) {
        noteDeparture(context)
        if leavePhase() { context.fireErrorCaught(TLSError.truncated) }
        context.fireChannelInactive()
    }

    /// Nothing more is read or written; true when it was open.
    @discardableResult
    private func leavePhase() -> Bool {
        let before = phase
        phase = .closed
        pending = ByteBuffer()
        deadline?.cancel()
        deadline = nil
        switch before {
        case .queued(let wait): tls.lane.forget(wait)
        case .handshake: tls.lane.leave()
        case .open: return true
        case .silent, .closed: break
        }
        return false
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is Abort else { return context.triggerUserOutboundEvent(event, promise: promise) }
        // Without the farewell: the peer must see that something is missing.
        leavePhase()
        context.close(promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if leavePhase() {
            ERR_clear_error()
            _ = SSL_shutdown(session)
            flushRecords(context)
        }
        context.close(mode: mode, promise: promise)
    }

    // MARK: From the peer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        switch phase {
        case .closed: break
        case .silent:
            // A method of HTTP. TLS begins with 0x16.
            if let first = buffer.readableBytesView.first, (0x41...0x5A).contains(first) {
                return answerPlainly(context)
            }
            takeTurn(context, buffer)
        case .queued:
            pending.writeBuffer(&buffer)
            guard pending.readableBytes > TLSHandler.pendingLimit else { return }
            refuse(context, .malformed, "too much was sent before the handshake")
        case .handshake, .open: feed(context, buffer)
        }
    }

    /// Begins the handshake with the bytes that have come, or waits until others have done theirs.
    private func takeTurn(_ context: ChannelHandlerContext, _ buffer: ByteBuffer) {
        guard let wait = tls.lane.enter(on: context.eventLoop) else { return begin(context, buffer) }
        phase = .queued(wait)
        pending = buffer
        limit(context, .crowded, "too many handshakes at once, and its turn did not come")
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        let lane = tls.lane
        wait.turn.assumeIsolated().whenSuccess { [weak self] in
            guard let self, case .queued = self.phase else { return lane.leave() }
            let first = self.pending
            self.pending = ByteBuffer()
            self.begin(context, first)
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }

    private func begin(_ context: ChannelHandlerContext, _ buffer: ByteBuffer) {
        phase = .handshake
        limitHandshake(context, left: tls.settings.handshakeTime)
        state = TLSSession(tls)
        guard state != nil else { return refuse(context, .malformed, "no memory for TLS") }
        feed(context, buffer)
    }

    private func feed(_ context: ChannelHandlerContext, _ buffer: ByteBuffer) {
        state?.put(buffer)
        if case .handshake = phase { shakeHands(context) }
        if isOpen { decrypt(context, hint: buffer.readableBytes) }
    }

    private func shakeHands(_ context: ChannelHandlerContext) {
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        guard result == 1 else {
            guard SSL_get_error(session, result) != SSL_ERROR_WANT_READ else { return flushRecords(context) }
            let verdict = TLSVerdict(of: session)
            return refuse(context, verdict.failure, verdict.text, state?.refused)
        }
        flushRecords(context)
        let shown = TLSPeer(session: session)
        if let mistake = shown?.mistake(for: tls.settings.allowedNames) {
            return refuse(context, .wrongName, mistake, shown)
        }
        peer.set(shown)
        leavePhase()
        phase = .open
        context.fireChannelActive()
    }

    private func decrypt(_ context: ChannelHandlerContext, hint: Int) {
        var size = min(16_384, max(512, hint))
        while isOpen {
            var plain = context.channel.allocator.buffer(capacity: size)
            ERR_clear_error()
            var count: Int32 = 0
            plain.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { bytes in
                count = SSL_read(session, bytes.baseAddress, Int32(clamping: bytes.count))
                return max(0, Int(count))
            }
            if count > 0 {
                context.fireChannelRead(wrapInboundOut(plain))
                size = min(16_384, max(512, Int(SSL_pending(session))))
                continue
            }
            // Such as the answer to a change of keys.
            flushRecords(context)
            switch SSL_get_error(session, count) {
            case SSL_ERROR_WANT_READ: return
            case SSL_ERROR_ZERO_RETURN: close(context: context, mode: .all, promise: nil)
            default:
                let reason = TLSVerdict(of: session).text
                leavePhase()
                context.fireErrorCaught(TLSError.broken(reason))
                context.close(promise: nil)
            }
        }
    }

    private func refuse(
        _ context: ChannelHandlerContext, _ failure: HandshakeFailure, _ text: String, _ shown: TLSPeer? = nil
    ) {
        tls.failed(failure, text, peer: TLSHandler.name(of: context), certificate: shown)
        // The alert that OpenSSL has prepared.
        flushRecords(context)
        leavePhase()
        context.close(promise: nil)
    }

    private func answerPlainly(_ context: ChannelHandlerContext) {
        tls.failed(.plainHTTP, "HTTP without TLS", peer: TLSHandler.name(of: context))
        leavePhase()
        let body = "this port speaks TLS: use https\n"
        let text =
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
            + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer(string: text))), promise: nil)
        context.close(promise: nil)
    }

    private static func name(of context: ChannelHandlerContext) -> String {
        context.channel.remoteAddress.map { $0.ipAddress.map { "\($0)" } ?? "\($0)" } ?? "unknown"
    }

    // MARK: To the peer

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isOpen, let state, case .byteBuffer(let plain) = unwrapOutboundIn(data) else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard plain.readableBytes > 0 else {
            return context.write(wrapOutboundOut(.byteBuffer(plain)), promise: promise)
        }
        ERR_clear_error()
        // All of it, since memory takes all of it.
        let count = plain.withUnsafeReadableBytes { SSL_write(session, $0.baseAddress, Int32(clamping: $0.count)) }
        guard count == plain.readableBytes else {
            promise?.fail(TLSError.broken(TLSVerdict(of: session).text))
            leavePhase()
            context.close(promise: nil)
            return
        }
        context.write(wrapOutboundOut(.byteBuffer(state.takeRecords(context.channel.allocator))), promise: promise)
    }

    private func flushRecords(_ context: ChannelHandlerContext) {
        guard let state, state.hasRecords else { return }
        context.writeAndFlush(
            wrapOutboundOut(.byteBuffer(state.takeRecords(context.channel.allocator))), promise: nil)
    }
}
