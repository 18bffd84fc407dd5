import Glibc
import Pipeline
import Synchronization

/// Asks file systems that may hang (NFS, CIFS, FUSE …), on threads that may be lost.
///
/// A statfs(2) on a dead server cannot be interrupted. So each round runs on a thread of its own; when one call does
/// not return, the path is marked stuck and not asked again until it does, and another thread goes on with the rest.
/// Promises: nobody else waits for a dead server. Bounds: at most four threads; when all hang, no remote file system is
/// asked until one returns. A round without trouble costs one thread for its length.
final class RemoteStatfs: Sendable {
    /// Threads at most, over all rounds.
    static let threadLimit = 4
    /// A call longer than this gets company: the rest of the round goes on in another thread.
    static let patience = Duration.milliseconds(100)

    typealias Call = @Sendable ([UInt8]) -> Result<FileSystemUsage, HostError>

    private struct Shared {
        var threads = 0
        var stuck: Set<[UInt8]> = []
    }

    private let clock: any Clock
    private let call: Call
    private let shared = Mutex(Shared())

    init(clock: any Clock, call: @escaping Call) {
        self.clock = clock
        self.call = call
    }

    /// One answer a path, in order, at `deadline` at the latest.
    func ask(_ paths: [[UInt8]], until deadline: Instant) async throws -> [RemoteUsage] {
        let stuck = shared.withLock(\.stuck)
        let round = Round(paths, without: stuck)
        defer { round.abandon() }
        while round.isUnfinished {
            if round.hasWaiting { startThread(round) }
            let now = clock.now
            guard now < deadline else { break }
            let until = min(deadline, now + RemoteStatfs.patience)
            if try await clock.withDeadline(until, { try await round.finished() }) != nil { break }
            // Nothing is running: every thread is lost to an earlier round.
            if !round.isRunning, shared.withLock({ $0.threads >= RemoteStatfs.threadLimit }) { break }
        }
        return round.close { paths in shared.withLock { $0.stuck.formUnion(paths) } }
    }

    private func startThread(_ round: Round) {
        let mayStart = shared.withLock { shared in
            guard shared.threads < RemoteStatfs.threadLimit else { return false }
            shared.threads += 1
            return true
        }
        guard mayStart else { return }
        let work = Work { self.work(round) }
        if !work.start() { shared.withLock { $0.threads -= 1 } }
    }

    /// The life of one thread.
    private func work(_ round: Round) {
        while let (index, path) = round.take() {
            round.give(index, call(path))
            // Back from the dead, perhaps long after its round: it may be asked again. After `give`, so that a round
            // that closes meanwhile has either seen the answer or marked the path before this.
            shared.withLock { _ = $0.stuck.remove(path) }
        }
        shared.withLock { $0.threads -= 1 }
    }
}

/// A closure on a thread of its own.
final class Work {
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    /// Starts a detached thread with a small stack; false when there can be none.
    func start() -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, 128 * 1024)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var thread = pthread_t()
        let context = Unmanaged.passRetained(self)
        let failure = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, context.toOpaque())
        if failure != 0 { context.release() }
        return failure == 0
    }
}

/// The paths of one round and what came back.
private final class Round: Sendable {
    private struct State {
        var answers: [RemoteUsage?]
        var waiting: [Int]
        var running: Set<Int> = []
        var isClosed = false
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let paths: [[UInt8]]
    private let state: Mutex<State>

    init(_ paths: [[UInt8]], without stuck: Set<[UInt8]>) {
        self.paths = paths
        let answers = paths.map { stuck.contains($0) ? RemoteUsage.stuck(isNew: false) : nil }
        // Taken from the end.
        state = Mutex(State(answers: answers, waiting: answers.indices.filter { answers[$0] == nil }.reversed()))
    }

    var hasWaiting: Bool { state.withLock { !$0.waiting.isEmpty } }
    var isRunning: Bool { state.withLock { !$0.running.isEmpty } }
    var isUnfinished: Bool { state.withLock { !$0.waiting.isEmpty || !$0.running.isEmpty } }

    func take() -> (Int, [UInt8])? {
        state.withLock { state in
            guard !state.isClosed, let index = state.waiting.popLast() else { return nil }
            state.running.insert(index)
            return (index, paths[index])
        }
    }

    func give(_ index: Int, _ result: Result<FileSystemUsage, HostError>) {
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            state.running.remove(index)
            guard !state.isClosed else { return nil }
            switch result {
            case .success(let usage): state.answers[index] = .answered(usage)
            case .failure(let error): state.answers[index] = .failed(error.code)
            }
            guard state.waiting.isEmpty, state.running.isEmpty else { return nil }
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Returns when all answers are there, or when cancelled.
    func finished() async throws {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || state.waiting.isEmpty && state.running.isEmpty { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            wake()
        }
        try Task.checkCancellation()
    }

    private func wake() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Ends the round: what runs still is stuck, what waits is not asked. `mark` is told the stuck paths while none of
    /// them can give its answer.
    func close(mark: (Set<[UInt8]>) -> Void) -> [RemoteUsage] {
        state.withLock { state in
            state.isClosed = true
            for index in state.running { state.answers[index] = .stuck(isNew: true) }
            if !state.running.isEmpty { mark(Set(state.running.map { paths[$0] })) }
            return state.answers.map { $0 ?? .notAsked }
        }
    }

    /// Nobody waits any more: threads stop after the call they are in.
    func abandon() { state.withLock { $0.isClosed = true } }
}
