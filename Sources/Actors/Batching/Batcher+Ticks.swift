import Pipeline

/// When open batches are flushed and windows of aggregators end. Both are sent through the channel, behind what has been
/// collected before them.
extension Batcher {
    // MARK: The flush tick

    /// How long the flush of a collection tick waits for collectors that take their time: short enough that a kill costs
    /// nothing but the cycle in progress. As a rule all have reported at once, and the flush needs no timer of its own.
    public static let flushLinger = Duration.milliseconds(20)
    /// Turns of the loop that a collector may need from its timer to its report.
    private static let turns = 32

    /// Returns when every collector of `tick` has reported, or has had its time.
    private func settle(_ tick: Timestamp) async {
        for _ in 0..<Batcher.turns {
            if channel.isSettled(before: tick + Batcher.flushLinger) { return }
            await Task.yield()
        }
        try? await clock.sleep(for: Batcher.flushLinger)
    }

    func tickFlush() async {
        var watch = ClockWatch(now: clock.now, wall: clock.wall)
        var ticks = FlushTicks(flushSchedules, wall: clock.wall, using: &generator)
        while !Task.isCancelled {
            guard let next = ticks.next else { return }
            await sleepOrReschedule(until: clock.now + (next - clock.wall))
            if Task.isCancelled { return }
            await settle(next)
            for schedule in ticks.advance(past: next, wall: clock.wall, using: &generator) {
                channel.send(.flushTick(schedule))
            }
            if let jump = watch.jump(now: clock.now, wall: clock.wall) {
                ticks.clockJumped(by: jump, to: clock.wall, using: &generator)
            }
            if ticks.schedules != flushSchedules {
                ticks = FlushTicks(flushSchedules, wall: clock.wall, using: &generator)
            }
        }
    }

    /// A shorter flush interval must not wait for the end of a longer one.
    private func sleepOrReschedule(until deadline: Instant) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        rescheduled = continuation
        // The only error is cancellation, which the caller looks for.
        _ = try? await clock.withDeadline(deadline) { for await _ in stream { break } }
        rescheduled = nil
        continuation.finish()
    }

    // MARK: The ends of windows

    /// How long a push may wait in the channel before it is sent again: a full channel drops the oldest.
    private static let pushPatience = Duration.seconds(1)

    /// Sends a push whenever a window ends. Without aggregators it only waits to be told of some.
    func tickPush() async {
        while !Task.isCancelled {
            guard let next = chain?.nextPush, next <= clock.now else {
                await sleepOrReplan(until: chain?.nextPush)
                continue
            }
            channel.send(.push)
            await sleepOrReplan(until: clock.now + Batcher.pushPatience)
        }
    }

    /// Ends when the chain has other windows, or at the deadline.
    private func sleepOrReplan(until deadline: Instant?) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        replanned = continuation
        if let deadline {
            // The only error is cancellation, which the caller looks for.
            _ = try? await clock.withDeadline(deadline) { for await _ in stream { break } }
        } else {
            for await _ in stream { break }
        }
        replanned = nil
        continuation.finish()
    }
}
