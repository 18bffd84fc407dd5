import Pipeline
import Synchronization

/// What travels from the collectors to the batcher.
public enum Collected: Sendable {
    /// The samples of one tick of one input.
    case samples(input: String, SampleSet)
    /// The flush tick: seal what is open. In the same channel, so that order is plain.
    case flush
}

/// The bounded channel between collectors and batcher: an `AsyncStream` that keeps the newest sets.
///
/// The batcher opens it when it starts (again after a restart, since an `AsyncStream` ends with its consumer). Before
/// that, and after it has closed, what is sent is counted as dropped.
/// Bounds: 256 elements; full means the oldest is evicted and its points counted.
public final class SampleChannel: Sendable {
    /// Elements that may wait.
    public static let capacity = 256

    private struct State {
        var continuation: AsyncStream<Collected>.Continuation?
        var droppedPoints: UInt64 = 0
        var droppedSets: UInt64 = 0
        /// When each input will gather next, or began to gather now.
        var due: [String: Timestamp] = [:]
    }
    private let state = Mutex(State())

    public init() {}

    /// Begins a new stream; an earlier one ends.
    public func open() -> AsyncStream<Collected> {
        let (stream, continuation) = AsyncStream<Collected>.makeStream(
            bufferingPolicy: .bufferingNewest(SampleChannel.capacity))
        let old = state.withLock { state in
            defer { state.continuation = continuation }
            return state.continuation
        }
        old?.finish()
        return stream
    }

    /// Ends the stream after what it holds.
    public func close() {
        let old = state.withLock { state in
            defer { state.continuation = nil }
            return state.continuation
        }
        old?.finish()
    }

    public func send(_ element: Collected) {
        let result = state.withLock(\.continuation)?.yield(element)
        switch result {
        case .dropped(let evicted): count(evicted)
        case .terminated, nil: count(element)
        default: break
        }
    }

    /// A collector says when it will gather next, which also says that everything before has been sent; nil when it
    /// ends.
    public func expect(_ input: String, at tick: Timestamp?) { state.withLock { $0.due[input] = tick } }

    /// Whether nobody is to gather before `moment`, or still at it.
    func isSettled(before moment: Timestamp) -> Bool {
        state.withLock { state in state.due.values.allSatisfy { $0 > moment } }
    }

    private func count(_ lost: Collected) {
        guard case .samples(_, let set) = lost else { return }
        state.withLock { state in
            state.droppedPoints &+= UInt64(set.rows.count)
            state.droppedSets &+= 1
        }
    }

    /// Points evicted or sent while nobody listened, since the start.
    public var droppedPoints: UInt64 { state.withLock(\.droppedPoints) }
}
