import Glibc
import Pipeline
import Synchronization

/// Looks names up without keeping anybody waiting: getaddrinfo(3) blocks for as long as the resolver wants.
///
/// Numeric addresses are answered at once. Bounds: `threadLimit` threads, which end when nothing is to be done, and
/// `queueLimit` names that wait for one. A thread whose resolver does not answer is lost until it does.
public final class NameLookup: Sendable {
    static let threadLimit = 8
    static let queueLimit = 1_024

    private struct Job {
        let host: String
        let port: String
        let family: Int32
        let answer: OneShot<Result<[ProbeAddress], LookupFailure>>
    }

    private struct State {
        var waiting: [Job] = []
        var threads = 0
    }

    private let state = Mutex(State())

    public init() {}

    /// The addresses of `host`, at `deadline` at the latest. `family`: AF_UNSPEC for both. Errors: `CancellationError`.
    func addresses(
        of host: String, port: String = "", family: Int32 = AF_UNSPEC, clock: any Clock, until deadline: Instant
    ) async throws -> Result<[ProbeAddress], LookupFailure> {
        if case .success(let numeric) = ProbeAddress.lookUp(host, port: port, family: family, isNumeric: true) {
            return .success(numeric)
        }
        let answer = OneShot<Result<[ProbeAddress], LookupFailure>>()
        let job = Job(host: host, port: port, family: family, answer: answer)
        guard enqueue(job) else { return .failure(LookupFailure(code: EAI_AGAIN)) }
        return try await clock.withDeadline(deadline) {
            try await withTaskCancellationHandler {
                try await withCheckedThrowingContinuation { answer.begin($0) }
            } onCancel: {
                answer.finish(.failure(CancellationError()))
            }
        } ?? .failure(LookupFailure(code: 0))
    }

    /// False when it cannot be done now.
    private func enqueue(_ job: Job) -> Bool {
        let (isTaken, mustStart) = state.withLock { state in
            guard state.waiting.count < NameLookup.queueLimit else { return (false, false) }
            state.waiting.append(job)
            guard state.threads < NameLookup.threadLimit else { return (true, false) }
            state.threads += 1
            return (true, true)
        }
        if mustStart, !Work({ self.work() }).start() { state.withLock { $0.threads -= 1 } }
        return isTaken
    }

    /// The life of one thread.
    private func work() {
        while let job = next() {
            guard job.answer.isPending else { continue }
            job.answer.finish(.success(ProbeAddress.lookUp(job.host, port: job.port, family: job.family)))
        }
    }

    /// What is to be done next; nil, with the thread counted as ended, when there is nothing.
    private func next() -> Job? {
        state.withLock { state in
            if state.waiting.isEmpty {
                state.threads -= 1
                return nil
            }
            return state.waiting.removeFirst()
        }
    }
}
