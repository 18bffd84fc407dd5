import NIOCore
import NIOHTTP1
import Pipeline

/// What a connection of the proxy answers, and how it ends.
extension ProxyHandler {
    /// A whole reply with a line of text. A failure's is not to be taken for anything else, as the real proxy says too.
    func reply(_ status: Int, _ text: String, _ fields: [HTTPField] = []) {
        var kind = text.isEmpty ? [] : [HTTPField("Content-Type", "text/plain; charset=utf-8")]
        if status >= 400, !text.isEmpty { kind.append(HTTPField("X-Content-Type-Options", "nosniff")) }
        reply(status, body: Array(text.utf8), kind + fields)
    }

    /// A whole reply; `length` where HEAD has another one than the body.
    func reply(_ status: Int, body: [UInt8], _ fields: [HTTPField], length: Int? = nil) {
        timer?.cancel()
        guard let context else { return }
        var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status))
        for field in fields { head.headers.add(name: field.name, value: field.value) }
        if status != 204, status != 304 { head.headers.add(name: "Content-Length", value: "\(length ?? body.count)") }
        if !isKeepAlive { head.headers.add(name: "Connection", value: "close") }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !body.isEmpty, !isHead {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        }
        finishReply()
    }

    /// The last part of a reply; then the next request may come, or the connection ends.
    func finishReply() {
        guard let context else { return }
        timer?.cancel()
        let isLast = !isKeepAlive
        phase = isLast ? .closed : .idle
        instruction = nil
        guard isLast else {
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            return tellGuard(.replyWritten)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        written.futureResult.assumeIsolated().whenComplete { [weak self] _ in self?.context?.close(promise: nil) }
    }

    /// What the connection was about is ended when it is gone.
    func close() { context?.close(promise: nil) }

    /// Ends the connection in the middle of a response, so that nobody takes what has gone out for the whole.
    func abort() {
        guard let context else { return }
        context.triggerUserOutboundEvent(TLSHandler.Abort(), promise: nil)
        context.close(promise: nil)
    }

    /// Reading goes on or pauses, by what the other side can take.
    func setReading(_ isOn: Bool) {
        guard let channel = context?.channel else { return }
        channel.setOption(.autoRead, value: isOn).whenFailure { _ in }
    }
}
