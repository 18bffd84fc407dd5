import CSSH2
import Pipeline

/// Opens channels, one after the other: libssh2 has room for one open request a session.
///
/// A request that the server does not answer in time fails at its deadline for whoever asked; libssh2 cannot take it
/// back, so the next ones wait behind it until the server answers or libssh2 gives up (60 s). Once one is slow, `needsHelp`
/// is called for those behind it, and the tunnel makes another session for them.
final class SSHOpener: SSHStep {
    typealias Completion = (Result<SSHChannel, TunnelFailure>) -> Void

    /// One wish.
    final class Request {
        /// Where the server shall connect to; nil for a session.
        let target: SocketPlace?
        let type: [UInt8]
        let message: [UInt8]
        let window: UInt32
        fileprivate var completion: Completion?
        fileprivate var timer: UInt64?
        fileprivate var deadline = Duration.zero

        init(
            _ type: String, _ message: [UInt8], to target: SocketPlace?, window: Int,
            _ completion: @escaping Completion
        ) {
            self.target = target
            self.type = Array(type.utf8)
            self.message = message
            self.window = UInt32(clamping: window)
            self.completion = completion
        }
    }

    /// Wishes that may wait; beyond it they are refused.
    private static let queueLimit = 512
    /// An open request that takes longer holds up the others.
    private static let patience = Duration.seconds(20)
    private static let slowAfter = Duration.milliseconds(300)
    private var queue: [Request] = []
    private var current: Request?
    private var currentSince = Instant.zero
    /// A channel that came too late and must be closed again.
    private var unwanted: OpaquePointer?

    var isFinished: Bool { false }
    var isBusy: Bool { current != nil || unwanted != nil || !queue.isEmpty }
    /// Called when requests wait behind a slow one.
    var needsHelp: (() -> Void)?

    /// The target of the request under way, when the server takes its time over it.
    func slowTarget(_ now: Instant) -> SocketPlace? {
        guard let current, now - currentSince > Self.slowAfter else { return nil }
        return current.target
    }

    /// Asks for a channel; the answer comes within `deadline` of the moment at which the server is asked. On a session
    /// under load a request may wait for its turn before.
    func open(_ link: SSHLink, _ request: Request, within deadline: Duration) {
        guard queue.count < Self.queueLimit else {
            return finish(
                request, link, .failure(TunnelFailure(.targetTimeout, "too many connections wait to be opened")))
        }
        queue.append(request)
        request.deadline = deadline
        request.timer = link.after(deadline + Self.patience) { link in link.opener.expire(request, link) }
        link.turn()
        if !queue.isEmpty { watchCurrent(link) }
    }

    private func watchCurrent(_ link: SSHLink) {
        guard let watched = current else { return }
        link.after(Self.slowAfter) { link in
            let opener = link.opener
            guard opener.current === watched, opener.queue.contains(where: { $0.target != watched.target }) else {
                return
            }
            opener.needsHelp?()
        }
    }

    /// Moves the requests that wait behind a slow one of another target to another session.
    func handOver(to other: SSHLink, from link: SSHLink) {
        let moving = queue.filter { $0.target != current?.target }
        queue.removeAll { request in moving.contains { $0 === request } }
        for request in moving {
            if let timer = request.timer { link.cancel(timer: timer) }
            other.opener.open(other, request, within: link.timing.targetDial)
        }
    }

    private func startDeadline(_ request: Request, _ link: SSHLink) {
        guard let timer = request.timer else { return }
        link.cancel(timer: timer)
        request.timer = link.after(request.deadline) { link in
            link.opener.expire(request, link)
            // Whoever waits for the same target would only learn the same.
            let same = link.opener.queue.filter { $0.target != nil && $0.target == request.target }
            for other in same { link.opener.expire(other, link) }
        }
    }

    private func expire(_ request: Request, _ link: SSHLink) {
        if let timer = request.timer { link.cancel(timer: timer) }
        request.timer = nil
        queue.removeAll { $0 === request }
        finish(request, link, .failure(TunnelFailure(.targetTimeout, "the server did not connect in time")))
    }

    private func finish(_ request: Request, _ link: SSHLink, _ result: Result<SSHChannel, TunnelFailure>) {
        if let timer = request.timer { link.cancel(timer: timer) }
        request.timer = nil
        let completion = request.completion
        request.completion = nil
        completion?(result)
    }

    func step(_ link: SSHLink) -> Bool {
        if let channel = unwanted {
            guard link.free(channel) else { return false }
            unwanted = nil
        }
        if current == nil {
            guard !queue.isEmpty else { return false }
            current = queue.removeFirst()
            currentSince = link.loop.now
            if let request = current { startDeadline(request, link) }
        }
        guard let request = current else { return false }
        let channel = request.type.withUnsafeBytes { type in
            request.message.withUnsafeBytes { message in
                libssh2_channel_open_ex(
                    link.session, type.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(clamping: type.count),
                    request.window, 32_768, message.baseAddress?.assumingMemoryBound(to: CChar.self),
                    UInt32(clamping: message.count))
            }
        }
        if let channel {
            current = nil
            link.noteOpen(channel)
            if request.completion == nil {
                unwanted = channel
            } else {
                finish(request, link, .success(SSHChannel(handle: channel, link: link)))
            }
            return true
        }
        let code = Int(libssh2_session_last_errno(link.session))
        if code == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(code) { return false }
        current = nil
        finish(request, link, .failure(Self.failure(SSHLibrary.text(of: link.session, code: code), code)))
        return true
    }

    func abandon(_ failure: TunnelFailure) {
        let waiting = queue + (current.map { [$0] } ?? [])
        queue = []
        current = nil
        unwanted = nil
        for request in waiting {
            let completion = request.completion
            request.completion = nil
            completion?(.failure(failure))
        }
    }

    /// What a refusal of the server means.
    private static func failure(_ text: String, _ code: Int) -> TunnelFailure {
        if text.contains("prohibited") || text.contains("unknown channel type") {
            return TunnelFailure(.forwardDenied, "the server does not allow this connection")
        }
        if code == Int(LIBSSH2_ERROR_TIMEOUT) { return TunnelFailure(.targetTimeout, "the server did not answer") }
        if text.contains("connect failed") {
            return TunnelFailure(.targetRefused, "the server could not connect to the target")
        }
        return TunnelFailure(.targetRefused, text)
    }
}

extension SSHOpener.Request {
    /// A TCP connection from the server to `target`.
    static func direct(
        to target: SocketPlace, window: Int, _ completion: @escaping SSHOpener.Completion
    )
        -> SSHOpener.Request
    {
        var message = SSHWriter()
        switch target {
        case .tcp(let place):
            message.string(place.host.utf8)
            message.uint32(UInt32(place.port))
            message.string("127.0.0.1".utf8)
            message.uint32(0)
            return SSHOpener.Request("direct-tcpip", message.bytes, to: target, window: window, completion)
        case .unix(let path):
            message.string(path.utf8)
            message.string("".utf8)
            message.uint32(0)
            return SSHOpener.Request(
                "direct-streamlocal@openssh.com", message.bytes, to: target, window: window, completion)
        }
    }

    /// A session channel, for a command or as the monitor.
    static func session(_ completion: @escaping SSHOpener.Completion) -> SSHOpener.Request {
        SSHOpener.Request("session", [], to: nil, window: 32 << 10, completion)
    }
}

/// An open channel and the session that it belongs to.
struct SSHChannel {
    let handle: OpaquePointer
    let link: SSHLink

    /// Closes it.
    func discard() { link.add(SSHDiscard(handle)) }
}
