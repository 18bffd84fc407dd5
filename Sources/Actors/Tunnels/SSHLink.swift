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
    /// Channels that wait for nothing but the server's word that they are closed.
    private static let discardsLimit = 1_024

    let session: OpaquePointer
    /// Who gives libssh2 its memory and the server's bytes.
    let bounds: SSHBounds
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
    /// So much waits in memory that nothing more is read from the server for a moment.
    var isPressed = false {
        didSet { if isPressed != oldValue { turn() } }
    }
    /// A byte of somebody's connection moved in this round of the loop.
    var didCarry = false
    private var barren: BarrenWork
    /// The round of the loop for which the allowance is.
    private var allowedIn: UInt64 = 0
    /// Channels that are open or wait to be closed by the server.
    private(set) var channels: Set<OpaquePointer> = []
    private var discards = 0
    /// Who answers the server's questions just now.
    weak var attempt: SSHAttempt?
    /// A small packet waits for room in the socket's buffer.
    private var mustWaitForRoom = false
    private var timers: Set<UInt64> = []

    /// Takes `descriptor` over, which is connected and does not block. nil when libssh2 has no memory.
    init?(descriptor: Int32, loop: WorkLoop, timing: TunnelTiming, limits: TunnelLimits) {
        let bounds = SSHBounds(queuedLimit: limits.queuedBytes)
        guard SSHLibrary.isReady, let session = bounds.makeSession() else { return nil }
        self.session = session
        self.bounds = bounds
        self.descriptor = descriptor
        self.loop = loop
        self.timing = timing
        self.limits = limits
        monitor = SSHMonitor(timing: timing)
        barren = BarrenWork(now: loop.now)
        bounds.link = self
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

    /// Adds a step and lets it begin. One that comes in the turn in which the session ends is abandoned at once: its
    /// channel goes with the session.
    func add(_ step: any SSHStep) {
        if let failure { return step.abandon(failure) }
        steps.append(step)
        if step is SSHDiscard { countDiscards() }
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
        if allowedIn != loop.round {
            allowedIn = loop.round
            bounds.allowance = SSHAllowance(carries: didCarry)
            didCarry = false
        }
        let began = KernelClock.threadTime()
        var rounds = 0
        var moved = true
        while moved || mustTurnAgain, rounds < Self.roundsLimit, failure == nil {
            mustTurnAgain = false
            rounds += 1
            moved = round()
        }
        isTurning = false
        guard failure == nil else { return finishEnd() }
        if let rest = barren.worked(KernelClock.threadTime() - began, carried: didCarry, now: loop.now) {
            self.rest(rest)
            guard failure == nil else { return }
        }
        updateWatch()
        if moved || mustTurnAgain, halfSentBy == nil { turnSoon() }
    }

    /// Once over all steps, or only the one whose packet is half sent. True when something moved.
    private func round() -> Bool {
        let arrivals = bounds.arrivals
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
        // Whoever reads takes packets off the socket for all: what came in for a step that had its turn before would
        // show in no event any more.
        return moved || halfSentBy == nil && bounds.arrivals != arrivals
    }

    /// One turn for all who ask for it before the loop goes round again: each goes through all steps.
    func turnSoon() {
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
        if isPressed || bounds.isResting || bounds.isOvergrown { wanted = 0 }
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

    // MARK: Channels

    func noteOpen(_ channel: OpaquePointer) { channels.insert(channel) }

    /// Closes a channel and gives it back; false when it must be asked again. Nothing may use it afterwards.
    func free(_ channel: OpaquePointer) -> Bool {
        guard canSendSmallPacket, libssh2_channel_free(channel) != LIBSSH2_ERROR_EAGAIN else { return false }
        channels.remove(channel)
        return true
    }

    /// Channels that nobody wants live until the server closes them too. One that never does is given up.
    private func countDiscards() {
        discards += 1
        guard discards > Self.discardsLimit else { return }
        discards = steps.count { $0 is SSHDiscard }
        guard discards > Self.discardsLimit else { return }
        end(TunnelFailure(.sessionLost, "the server does not close its end of \(discards) connections"))
    }

    // MARK: Timers

    /// Reads nothing for a while, because of too much work for nothing.
    private func rest(_ duration: Duration) {
        guard !barren.isHopeless else {
            return end(TunnelFailure(.sessionLost, "the server sends without end what carries nothing"))
        }
        bounds.isResting = true
        after(duration) { link in
            link.bounds.isResting = false
            link.turn()
        }
    }

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
        // They went with the session, and somebody may still ask how much waits for them.
        channels = []
        bounds.releaseAll()
        close(descriptor)
        didEnd(failure)
    }
}
