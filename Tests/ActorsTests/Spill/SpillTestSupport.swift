import Glibc
import Pipeline
import Synchronization

@testable import Actors

/// Time that stands still until told otherwise.
final class SpillTestClock: Clock {
    private struct State {
        var now = Instant(nanoseconds: 1_000_000_000)
        var wall = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
        var sleepers: [(at: Instant, wake: AsyncStream<Void>.Continuation)] = []
    }
    private let state = Mutex(State())

    var now: Instant { state.withLock { $0.now } }
    var wall: Timestamp { state.withLock { $0.wall } }

    func advance(_ duration: Duration) {
        let due = state.withLock { state in
            state.now += duration
            state.wall = state.wall + duration
            let due = state.sleepers.filter { $0.at <= state.now }
            state.sleepers.removeAll { $0.at <= state.now }
            return due
        }
        for sleeper in due { sleeper.wake.finish() }
    }

    func stepWall(_ duration: Duration) { state.withLock { $0.wall = $0.wall + duration } }

    func sleep(until deadline: Instant) async throws {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { state in
            if deadline <= state.now { continuation.finish() } else { state.sleepers.append((deadline, continuation)) }
        }
        for await _ in stream { break }
        try Task.checkCancellation()
    }
}

/// xorshift64*: a seed is a run.
struct SpillRandom: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }
}

enum SpillTestLoops {
    static let disk = WorkLoop(name: "test-disk")
    static let sync = WorkLoop(name: "test-sync")
}

/// Settings small enough that everything happens soon.
func smallSpill(_ change: (inout SpillSettings) -> Void = { _ in }) -> SpillSettings {
    var settings = SpillSettings()
    settings.bytesLimit = 64 * 1024
    settings.segmentBytes = 8 * 1024
    settings.memoryBytes = 4 * 1024
    settings.syncBytes = 2 * 1024
    settings.freeFloorBytes = 0
    settings.freeFloorPercent = 0
    change(&settings)
    return settings
}

/// A log on a disk, opened but not running: tests take the steps themselves.
struct SpillBench {
    var disk: any Disk
    var clock = SpillTestClock()
    var settings = smallSpill()
    var readers = ["a"]
    var seed: UInt64 = 1
    static let folder = "/spill/default"

    func log(opening: Bool = true) async -> SpillLog {
        let log = SpillLog(
            name: "default", directory: "/spill", settings: settings, readers: readers, disk: disk,
            diskLoop: SpillTestLoops.disk, syncLoop: SpillTestLoops.sync, clock: clock, random: SpillRandom(seed))
        if opening { await log.open() }
        return log
    }

    /// A batch whose payload tells its number, so that a mix-up shows.
    func batch(_ number: Int, points: Int = 3, bytes: Int = 100) -> Batch {
        let text = Array("batch \(number) ".utf8)
        return Batch(
            pointCount: points, newest: Timestamp(nanoseconds: 1_700_000_000_000_000_000), codec: .identity,
            payload: text + [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: max(0, bytes - text.count)))
    }
}

extension SpillLog {
    /// What is next in a lane without waiting for it.
    func peek(_ reader: String, _ lane: Lane) -> StoredBatch? {
        while true {
            switch fetch(reader, lane) {
            case .batch(let batch): return batch
            case .again: continue
            case .retry: readers[reader]?.isRetrying = true
            case .nothing: return nil
            }
        }
    }

    /// Delivers everything of a reader, replay and live, and returns the batches in the order they came.
    func drain(_ reader: String) -> [StoredBatch] {
        var all: [StoredBatch] = []
        while let batch = peek(reader, .replay) ?? peek(reader, .live) {
            all.append(batch)
            resolve(batch.sequence, for: reader, delivered: batch.batch.pointCount, rejected: 0)
        }
        return all
    }

    /// Whether a sequence number is pending for a reader.
    func holds(_ sequence: UInt64, for reader: String) -> Bool {
        let start = StreamPosition(sequence: sequence, points: 0)
        let span = StreamSpan(start, StreamPosition(sequence: sequence + 1, points: 0))
        return readers[reader]?.pending.overlaps(span, end: end) ?? false
    }

    func balance(_ reader: String) -> Balance {
        readers[reader]?.pending.balance(end: end)
            ?? Balance(sealed: 0, delivered: 0, rejected: 0, dropped: [:], pending: 0)
    }

}
