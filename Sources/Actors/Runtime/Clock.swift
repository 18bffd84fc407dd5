import Glibc
import Pipeline

/// Where time comes from. Every actor gets one; tests drive a `ManualClock`.
public protocol Clock: Sendable {
    /// The monotonic clock.
    var now: Instant { get }
    /// The wall clock, for timestamps only.
    var wall: Timestamp { get }
    /// Returns at `deadline`, at once when it has passed; throws `CancellationError` when the task is cancelled.
    func sleep(until deadline: Instant) async throws
}

extension Clock {
    public func sleep(for duration: Duration) async throws { try await sleep(until: now + duration) }

    /// Runs `operation` with a deadline: its result, or nil when the deadline came first (the operation is cancelled
    /// and awaited, so it must obey cancellation).
    public func withDeadline<Result: Sendable>(
        _ deadline: Instant, _ operation: @escaping @Sendable () async throws -> Result
    ) async throws -> Result? {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await operation() }
            group.addTask {
                try await self.sleep(until: deadline)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}

/// The kernel's clocks, read without a timer.
enum KernelClock {
    static func monotonic() -> Instant { Instant(nanoseconds: read(CLOCK_MONOTONIC)) }
    static func wall() -> Timestamp { Timestamp(nanoseconds: read(CLOCK_REALTIME)) }

    /// The processor time of the calling thread.
    static func threadTime() -> Duration { .nanoseconds(read(CLOCK_THREAD_CPUTIME_ID)) }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec).multipliedSaturated(by: 1_000_000_000).addingSaturated(Int64(time.tv_nsec))
    }
}
