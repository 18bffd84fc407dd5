import NIOCore
import NIOHTTP1
import Pipeline

/// Writes pieces of an endless reply.
public struct HTTPBodyWriter: Sendable {
    let outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>

    /// Returns when there is room for more. Errors: the connection has ended.
    public func write(_ bytes: [UInt8]) async throws {
        try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
    }
}

/// Serves the requests of one connection, one after the other.
struct HTTPConnection: Sendable {
    typealias Wire = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

    /// Replies go out in pieces of this size, so that progress can be seen.
    static let pieceBytes = 16_384

    let wire: Wire
    let peer: PeerRight
    let router: HTTPRouter
    /// Of a connection with TLS.
    let tlsPeer: TLSHandler.PeerSlot?
    /// Where it comes from; nil for a unix socket.
    let address: IPAddress?

    /// Puts TLS, guard and codec on a connection that has just been accepted, on its event loop; nil for one that is turned
    /// away with the status `refusal`.
    static func make(
        on channel: any Channel, _ limits: ServerLimits, refusal: String?, peer: PeerRight, _ router: HTTPRouter,
        budget: BodyBudget? = nil, tls: ServerTLS? = nil, address: IPAddress? = nil,
        onRefusal: TCPServer.RefusalListener? = nil
    ) throws -> HTTPConnection? {
        let pipeline = channel.pipeline.syncOperations
        var tlsPeer: TLSHandler.PeerSlot?
        if let tls {
            let handler = TLSHandler(tls)
            tlsPeer = handler.peer
            try pipeline.addHandler(handler)
        }
        try pipeline.addHandler(
            ConnectionGuard(limits, refusal: refusal, budget: budget, onRefusal: onRefusal), name: ConnectionGuard.name)
        guard refusal == nil else { return nil }
        try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
        let wire = try Wire(wrappingChannelSynchronously: channel)
        return HTTPConnection(wire: wire, peer: peer, router: router, tlsPeer: tlsPeer, address: address)
    }

    /// Returns when the connection has ended, for whatever reason: none of them concerns anybody else.
    func serve() async {
        try? await wire.executeThenClose { inbound, outbound in
            var parts = inbound.makeAsyncIterator()
            var admitted: (@Sendable () -> Void)?
            defer { admitted?() }
            while let (head, body, refusal) = try await nextRequest(&parts, outbound, &admitted) {
                try await tell(.requestRead)
                if let refusal {
                    var last = head
                    last.headers.replaceOrAdd(name: "Connection", value: "close")
                    _ = try await write(refusal, to: last, outbound)
                    return try await tell(.refused)
                }
                let reply = await router.reply(to: request(head, body))
                admitted?()
                admitted = nil
                let mayFollow = try await write(reply, to: head, outbound)
                try await tell(.replyWritten)
                guard mayFollow else { return }
            }
        }
    }

    private func request(_ head: HTTPRequestHead, _ body: [UInt8]) -> ServedRequest {
        var request = ServedRequest(
            method: head.method.rawValue, target: head.uri,
            headers: head.headers.map { (name: $0.name, value: $0.value) }, body: body, peer: peer, address: address)
        request.tlsPeer = tlsPeer?.value
        return request
    }

    private func tell(_ milestone: ConnectionGuard.Milestone) async throws {
        try await wire.channel.triggerUserOutboundEvent(milestone).get()
    }

    /// A request, or its head with the reply that ends the connection.
    private func nextRequest(
        _ parts: inout NIOAsyncChannelInboundStream<HTTPServerRequestPart>.AsyncIterator,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>, _ admitted: inout (@Sendable () -> Void)?
    ) async throws -> (HTTPRequestHead, [UInt8], ServedReply?)? {
        var head: HTTPRequestHead?
        var body: [UInt8] = []
        while let part = try await parts.next(isolation: #isolation) {
            switch part {
            case .head(let received):
                head = received
                if let refusal = router.gate?(request(received, [])) { return (received, [], refusal) }
                switch router.admission?(request(received, [])) {
                case .refused(let reply): return (received, [], reply)
                case .admitted(let release): admitted = release
                case nil: break
                }
                if received.headers.contains(name: "Expect") {
                    // Clients with a large body ask first; without an answer they wait a second.
                    let go = HTTPResponseHead(version: .http1_1, status: .continue)
                    try await outbound.write(.head(go))
                }
            case .body(let bytes): body += bytes.readableBytesView
            case .end:
                guard let head else { return nil }
                return (head, body, nil)
            }
        }
        return nil
    }

    /// Whether another request may follow.
    private func write(
        _ reply: ServedReply, to request: HTTPRequestHead,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws -> Bool {
        var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: reply.status))
        head.headers.add(name: "Content-Type", value: reply.contentType)
        for (name, value) in reply.headers { head.headers.add(name: name, value: value) }
        switch reply.body {
        case .bytes(let bytes):
            head.headers.add(name: "Content-Length", value: String(bytes.count))
            if !request.isKeepAlive { head.headers.add(name: "Connection", value: "close") }
            try await outbound.write(.head(head))
            if request.method != .HEAD {
                for start in stride(from: 0, to: bytes.count, by: Self.pieceBytes) {
                    let piece = bytes[start..<min(start + Self.pieceBytes, bytes.count)]
                    try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: piece))))
                }
            }
            try await outbound.write(.end(nil))
            return request.isKeepAlive
        case .stream(let body):
            head.headers.add(name: "Connection", value: "close")
            try await outbound.write(.head(head))
            if request.method != .HEAD { try await stream(body, outbound) }
            return false
        }
    }

    /// Runs an endless body until it ends or the client leaves.
    private func stream(
        _ body: @escaping @Sendable (HTTPBodyWriter) async throws -> Void,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPServerResponsePart>
    ) async throws {
        try await tell(.streaming)
        let channel = wire.channel
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                try? await body(HTTPBodyWriter(outbound: outbound))
                try? await outbound.write(.end(nil))
                try? await tell(.replyWritten)
                // Ends the sibling, which cannot be cancelled.
                channel.close(promise: nil)
            }
            group.addTask { try? await channel.closeFuture.get() }
            await group.next()
            group.cancelAll()
        }
    }
}
