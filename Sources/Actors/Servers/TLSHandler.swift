import CCrypto
import NIOCore
import Pipeline
import Synchronization

/// Why a connection with TLS ended otherwise than both sides wanted.
public enum TLSError: Error, Sendable, Hashable {
    /// The peer left without saying so: what it sent may be a part of what it wanted to send.
    case truncated
    /// The records of the peer are broken.
    case broken(String)
}

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
        case handshake
        case open
        case closed
    }

    /// Where the rest of the connection finds who the peer is, once the handshake is done.
    final class PeerSlot: Sendable {
        private let peer = Mutex<TLSPeer?>(nil)
        var value: TLSPeer? { peer.withLock { $0 } }
        fileprivate func set(_ value: TLSPeer?) { peer.withLock { $0 = value } }
    }

    let peer = PeerSlot()
    private let tls: ServerTLS
    private let session: OpaquePointer
    /// Owned by the session.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    private var phase = Phase.handshake
    private var hasHeard = false
    private var deadline: Scheduled<Void>?

    /// Errors: nil without memory.
    init?(_ tls: ServerTLS) {
        guard let session = tls.makeSession() else { return nil }
        guard let incoming = BIO_new(BIO_s_mem()) else {
            SSL_free(session)
            return nil
        }
        guard let outgoing = BIO_new(BIO_s_mem()) else {
            BIO_free(incoming)
            SSL_free(session)
            return nil
        }
        SSL_set_bio(session, incoming, outgoing)
        SSL_set_accept_state(session)
        self.tls = tls
        self.session = session
        self.incoming = incoming
        self.outgoing = outgoing
    }

    deinit { SSL_free(session) }

    // MARK: The connection

    func channelActive(context: ChannelHandlerContext) {
        let loop = context.eventLoop.assumeIsolated()
        deadline = loop.scheduleTask(in: .nanoseconds(ServerTLS.handshakeTime.wholeNanoseconds)) { [weak self] in
            guard let self, self.phase == .handshake else { return }
            self.refuse(context, "the handshake was not done in time")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        if phase == .open { context.fireErrorCaught(TLSError.truncated) }
        phase = .closed
        context.fireChannelInactive()
    }

    func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
        guard event is Abort else { return context.triggerUserOutboundEvent(event, promise: promise) }
        // Without the farewell: the peer must see that something is missing.
        phase = .closed
        context.close(promise: promise)
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if phase == .open {
            phase = .closed
            ERR_clear_error()
            _ = SSL_shutdown(session)
            flushRecords(context)
        }
        phase = .closed
        deadline?.cancel()
        context.close(mode: mode, promise: promise)
    }

    // MARK: From the peer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .closed else { return }
        let buffer = unwrapInboundIn(data)
        if !hasHeard, let first = buffer.readableBytesView.first {
            hasHeard = true
            // A method of HTTP. TLS begins with 0x16.
            if (0x41...0x5A).contains(first) { return answerPlainly(context) }
        }
        buffer.withUnsafeReadableBytes { bytes in
            // Memory takes all of it. A read is at most 64 KiB.
            _ = BIO_write(incoming, bytes.baseAddress, Int32(clamping: bytes.count))
        }
        if phase == .handshake { shakeHands(context) }
        if phase == .open { decrypt(context, hint: buffer.readableBytes) }
    }

    private func shakeHands(_ context: ChannelHandlerContext) {
        ERR_clear_error()
        let result = SSL_do_handshake(session)
        guard result == 1 else {
            guard SSL_get_error(session, result) != SSL_ERROR_WANT_READ else { return flushRecords(context) }
            return refuse(context, reason)
        }
        flushRecords(context)
        deadline?.cancel()
        let shown = TLSPeer(session: session)
        if let mistake = mistake(in: shown) { return refuse(context, mistake) }
        peer.set(shown)
        phase = .open
        context.fireChannelActive()
    }

    /// Why the names of a certificate are not enough; nil when they are.
    private func mistake(in peer: TLSPeer?) -> String? {
        guard !tls.settings.allowedNames.isEmpty, let peer else { return nil }
        let wanted = Set(tls.settings.allowedNames.map { $0.lowercased() })
        if peer.dnsNames.contains(where: { wanted.contains($0.lowercased()) }) { return nil }
        let names = peer.dnsNames.isEmpty ? "no DNS name" : "the names " + peer.dnsNames.joined(separator: ", ")
        return "the client's certificate (serial \(peer.serial)) has \(names)"
    }

    /// OpenSSL's words; those of the check of a certificate are clearer than those of the handshake.
    private var reason: String {
        let verdict = SSL_get_verify_result(session)
        let text = ServerTLSError.reason()
        if verdict != X509_V_OK, let words = X509_verify_cert_error_string(verdict) {
            return "the client's certificate is refused: " + String(cString: words)
        }
        return text.isEmpty ? "the peer left" : text
    }

    private func decrypt(_ context: ChannelHandlerContext, hint: Int) {
        var size = min(16_384, max(512, hint))
        while phase == .open {
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
                phase = .closed
                context.fireErrorCaught(TLSError.broken(reason))
                context.close(promise: nil)
            }
        }
    }

    private func refuse(_ context: ChannelHandlerContext, _ reason: String) {
        tls.failed(reason, peer: TLSHandler.name(of: context))
        // The alert that OpenSSL has prepared.
        flushRecords(context)
        phase = .closed
        deadline?.cancel()
        context.close(promise: nil)
    }

    private func answerPlainly(_ context: ChannelHandlerContext) {
        tls.failed("HTTP without TLS", peer: TLSHandler.name(of: context))
        phase = .closed
        deadline?.cancel()
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
        guard phase == .open, case .byteBuffer(let plain) = unwrapOutboundIn(data) else {
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
            promise?.fail(TLSError.broken(reason))
            phase = .closed
            context.close(promise: nil)
            return
        }
        context.write(wrapOutboundOut(.byteBuffer(takeRecords(context))), promise: promise)
    }

    private func takeRecords(_ context: ChannelHandlerContext) -> ByteBuffer {
        let size = Int(BIO_ctrl_pending(outgoing))
        var records = context.channel.allocator.buffer(capacity: size)
        records.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { bytes in
            max(0, Int(BIO_read(outgoing, bytes.baseAddress, Int32(clamping: size))))
        }
        return records
    }

    private func flushRecords(_ context: ChannelHandlerContext) {
        guard BIO_ctrl_pending(outgoing) > 0 else { return }
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(takeRecords(context))), promise: nil)
    }
}
