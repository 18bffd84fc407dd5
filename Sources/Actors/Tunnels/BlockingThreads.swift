import Synchronization

/// A few threads for what may block for long: name servers, key files, key derivation. One that hangs holds up whoever
/// waits for it, and of the others only those who came to the same thread.
///
/// Bounds: four threads, each made when all before it are busy. Why not the disk loop: a name server that does not
/// answer must not stop the backlog.
public final class BlockingThreads: Sendable {
    private struct State {
        var loops: [WorkLoop] = []
        /// Works that each has been given and has not finished.
        var waiting: [Int] = []
    }

    private let limit: Int
    private let state = Mutex(State())

    public init(limit: Int = 4) { self.limit = max(1, limit) }

    /// Runs `body` on the thread with the least to do. Any thread.
    func post(_ body: @escaping @Sendable () -> Void) {
        let (index, loop) = state.withLock { state in
            var index = state.waiting.indices.min { state.waiting[$0] < state.waiting[$1] } ?? 0
            if state.loops.isEmpty || state.waiting[index] > 0 && state.loops.count < limit {
                index = state.loops.count
                state.loops.append(WorkLoop(name: "godwit-wait\(index)"))
                state.waiting.append(0)
            }
            state.waiting[index] += 1
            return (index, state.loops[index])
        }
        loop.post { [self] in
            body()
            state.withLock { $0.waiting[index] -= 1 }
        }
    }
}
