import Pipeline
import Synchronization

/// What travels from the collectors to the batcher.
public enum Collected: Sendable {
    /// The samples of one tick of one input.
    case samples(input: String, SampleSet)
    /// Points that somebody waits for: the receipt tells when the batcher has them.
    case foreign(input: String, SampleSet, Receipt)
    /// Seal all that is open. In the same channel, so that order is plain.
    case flush
    /// The flush tick of the streams with this schedule.
    case flushTick(TickSchedule)
    /// A window of an aggregator ends: behind the points that were collected in it.
    case push
}

/// The bounded channel between collectors and batcher: an `AsyncStream` that keeps the newest sets.
///
/// The batcher opens it when it starts (again after a restart, since an `AsyncStream` ends with its consumer). Before
/// that, and after it has closed, what is sent is counted as dropped.
/// Bounds: 256 elements; full means the oldest is evicted and its points counted. Of those that somebody waits for only
/// half as many are let in, so that senders from outside are told to wait before they push anybody out.
public final class SampleChannel: Sendable {
    /// Elements that may wait.
    public static let capacity = 256
    /// Elements with a receipt that may wait.
    public static let foreignCapacity = 128

    private struct State {
        var continuation: AsyncStream<Collected>.Continuation?
        var droppedPoints: UInt64 = 0
        var droppedSets: UInt64 = 0
        var waitingForeign = 0
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

    /// Hands points over and waits until the batcher has them: encoded in the open batch, what was full handed to the
    /// spill log. With `sealing` the batch is sealed and spilled as well. When cancelled it does not wait any longer;
    /// the points may be taken all the same then.
    public func deliver(_ set: SampleSet, from input: String, sealing: Bool) async -> Handover {
        let mayEnter = state.withLock { state in
            guard state.continuation != nil, state.waitingForeign < SampleChannel.foreignCapacity else { return false }
            state.waitingForeign += 1
            return true
        }
        guard mayEnter else { return .busy }
        defer { state.withLock { $0.waitingForeign -= 1 } }
        let outcome = HandoverState()
        send(.foreign(input: input, set, Receipt(outcome, sealing: sealing)))
        return await outcome.wait()
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
        let set: SampleSet
        switch lost {
        case .samples(_, let samples): set = samples
        // Its sender hears of it.
        case .foreign, .flush, .flushTick, .push: return
        }
        state.withLock { state in
            state.droppedPoints &+= UInt64(set.rows.count)
            state.droppedSets &+= 1
        }
    }

    /// Points evicted or sent while nobody listened, since the start.
    public var droppedPoints: UInt64 { state.withLock(\.droppedPoints) }
}
