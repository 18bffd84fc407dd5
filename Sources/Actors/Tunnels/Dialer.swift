import CLinux
import Glibc
import Pipeline

/// Connects to the first of several addresses that takes us, one after the other, within one deadline.
///
/// Used on its loop only. Ends once: with a connected descriptor that does not block, or with a reason.
final class Dialer {
    typealias Completion = (Result<Int32, TunnelFailure>) -> Void

    private let loop: WorkLoop
    private let what: String
    private let refused: TunnelReason
    private let timedOut: TunnelReason
    private var addresses: [KernelAddress]
    private var completion: Completion?
    private var descriptor: Int32 = -1
    private var deadline: Instant
    private var timer: UInt64?
    private var lastError: Int32 = 0

    /// - Parameters:
    ///   - what: who is dialled, for messages.
    ///   - refused: the reason when every address fails; `timedOut` when the deadline came first.
    init(
        _ addresses: [KernelAddress], what: String, deadline: Instant, refused: TunnelReason, timedOut: TunnelReason,
        loop: WorkLoop, completion: @escaping Completion
    ) {
        self.addresses = addresses
        self.what = what
        self.deadline = deadline
        self.refused = refused
        self.timedOut = timedOut
        self.loop = loop
        self.completion = completion
    }

    func start() { next() }

    /// Gives up; the completion is called with `failure`.
    func cancel(_ failure: TunnelFailure) { finish(.failure(failure)) }

    private func next() {
        stopWatching()
        guard completion != nil else { return }
        guard loop.now < deadline else { return finish(.failure(TunnelFailure(timedOut, "\(what) does not answer"))) }
        guard !addresses.isEmpty else {
            let text = lastError == 0 ? "it has no address" : String(cString: strerror(lastError))
            let reason = lastError == ETIMEDOUT ? timedOut : refused
            return finish(.failure(TunnelFailure(reason, "cannot connect to \(what): \(text)")))
        }
        let share = addresses.count
        let address = addresses.removeFirst()
        descriptor = address.makeSocket()
        guard descriptor >= 0 else {
            lastError = errno
            return next()
        }
        switch address.beginConnect(descriptor) {
        case 0: succeed()
        case EINPROGRESS:
            loop.watch(descriptor, for: EPOLLOUT.rawValue) { [self] _ in
                let code = SocketOptions.pendingError(descriptor)
                if code == 0 { return succeed() }
                lastError = code
                next()
            }
            // Each address gets its part of the time that is left.
            timer = loop.schedule(at: loop.now + (deadline - loop.now) / share) { [self] in
                timer = nil
                lastError = ETIMEDOUT
                next()
            }
        case let code:
            lastError = code
            next()
        }
    }

    private func succeed() {
        let connected = descriptor
        loop.unwatch(connected)
        descriptor = -1
        finish(.success(connected))
    }

    private func stopWatching() {
        if let timer { loop.cancelTimer(timer) }
        timer = nil
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        close(descriptor)
        descriptor = -1
    }

    private func finish(_ result: Result<Int32, TunnelFailure>) {
        stopWatching()
        let completion = completion
        self.completion = nil
        completion?(result)
    }
}
