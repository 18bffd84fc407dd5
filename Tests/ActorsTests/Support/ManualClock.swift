import Actors
import Pipeline
import Synchronization

/// A clock that stands still until a test moves it. Sleepers resume in the order of their deadlines.
public final class ManualClock: Clock, Sendable {
    private struct Sleeper {
        var id: UInt64
        var deadline: Instant
        var continuation: CheckedContinuation<Void, any Error>
    }

    private struct State {
        var now: Instant
        var wall: Timestamp
        var sleepers: [Sleeper] = []
        var cancelledEarly: Set<UInt64> = []
        var nextID: UInt64 = 0
    }

    private let state: Mutex<State>

    public init(
        now: Instant = Instant(nanoseconds: 1_000_000_000_000),
        wall: Timestamp = Timestamp(nanoseconds: 1_800_000_000_000_000_000)
    ) {
        state = Mutex(State(now: now, wall: wall))
    }

    public var now: Instant { state.withLock { $0.now } }
    public var wall: Timestamp { state.withLock { $0.wall } }

    /// The deadlines that somebody sleeps for, earliest first.
    public var deadlines: [Instant] { state.withLock { $0.sleepers.map(\.deadline).sorted() } }
    public var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    public func sleep(until deadline: Instant) async throws {
        try Task.checkCancellation()
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Result<Void, any Error>? = state.withLock { state in
                    if state.cancelledEarly.remove(id) != nil { return .failure(CancellationError()) }
                    if deadline <= state.now { return .success(()) }
                    state.sleepers.append(Sleeper(id: id, deadline: deadline, continuation: continuation))
                    return nil
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            let sleeper = state.withLock { state -> Sleeper? in
                guard let index = state.sleepers.firstIndex(where: { $0.id == id }) else {
                    state.cancelledEarly.insert(id)
                    return nil
                }
                return state.sleepers.remove(at: index)
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Moves both clocks and resumes whoever is due.
    public func advance(by duration: Duration) {
        let due = state.withLock { state in
            state.now += duration
            state.wall = state.wall + duration
            let now = state.now
            let due = state.sleepers.filter { $0.deadline <= now }.sorted { $0.deadline < $1.deadline }
            state.sleepers.removeAll { $0.deadline <= now }
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    /// Moves the wall clock alone, as an administrator or NTP does.
    public func stepWall(by duration: Duration) { state.withLock { $0.wall = $0.wall + duration } }
}
