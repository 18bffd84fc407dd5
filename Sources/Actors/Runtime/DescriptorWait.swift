import CLinux
import Glibc
import Pipeline
import Synchronization

/// One wait for descriptors of a `WorkLoop` to become readable. From any executor; the loop's own thread does the
/// watching, so that a descriptor may be closed as soon as the wait has returned.
struct DescriptorWait: Sendable {
    let loop: WorkLoop

    /// Returns when one of them can be read or has ended, or when the task is cancelled.
    func wait(for descriptors: [Int32]) async {
        let waiter = Waiter()
        let loop = loop
        let end: @Sendable () -> Void = {
            for descriptor in descriptors { loop.unwatch(descriptor) }
            waiter.finish()
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                guard waiter.begin(continuation) else { return }
                loop.post {
                    guard !waiter.isOver else { return }
                    for descriptor in descriptors { loop.watch(descriptor, for: EPOLLIN.rawValue) { _ in end() } }
                }
            }
        } onCancel: {
            loop.post(end)
        }
    }

    /// Returns after `duration`, whether the task is cancelled or not: for the end of things.
    func pause(_ duration: Duration) async {
        let loop = loop
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            loop.post { loop.schedule(at: loop.now + duration) { continuation.resume() } }
        }
    }

    /// Whichever comes first ends the wait.
    private final class Waiter: Sendable {
        private struct State {
            var continuation: CheckedContinuation<Void, Never>?
            var isOver = false
        }
        private let state = Mutex(State())

        var isOver: Bool { state.withLock(\.isOver) }

        /// False, with the continuation resumed, when it is over already.
        func begin(_ continuation: CheckedContinuation<Void, Never>) -> Bool {
            let mayWait = state.withLock { state in
                guard !state.isOver else { return false }
                state.continuation = continuation
                return true
            }
            if !mayWait { continuation.resume() }
            return mayWait
        }

        func finish() {
            let waiting = state.withLock { state in
                state.isOver = true
                defer { state.continuation = nil }
                return state.continuation
            }
            waiting?.resume()
        }
    }
}
