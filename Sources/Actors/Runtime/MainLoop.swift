import Glibc
import NIOCore
import NIOPosix
import Pipeline
import Synchronization

/// The main loop: a NIO event loop on the main thread that runs every actor without an executor of its own, every
/// timer and every server. One thread, one wake-up a timer.
///
/// Why: continuations resume on the *task's* executor first. With this preference that is the loop itself, so no
/// dispatch worker ever starts (measured: 1 thread instead of 5).
public final class MainLoop: TaskExecutor, Clock {
    public let eventLoop: any EventLoop

    public init(_ eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// Makes the calling thread the main loop and returns when `body`'s task has ended.
    public static func run(_ body: @escaping @Sendable (MainLoop) async -> Void) {
        MultiThreadedEventLoopGroup.withCurrentThreadAsEventLoop { eventLoop in
            let loop = MainLoop(eventLoop)
            // The one task that exists outside the supervisor: the supervisor's own.
            Task.detached(executorPreference: loop) {
                await body(loop)
                eventLoop.shutdownGracefully { _ in }
            }
        }
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }

    /// Ends the process with status 0 after a while, whatever hangs by then.
    public func endProcess(after delay: Duration) {
        eventLoop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { exit(0) }
    }

    public var now: Instant { KernelClock.monotonic() }
    public var wall: Timestamp { KernelClock.wall() }

    public func sleep(until deadline: Instant) async throws {
        try Task.checkCancellation()
        let delay = deadline - now
        guard delay > .zero else { return }
        let sleeper = Sleeper()
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let timer = eventLoop.scheduleTask(in: .nanoseconds(delay.wholeNanoseconds)) { sleeper.finish(nil) }
                sleeper.begin(continuation, timer)
            }
        } onCancel: {
            sleeper.finish(CancellationError())
        }
    }
}

/// One pending sleep: whichever of timer and cancellation comes first resumes it, exactly once.
private final class Sleeper: Sendable {
    private enum State {
        case new
        case waiting(CheckedContinuation<Void, any Error>, Scheduled<Void>)
        case finished((any Error)?)
    }
    private let state = Mutex(State.new)

    func begin(_ continuation: CheckedContinuation<Void, any Error>, _ timer: Scheduled<Void>) {
        let early: (any Error)?? = state.withLock { state in
            if case .finished(let error) = state { return .some(error) }
            state = .waiting(continuation, timer)
            return nil
        }
        if let error = early {
            timer.cancel()
            if let error { continuation.resume(throwing: error) } else { continuation.resume() }
        }
    }

    func finish(_ error: (any Error)?) {
        let previous = state.withLock { state in
            defer { state = .finished(error) }
            return state
        }
        guard case .waiting(let continuation, let timer) = previous else { return }
        timer.cancel()
        if let error { continuation.resume(throwing: error) } else { continuation.resume() }
    }
}
