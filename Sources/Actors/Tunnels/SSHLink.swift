import CLinux
import CSSH2
import Glibc
import Pipeline

/// One thing that a session does: the set-up, an open request, a connection. It is asked to go on whenever the session
/// may have something for it.
protocol SSHStep: AnyObject {
    /// Does what can be done without waiting; true when something moved. It makes no further call of libssh2 once a
    /// packet is half sent.
    func step(_ link: SSHLink) -> Bool
    /// Nothing is left to do: the link forgets it.
    var isFinished: Bool { get }
    /// The session is gone; its handles must not be touched any more.
    func abandon(_ failure: TunnelFailure)
}

/// One libssh2 session on one socket: who may call libssh2 when.
///
/// Promises: after a packet is half sent, only the step that sent it goes on, with the same call, until it is out
/// (anything else breaks the stream); the socket is read whenever it has something; no step can starve another; a turn
/// is bounded, then the loop gets a chance. Refuses: blocking, recursion, use from another thread than its loop.
///
/// Owned by a `Tunnel` and used on its loop only. Ends once, through `end`, by itself or by its owner.
final class SSHLink {
    /// Rounds over all steps before the loop's other work gets a chance.
    private static let roundsLimit = 8

    let session: OpaquePointer
    let descriptor: Int32
    let loop: WorkLoop
    let timing: TunnelTiming
    let limits: TunnelLimits
    /// Called once, after everything was given back.
    var didEnd: ((TunnelFailure) -> Void)?
    let opener = SSHOpener()
    let requests = SSHRequests()
    let monitor: SSHMonitor
    /// A buffer for whoever reads now; nothing stays in it.
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 * 1024, alignment: 16)

    private(set) var failure: TunnelFailure?
    private(set) var steps: [any SSHStep] = []
    private var halfSentBy: (any SSHStep)?
    private var firstStep = 0
    private var isTurning = false
    private var mustTurnAgain = false
    private var hasTurnTimer = false
    private var watched: UInt32 = 0
    /// What may be read in this turn.
    var allowance = SSHAllowance()
    /// So much waits in memory that nothing more is read from the server for a moment.
    var isPressed = false {
        didSet { if isPressed != oldValue { turn() } }
    }
    /// Bytes read before the server knew us.
    var strangersBytes = 0
    /// Who answers libssh2's questions just now.
    weak var attempt: SSHAttempt?
    /// A small packet waits for room in the socket's buffer.
    private var mustWaitForRoom = false
    private var timers: Set<UInt64> = []

    /// Takes `descriptor` over, which is connected and does not block. nil when libssh2 has no memory.
    init?(descriptor: Int32, loop: WorkLoop, timing: TunnelTiming, limits: TunnelLimits) {
        guard SSHLibrary.isReady, let session = libssh2_session_init_ex(nil, nil, nil, nil) else { return nil }
        self.session = session
        self.descriptor = descriptor
        self.loop = loop
        self.timing = timing
        self.limits = limits
        monitor = SSHMonitor(timing: timing)
        libssh2_session_set_blocking(session, 0)
        receiveWithinBounds()
        steps = [monitor, opener, requests]
    }

    deinit { scratch.deallocate() }

    /// Nothing runs over it.
    var isIdle: Bool { steps.count <= 3 && !opener.isBusy }
    /// How long it has been so, as its owner counts.
    var idleSeconds = 0
    var isAlive: Bool { failure == nil }
    /// Whether a packet is half sent: the last call must be repeated, and nothing else may be called.
    var isHalfSent: Bool { libssh2_session_block_directions(session) & LIBSSH2_SESSION_BLOCK_OUTBOUND != 0 }

    /// Whether a small packet surely fits into the socket's buffer. libssh2 builds an end-of-file packet on its stack, so
    /// that one must never be sent by halves.
    var canSendSmallPacket: Bool {
        var poller = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        if poll(&poller, 1, 0) == 1 { return true }
        mustWaitForRoom = true
        return false
    }

    // MARK: Steps

    /// Adds a step and lets it begin.
    func add(_ step: any SSHStep) {
        guard failure == nil else { return }
        steps.append(step)
        turn()
    }

    /// Goes round all steps until nothing moves, or the bound is reached.
    func turn() {
        guard failure == nil else { return }
        guard !isTurning else {
            mustTurnAgain = true
            return
        }
        isTurning = true
        mustWaitForRoom = false
        allowance = SSHAllowance()
        var rounds = 0
        var moved = true
        while moved || mustTurnAgain, rounds < Self.roundsLimit, failure == nil {
            mustTurnAgain = false
            rounds += 1
            moved = round()
        }
        isTurning = false
        guard failure == nil else { return finishEnd() }
        updateWatch()
        if moved || mustTurnAgain, halfSentBy == nil { turnSoon() }
    }

    /// Once over all steps, or only the one whose packet is half sent. True when something moved.
    private func round() -> Bool {
        if let step = halfSentBy {
            halfSentBy = nil
            _ = step.step(self)
            guard failure == nil else { return false }
            if isHalfSent {
                halfSentBy = step
                return false
            }
        }
        var moved = false
        // Who comes first changes, so that nobody always does.
        firstStep = steps.isEmpty ? 0 : (firstStep + 1) % steps.count
        let order = steps[firstStep...] + steps[..<firstStep]
        for step in order where !step.isFinished {
            if step.step(self) { moved = true }
            guard failure == nil else { return false }
            if isHalfSent {
                halfSentBy = step
                moved = false
                break
            }
        }
        steps.removeAll { $0.isFinished && $0 !== halfSentBy }
        return moved
    }

    private func turnSoon() {
        guard !hasTurnTimer else { return }
        hasTurnTimer = true
        after(.zero) { link in
            link.hasTurnTimer = false
            link.turn()
        }
    }

    private func updateWatch() {
        // With nobody to read, a byte from the server would wake us for ever.
        var wanted: UInt32 = monitor.readsAlways || steps.count > 3 || opener.isBusy ? EPOLLIN.rawValue : 0
        if isPressed { wanted = 0 }
        if halfSentBy != nil || mustWaitForRoom { wanted |= EPOLLOUT.rawValue }
        guard wanted != watched || watched == 0 else { return }
        watched = wanted
        loop.watch(descriptor, for: wanted) { [self] events in
            // A broken connection is reported even where nothing is asked for.
            if watched == 0, events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 {
                return end(TunnelFailure(.sessionLost, "the connection broke"))
            }
            turn()
        }
    }

    // MARK: Timers

    /// Calls `body` after a while, unless the link has ended by then.
    @discardableResult
    func after(_ delay: Duration, _ body: @escaping (SSHLink) -> Void) -> UInt64 {
        var id: UInt64 = 0
        id = loop.schedule(at: loop.now + delay) { [weak self] in
            guard let self else { return }
            timers.remove(id)
            guard failure == nil else { return }
            body(self)
        }
        timers.insert(id)
        return id
    }

    func cancel(timer: UInt64) {
        timers.remove(timer)
        loop.cancelTimer(timer)
    }

    // MARK: The end

    /// Ends the session: every step is abandoned, every handle given back. Harmless when it has ended.
    func end(_ failure: TunnelFailure) {
        guard self.failure == nil else { return }
        self.failure = failure
        // In the middle of a call of libssh2 its session must not be freed.
        if !isTurning { finishEnd() }
    }

    /// Judges what libssh2 returned: true, and the end of the session, for what no later call can mend.
    func isFatal(_ code: Int) -> Bool {
        guard SSHLibrary.isFatal(code) else { return false }
        end(TunnelFailure(.sessionLost, SSHLibrary.text(of: session, code: code)))
        return true
    }

    private func finishEnd() {
        guard let failure, let didEnd else { return }
        self.didEnd = nil
        loop.unwatch(descriptor)
        for timer in timers { loop.cancelTimer(timer) }
        timers = []
        let abandoned = steps
        steps = []
        halfSentBy = nil
        for step in abandoned { step.abandon(failure) }
        if failure.reason == .stopped, !isHalfSent {
            _ = libssh2_session_disconnect_ex(session, SSH_DISCONNECT_BY_APPLICATION, "stopped", "")
        }
        // With the socket gone nothing waits for an answer of the server any more.
        shutdown(descriptor, Int32(SHUT_RDWR))
        var tries = 0
        while libssh2_session_free(session) == LIBSSH2_ERROR_EAGAIN, tries < 1_000 { tries += 1 }
        close(descriptor)
        didEnd(failure)
    }
}

/// libssh2 as a whole.
enum SSHLibrary {
    /// Once a process, before the first session.
    static let isReady = libssh2_init(0) == 0

    /// Whether a return code means that the session is of no use any more.
    static func isFatal(_ code: Int) -> Bool {
        switch Int32(clamping: code) {
        case LIBSSH2_ERROR_SOCKET_NONE, LIBSSH2_ERROR_BANNER_RECV, LIBSSH2_ERROR_BANNER_SEND, LIBSSH2_ERROR_INVALID_MAC,
            LIBSSH2_ERROR_SOCKET_SEND, LIBSSH2_ERROR_DECRYPT, LIBSSH2_ERROR_SOCKET_DISCONNECT, LIBSSH2_ERROR_PROTO,
            LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_ENCRYPT, LIBSSH2_ERROR_BAD_SOCKET, LIBSSH2_ERROR_ALLOC,
            LIBSSH2_ERROR_OUT_OF_BOUNDARY, LIBSSH2_ERROR_BAD_USE, LIBSSH2_ERROR_KEX_FAILURE,
            LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
            true
        default: false
        }
    }

    /// libssh2's words for its last error, printable and short.
    static func text(of session: OpaquePointer, code: Int) -> String {
        var message: UnsafeMutablePointer<CChar>?
        var length: Int32 = 0
        _ = libssh2_session_last_error(session, &message, &length, 0)
        let words = message.map { String(cString: $0) } ?? ""
        return words.isEmpty ? "libssh2 error \(code)" : "\(words) (\(code))"
    }
}
