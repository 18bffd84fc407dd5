import CSSH2
import Pipeline

/// Asks the server to listen, or to stop: one request at a time, as libssh2 wants it.
final class SSHRequests: SSHStep {
    typealias Completion = (Result<(listener: OpaquePointer, port: UInt16), TunnelFailure>) -> Void

    private final class Request {
        let host: [CChar]
        let port: UInt16
        /// Set for a request to stop.
        let listener: OpaquePointer?
        var completion: Completion?
        var timer: UInt64?

        init(host: [CChar], port: UInt16, listener: OpaquePointer?, completion: Completion?) {
            self.host = host
            self.port = port
            self.listener = listener
            self.completion = completion
        }
    }

    /// Connections that wait to be accepted; the server is told that more are too many.
    private static let backlog: Int32 = 128
    private var queue: [Request] = []

    var isFinished: Bool { false }

    /// Asks the server to listen at `place`; port 0 lets it choose.
    func listen(_ link: SSHLink, at place: NetworkPlace, within deadline: Duration, _ completion: @escaping Completion)
    {
        let request = Request(
            host: Array(place.host.utf8CString), port: place.port, listener: nil, completion: completion)
        queue.append(request)
        request.timer = link.after(deadline) { [unowned self] _ in
            // One that was sent stays until libssh2 gives up, so that its answer is not another's.
            if queue.first !== request { queue.removeAll { $0 === request } }
            let completion = request.completion
            request.completion = nil
            completion?(.failure(TunnelFailure(.forwardDenied, "the server did not answer the request to listen")))
        }
        link.turn()
    }

    /// Asks the server to stop listening. The listener must not be used any more.
    func cancel(_ link: SSHLink, _ listener: OpaquePointer) {
        queue.append(Request(host: [], port: 0, listener: listener, completion: nil))
        link.turn()
    }

    func step(_ link: SSHLink) -> Bool {
        guard let request = queue.first else { return false }
        if let listener = request.listener {
            // Connections that nobody accepted are closed with it, by packets from the stack.
            guard link.canSendSmallPacket else { return false }
            let code = Int(libssh2_channel_forward_cancel(listener))
            if code == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(code) { return false }
            queue.removeFirst()
            return true
        }
        var bound: Int32 = 0
        let listener = libssh2_channel_forward_listen_ex(
            link.session, request.host, Int32(request.port), &bound, Self.backlog)
        let code = Int(libssh2_session_last_errno(link.session))
        if listener == nil, code == Int(LIBSSH2_ERROR_EAGAIN) { return false }
        if listener == nil, code == Int(LIBSSH2_ERROR_PROTO) {
            // It waited for a minute. Answers have no number: a late one would be taken for the next request's.
            link.end(TunnelFailure(.sessionFrozen, "the server did not answer a request to listen"))
            return false
        }
        if listener == nil, link.isFatal(code) { return false }
        queue.removeFirst()
        if let timer = request.timer { link.cancel(timer: timer) }
        let completion = request.completion
        request.completion = nil
        if let listener {
            if let completion {
                completion(.success((listener, UInt16(truncatingIfNeeded: bound))))
            } else {
                // Too late for whoever asked.
                cancel(link, listener)
            }
        } else {
            completion?(.failure(TunnelFailure(.forwardDenied, "the server refuses to listen there")))
        }
        return true
    }

    func abandon(_ failure: TunnelFailure) {
        let waiting = queue
        queue = []
        for request in waiting {
            let completion = request.completion
            request.completion = nil
            completion?(.failure(failure))
        }
    }
}

/// Takes the connections that come in at a listener of the server.
final class SSHAcceptor: SSHStep {
    let listener: OpaquePointer
    private let accept: (OpaquePointer) -> Void
    private(set) var isFinished = false

    init(listener: OpaquePointer, accept: @escaping (OpaquePointer) -> Void) {
        self.listener = listener
        self.accept = accept
    }

    func step(_ link: SSHLink) -> Bool {
        guard let channel = libssh2_channel_forward_accept(listener) else {
            _ = link.isFatal(Int(libssh2_session_last_errno(link.session)))
            return false
        }
        link.noteOpen(channel)
        accept(channel)
        return true
    }

    /// No further connection is taken. The listener itself is cancelled by `SSHRequests`.
    func stop() { isFinished = true }

    func abandon(_ failure: TunnelFailure) { isFinished = true }
}
