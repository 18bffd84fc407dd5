import Pipeline
import Synchronization

/// Live listeners of points (`godwit tap`): each gets the encoded lines whose name matches its pattern.
///
/// Costs one flag read per sample set while nobody listens. A listener that reads too slowly loses lines; the loss is
/// counted and told to it, and never slows the batcher.
public final class Taps: Sendable {
    /// Lines that may wait for one listener.
    public static let capacity = 1_024

    /// A listener's element: a line with its LF, and how many lines were lost before it.
    public struct Line: Sendable {
        public var bytes: [UInt8]
        public var lostBefore: UInt64
    }

    private struct Listener {
        let pattern: Glob
        let continuation: AsyncStream<Line>.Continuation
        var lost: UInt64 = 0
    }

    private struct State {
        var listeners: [UInt64: Listener] = [:]
        var next: UInt64 = 0
    }
    private let state = Mutex(State())
    private let isActive = Atomic<Bool>(false)

    public init() {}

    /// Begins listening to the points whose final name matches `pattern`; ends when the stream's consumer ends.
    public func subscribe(_ pattern: Glob) -> AsyncStream<Line> {
        let (stream, continuation) = AsyncStream<Line>.makeStream(bufferingPolicy: .bufferingNewest(Taps.capacity))
        let id = state.withLock { state in
            state.next &+= 1
            state.listeners[state.next] = Listener(pattern: pattern, continuation: continuation)
            isActive.store(true, ordering: .relaxed)
            return state.next
        }
        continuation.onTermination = { [weak self] _ in self?.end(id) }
        return stream
    }

    private func end(_ id: UInt64) {
        state.withLock { state in
            state.listeners[id] = nil
            isActive.store(!state.listeners.isEmpty, ordering: .relaxed)
        }
    }

    /// What the encoder calls for each line; nil while nobody listens.
    var observer: StreamEncoder.LineObserver? {
        guard isActive.load(ordering: .relaxed) else { return nil }
        return { name, line in self.offer(name, line) }
    }

    private func offer(_ name: String, _ line: UnsafeBufferPointer<UInt8>) {
        state.withLock { state in
            for (id, listener) in state.listeners where listener.pattern.matches(name) {
                let element = Line(bytes: [UInt8](line), lostBefore: listener.lost)
                switch listener.continuation.yield(element) {
                case .dropped(let evicted): state.listeners[id]?.lost &+= 1 &+ evicted.lostBefore
                case .enqueued: state.listeners[id]?.lost = 0
                default: break
                }
            }
        }
    }
}
