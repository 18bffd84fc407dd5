import Synchronization

/// One value that somebody waits for: whichever of answer and cancellation comes first resumes it, exactly once.
final class OneShot<Value: Sendable>: Sendable {
    private enum State {
        case new
        case waiting(CheckedContinuation<Value, any Error>)
        case finished(Result<Value, any Error>)
    }
    private let state = Mutex(State.new)

    /// Whether no answer is there yet.
    var isPending: Bool {
        state.withLock { state in
            if case .finished = state { return false }
            return true
        }
    }

    /// False, with the continuation resumed, when there is an answer already.
    @discardableResult
    func begin(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let early: Result<Value, any Error>? = state.withLock { state in
            if case .finished(let result) = state { return result }
            state = .waiting(continuation)
            return nil
        }
        if let early { continuation.resume(with: early) }
        return early == nil
    }

    /// The first answer counts.
    func finish(_ result: Result<Value, any Error>) {
        let waiting: CheckedContinuation<Value, any Error>? = state.withLock { state in
            defer { if case .finished = state {} else { state = .finished(result) } }
            guard case .waiting(let continuation) = state else { return nil }
            return continuation
        }
        waiting?.resume(with: result)
    }
}
