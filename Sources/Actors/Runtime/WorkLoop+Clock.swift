import Pipeline
import Synchronization

/// The loop's own timers as a clock, for actors that live on it: no other thread is woken to wait.
extension WorkLoop: Clock {
    public var now: Instant { KernelClock.monotonic() }
    public var wall: Timestamp { KernelClock.wall() }

    public func sleep(until deadline: Instant) async throws {
        try Task.checkCancellation()
        guard deadline > now else { return }
        let sleeper = LoopSleeper()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard sleeper.begin(continuation) else { return }
                onThread { [self] in
                    let timer = schedule(at: deadline) { sleeper.finish(nil) }
                    // Cancelled before it was there.
                    if !sleeper.keep(timer) { cancelTimer(timer) }
                }
            }
        } onCancel: {
            if let timer = sleeper.finish(CancellationError()) { onThread { [self] in cancelTimer(timer) } }
        }
    }

    /// At once on the loop's thread, else as its next job.
    private func onThread(_ body: @escaping @Sendable () -> Void) {
        if isOnThread { body() } else { post(body) }
    }
}

/// One pending sleep: whichever of timer and cancellation comes first resumes it, exactly once.
private final class LoopSleeper: Sendable {
    private enum State {
        case new
        case waiting(CheckedContinuation<Void, any Error>, timer: UInt64?)
        case finished((any Error)?)
    }
    private let state = Mutex(State.new)

    /// False, with the continuation resumed, when it has ended already.
    func begin(_ continuation: CheckedContinuation<Void, any Error>) -> Bool {
        let early: (any Error)?? = state.withLock { state in
            if case .finished(let error) = state { return .some(error) }
            state = .waiting(continuation, timer: nil)
            return nil
        }
        guard let error = early else { return true }
        if let error { continuation.resume(throwing: error) } else { continuation.resume() }
        return false
    }

    /// Remembers the timer; false when nobody waits any more.
    func keep(_ timer: UInt64) -> Bool {
        state.withLock { state in
            guard case .waiting(let continuation, _) = state else { return false }
            state = .waiting(continuation, timer: timer)
            return true
        }
    }

    /// Returns the timer that is still to be ended.
    @discardableResult
    func finish(_ error: (any Error)?) -> UInt64? {
        let previous = state.withLock { state in
            defer { state = .finished(error) }
            return state
        }
        guard case .waiting(let continuation, let timer) = previous else { return nil }
        if let error { continuation.resume(throwing: error) } else { continuation.resume() }
        return error == nil ? nil : timer
    }
}
