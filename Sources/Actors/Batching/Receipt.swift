import Synchronization

/// What became of points that were handed over.
public enum Handover: Sendable, Hashable {
    /// The batcher has them.
    case taken
    /// There is no room; nothing was taken. Try again later.
    case busy
    /// They were evicted or the batcher ended before it came to them, or nobody waits any more.
    case lost
}

/// Travels with points to the batcher, and tells their sender what became of them. What ends without a word is lost.
public final class Receipt: Sendable {
    private let outcome: HandoverState
    /// Whether the sender waits until the points are in the spill log.
    let isSealing: Bool

    init(_ outcome: HandoverState, sealing: Bool) {
        self.outcome = outcome
        isSealing = sealing
    }

    deinit { outcome.settle(.lost) }

    /// The points are where the sender wants them.
    func confirm() { outcome.settle(.taken) }
}

/// The meeting point of a sender and its receipt: the first word counts.
final class HandoverState: Sendable {
    private enum State {
        case open
        case waiting(CheckedContinuation<Handover, Never>)
        case settled(Handover)
    }
    private let state = Mutex(State.open)

    func settle(_ handover: Handover) {
        let waiter: CheckedContinuation<Handover, Never>? = state.withLock { state in
            switch state {
            case .open: state = .settled(handover)
            case .waiting(let waiter):
                state = .settled(handover)
                return waiter
            case .settled: break
            }
            return nil
        }
        waiter?.resume(returning: handover)
    }

    /// Once only. Ends with `lost` when the task is cancelled.
    func wait() async -> Handover {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let early: Handover? = state.withLock { state in
                    if case .settled(let handover) = state { return handover }
                    state = .waiting(continuation)
                    return nil
                }
                if let early { continuation.resume(returning: early) }
            }
        } onCancel: {
            settle(.lost)
        }
    }
}
