import Pipeline
import Synchronization

/// A page on its way through: one transfer writes it, another one reads it, each at the pace of the slower.
///
/// Both live on the I/O loop; whoever waits for the page to begin or end does not. Bounds: those of `PageBuffer`, and in
/// all those of the budget, of which a pipe has a share from its start.
public final class BodyPipe: Sendable {
    /// Bytes that are held of a page in a stream.
    public static let heldLimit = 64 * 1_024
    /// What a pipe takes of the budget at once: what is held, a piece at either end, and libcurl's own buffers.
    private static let share = 128 * 1_024

    private struct State {
        var buffer: PageBuffer
        var charged: Int
        var waiting: CheckedContinuation<PageBuffer.Opening, Never>?
        var writerWaits = false
        var readerWaits = false
        var wakeWriter: (@Sendable () -> Void)?
        var wakeReader: (@Sendable () -> Void)?
    }

    private let state: Mutex<State>
    private let budget: BodyBudget

    /// nil when the budget has no share left.
    public init?(_ buffer: PageBuffer, budget: BodyBudget) {
        let charge = max(BodyPipe.share, buffer.footprint)
        guard budget.charge(charge) else { return nil }
        self.budget = budget
        state = Mutex(State(buffer: buffer, charged: charge))
    }

    deinit { budget.release(state.withLock { $0.charged }) }

    public var stop: PageBuffer.Stop? { state.withLock { $0.buffer.stop } }
    public var received: Int { state.withLock { $0.buffer.received } }

    /// Changes the buffer; then whoever waited for that goes on: the writer for room, the reader for anything at all.
    private func change<Result: Sendable>(
        byReader isReader: Bool = false, _ body: (inout State) -> Result
    ) -> Result {
        let (result, calls, opened) = state.withLock { state in
            let result = body(&state)
            var calls: [@Sendable () -> Void] = []
            if state.writerWaits, state.buffer.hasRoom {
                state.writerWaits = false
                if let wake = state.wakeWriter { calls.append(wake) }
            }
            if state.readerWaits, !isReader {
                state.readerWaits = false
                if let wake = state.wakeReader { calls.append(wake) }
            }
            var opened: (CheckedContinuation<PageBuffer.Opening, Never>, PageBuffer.Opening)?
            if let opening = state.buffer.opening, let waiting = state.waiting {
                state.waiting = nil
                opened = (waiting, opening)
            }
            return (result, calls, opened)
        }
        for call in calls { call() }
        if let (waiting, opening) = opened { waiting.resume(returning: opening) }
        return result
    }

    // MARK: The writer

    /// `wake` has the writer try again; called when there is room after a `wait`.
    func setWriter(_ wake: @escaping @Sendable () -> Void) { state.withLock { $0.wakeWriter = wake } }

    func take(_ head: PageBuffer.Head) { change { $0.buffer.take(head) } }

    func take(_ bytes: UnsafeRawBufferPointer) -> PageBuffer.Verdict {
        change { state in
            let verdict = state.buffer.take(bytes)
            if verdict == .wait { state.writerWaits = true }
            let more = state.buffer.footprint - state.charged
            if more > 0 {
                guard budget.charge(more) else {
                    state.buffer.refuse(.noRoom)
                    return .stop
                }
                state.charged += more
            }
            return verdict
        }
    }

    /// The writer has ended.
    public func finish(isWhole: Bool) { change { $0.buffer.finish(isWhole: isWhole) } }

    // MARK: The reader

    /// Waits until it is known how the page can be passed on: the writer's own deadline ends the wait.
    public func opening() async -> PageBuffer.Opening {
        await withCheckedContinuation { continuation in
            let opening = state.withLock { state in
                if state.buffer.opening == nil { state.waiting = continuation }
                return state.buffer.opening
            }
            if let opening { continuation.resume(returning: opening) }
        }
    }

    public func begin(_ prefix: [UInt8], isChunked: Bool) {
        state.withLock { $0.buffer.begin(prefix, isChunked: isChunked) }
    }

    /// `wake` has the reader try again; called when there is something after a `wait`.
    func setReader(_ wake: @escaping @Sendable () -> Void) { state.withLock { $0.wakeReader = wake } }

    func read(into buffer: UnsafeMutableRawBufferPointer) -> PageBuffer.Piece {
        change(byReader: true) { state in
            let piece = state.buffer.read(into: buffer)
            state.readerWaits = piece == .wait
            return piece
        }
    }

    /// What is held, which is then gone from here.
    public func drain() -> [UInt8] { state.withLock { $0.buffer.drain() } }

    /// The reader is gone: the writer may stop. False when the page was broken before.
    public func abandon() -> Bool {
        change { state in
            if case .broken = state.buffer.opening { return false }
            state.buffer.breakOff()
            return true
        }
    }
}
