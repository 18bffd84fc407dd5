import NIOCore
import Pipeline
import Synchronization

/// The handshakes of one listener: who does one now, and who waits (`HandshakeQueue`).
///
/// The turn of the next comes a moment after the end of one, so that the event loop serves everybody else in between:
/// thousands of clients that come back at once hold up no poll. Bounds: those of the queue.
final class HandshakeLane: Sendable {
    /// What a connection holds that waits for its turn.
    struct Wait: Sendable {
        let ticket: HandshakeQueue.Ticket
        /// Succeeds when its turn has come, fails when it was forgotten.
        let turn: EventLoopFuture<Void>
    }

    private struct State {
        var queue: HandshakeQueue
        var promises: [HandshakeQueue.Ticket: EventLoopPromise<Void>] = [:]
    }

    private static let pause = TimeAmount.milliseconds(1)
    private let state: Mutex<State>

    init(limit: Int) { state = Mutex(State(queue: HandshakeQueue(limit: limit))) }

    var counts: (running: Int, waiting: Int) { state.withLock { ($0.queue.running, $0.queue.waitingCount) } }

    /// Whether somebody waits for the end of a handshake.
    var isCrowded: Bool { state.withLock { $0.queue.waitingCount > 0 } }

    /// nil: it may begin, and owes a `leave`.
    func enter(on loop: any EventLoop) -> Wait? {
        state.withLock { state in
            guard let ticket = state.queue.enter() else { return nil }
            let promise = loop.makePromise(of: Void.self)
            state.promises[ticket] = promise
            return Wait(ticket: ticket, turn: promise.futureResult)
        }
    }

    /// A handshake has ended, well or badly.
    func leave() {
        let next = state.withLock { state in state.queue.leave().flatMap { state.promises.removeValue(forKey: $0) } }
        guard let next else { return }
        next.futureResult.eventLoop.scheduleTask(in: HandshakeLane.pause) { next.succeed() }
    }

    /// A connection that waited is gone.
    func forget(_ wait: Wait) {
        let promise = state.withLock { state in
            state.queue.forget(wait.ticket)
            return state.promises.removeValue(forKey: wait.ticket)
        }
        promise?.fail(ChannelError.ioOnClosedChannel)
    }
}
