import CSSH2
import Pipeline

/// A channel that carries nothing: it is read so that packets for no channel are taken off the socket, and through it
/// the server is asked every interval whether it still lives.
///
/// The question is a request to set a variable, which servers deny: an answer is an answer. libssh2's own keep-alive
/// with reply leaves its answers in the queue of packets, where a later request finds them.
final class SSHMonitor: SSHStep {
    private var channel: OpaquePointer?
    private var isProbing = false
    /// A packet that the read sent is half out: it must go on before a question may be sent.
    private var isReadHalfSent = false
    private var probeStarted = Instant.zero
    private var liveness: SessionLiveness
    private let timing: TunnelTiming
    private(set) var lastAnswer: Instant?
    private(set) var roundTrip: Duration?
    /// Before there is a channel of its own, whoever sets the session up reads.
    var isSettingUp = true

    init(timing: TunnelTiming) {
        self.timing = timing
        liveness = SessionLiveness(missedLimit: timing.probesMissed)
    }

    var isFinished: Bool { false }
    var readsAlways: Bool { channel != nil || isSettingUp }

    /// The session stands. `channel` is nil when the server gave none: then a connection that it must refuse is the
    /// question.
    func begin(_ link: SSHLink, channel: OpaquePointer?) {
        self.channel = channel
        isSettingUp = false
        lastAnswer = link.loop.now
        tick(link)
    }

    private func tick(_ link: SSHLink) {
        switch liveness.tick() {
        case .probe: probe(link)
        case .wait: break
        case .giveUp:
            let silence = timing.probeInterval * timing.probesMissed
            return link.end(TunnelFailure(.sessionFrozen, "the server did not answer for \(silence.inSeconds) s"))
        }
        link.after(timing.probeInterval) { link in link.monitor.tick(link) }
    }

    private func probe(_ link: SSHLink) {
        probeStarted = link.loop.now
        if channel != nil {
            isProbing = true
            return link.turn()
        }
        guard link.opener.slowTarget(link.loop.now) == nil else { return }
        let nowhere = SocketPlace.tcp(NetworkPlace("127.0.0.1", 1))
        let request = SSHOpener.Request.direct(to: nowhere, window: 1_024) { [weak link] result in
            switch result {
            case .success(let channel):
                channel.discard()
                channel.link.monitor.answered(channel.link)
            case .failure(let failure):
                guard let link, failure.reason == .targetRefused || failure.reason == .forwardDenied else { return }
                link.monitor.answered(link)
            }
        }
        link.opener.open(link, request, within: timing.probeInterval * timing.probesMissed)
    }

    private func answered(_ link: SSHLink) {
        isProbing = false
        liveness.answered()
        lastAnswer = link.loop.now
        roundTrip = link.loop.now - probeStarted
    }

    func step(_ link: SSHLink) -> Bool {
        guard let channel else { return false }
        var moved = false
        if isProbing, !isReadHalfSent {
            let code = Int(libssh2_channel_setenv_ex(channel, "GODWIT_PING", 11, "1", 1))
            if link.isFatal(code) { return false }
            if code != Int(LIBSSH2_ERROR_EAGAIN) {
                answered(link)
                moved = true
            }
            if link.isHalfSent { return false }
        }
        let bytes = link.scratch.baseAddress?.assumingMemoryBound(to: CChar.self)
        let count = libssh2_channel_read_ex(channel, 0, bytes, 4_096)
        isReadHalfSent = link.isHalfSent
        if count > 0 { return true }
        if count == 0, libssh2_channel_eof(channel) != 0 {
            // The server closed it. The question goes the other way from now on.
            self.channel = nil
            isProbing = false
            link.add(SSHDiscard(channel))
            return true
        }
        return link.isFatal(count) ? false : moved
    }

    func abandon(_ failure: TunnelFailure) { channel = nil }
}

/// Closes a channel that nobody wants.
final class SSHDiscard: SSHStep {
    private let channel: OpaquePointer
    private(set) var isFinished = false

    init(_ channel: OpaquePointer) { self.channel = channel }

    func step(_ link: SSHLink) -> Bool {
        guard link.free(channel) else { return false }
        isFinished = true
        return true
    }

    func abandon(_ failure: TunnelFailure) { isFinished = true }
}
