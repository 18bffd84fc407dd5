import Actors
import Logging
import Pipeline
import Synchronization
import Testing

@Suite("CollectorRunner")
struct CollectorRunnerTests {
    /// A collector that takes as long as a test wants.
    private actor Slow: Collector {
        private let clock: ManualClock
        private var durations: [Duration]
        private(set) var times: [Timestamp] = []
        private(set) var deadlines: [Duration] = []
        init(_ clock: ManualClock, _ durations: [Duration] = []) {
            self.clock = clock
            self.durations = durations
        }
        func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
            times.append(time)
            deadlines.append(deadline - now)
            if !durations.isEmpty { clock.advance(by: durations.removeFirst()) }
            var samples = SampleSet()
            samples.append(Series("m"), Schema([.int("v")]), at: time)
            samples.int(1)
            return Gather(samples: samples, errors: times.count == 2 ? ["second"] : [])
        }
    }

    private func runner(
        _ clock: ManualClock, _ collector: Slow, _ channel: SampleChannel, _ hooks: GatherHooks = .none
    ) -> CollectorRunner {
        CollectorRunner(
            input: "slow", collector: collector,
            schedule: TickSchedule(interval: .seconds(10), roundInterval: true, offset: .zero, jitter: .zero),
            precision: .seconds(1), channel: channel, clock: clock, logger: Logger(label: "test"), hooks: hooks)
    }

    @Test("a wall clock that is set back before the first tick does not stop the second")
    func earlyClockStep() async throws {
        let clock = ManualClock()
        let collector = Slow(clock)
        let channel = SampleChannel()
        let stream = channel.open()
        let runner = runner(clock, collector, channel)
        let task = Task.detached { try await runner.run() }
        await eventually("the runner sleeps") { clock.sleeperCount > 0 }
        clock.stepWall(by: .seconds(-3_600))
        clock.advance(by: .seconds(11))
        await eventually("it gathers") { await runner.currentStatus().gathers == 1 }
        await eventually("the runner sleeps") { clock.sleeperCount > 0 }
        #expect(clock.deadlines.allSatisfy { $0 - clock.now <= .seconds(11) })
        task.cancel()
        _ = await task.result
        withExtendedLifetime(stream) {}
    }

    @Test(
        "the time source replaces times by the begin or the end of the gather, without rounding",
        arguments: [
            (InputSchedule.TimeSource.metric, Int64(10_000_000_000)), (.collectionStart, 10_300_000_000),
            (.collectionEnd, 10_700_000_000),
        ])
    func timeSource(_ source: InputSchedule.TimeSource, _ expected: Int64) async throws {
        let clock = ManualClock()
        let begin = clock.wall
        let channel = SampleChannel()
        var stream = channel.open().makeAsyncIterator()
        let runner = CollectorRunner(
            input: "slow", collector: Slow(clock, [.milliseconds(400)]),
            schedule: TickSchedule(
                interval: .seconds(10), roundInterval: true, offset: .milliseconds(300), jitter: .zero),
            precision: .seconds(1), timeSource: source, channel: channel, clock: clock, logger: Logger(label: "test"))
        let task = Task.detached { try await runner.run() }
        await eventually("the runner sleeps") { clock.sleeperCount > 0 }
        clock.advance(by: .milliseconds(10_300))
        guard case .samples(_, let samples) = await stream.next() else {
            Issue.record("no samples")
            return
        }
        #expect(samples.rows.map { ($0.time - begin).wholeNanoseconds } == [expected])
        task.cancel()
        _ = await task.result
    }

    @Test("each tick is one gather with a rounded time, sent into the channel")
    func ticks() async throws {
        let clock = ManualClock()
        let collector = Slow(clock)
        let channel = SampleChannel()
        var stream = channel.open().makeAsyncIterator()
        let hooked = Mutex<[String]>([])
        let hooks = GatherHooks(
            willGather: { name in hooked.withLock { $0.append("will \(name)") } },
            didGather: { name in hooked.withLock { $0.append("did \(name)") } })
        let runner = runner(clock, collector, channel, hooks)
        let task = Task.detached { try await runner.run() }
        for _ in 0..<3 {
            await eventually("the runner sleeps") { clock.sleeperCount > 0 }
            clock.advance(by: .seconds(10))
            guard case .samples(let input, let samples) = await stream.next() else {
                Issue.record("no samples")
                return
            }
            #expect(input == "slow" && samples.rows.count == 1)
        }
        await eventually("the third gather is counted") { await runner.currentStatus().gathers == 3 }
        let status = await runner.currentStatus()
        #expect(status.points == 3 && status.errors == 1 && status.lastError == "second")
        #expect(status.skippedTicks == 0 && status.gatheringSince == nil)
        let times = await collector.times
        #expect(times.allSatisfy { $0.nanoseconds % 10_000_000_000 == 0 })
        #expect(await collector.deadlines == [.seconds(10), .seconds(10), .seconds(10)])
        #expect(hooked.withLock { $0 }.prefix(2) == ["will slow", "did slow"])
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test("ticks during a long gather are skipped and counted")
    func skippedTicks() async throws {
        let clock = ManualClock()
        let collector = Slow(clock, [.seconds(35)])
        let channel = SampleChannel()
        let runner = runner(clock, collector, channel)
        let task = Task.detached { try await runner.run() }
        await eventually("the runner sleeps") { clock.sleeperCount > 0 }
        clock.advance(by: .seconds(10))
        await eventually("the gather is over") { await runner.currentStatus().gathers == 1 && clock.sleeperCount > 0 }
        #expect(await runner.currentStatus().skippedTicks == 3)
        #expect(await runner.currentStatus().lastDuration == .seconds(35))
        task.cancel()
        _ = await task.result
    }

    @Test("a wall clock set back does not stop the ticks")
    func wallClockSetBack() async throws {
        let clock = ManualClock()
        let collector = Slow(clock)
        let runner = runner(clock, collector, SampleChannel())
        let task = Task.detached { try await runner.run() }
        for round in 1...5 {
            await eventually("round \(round)") {
                let gathers = await runner.currentStatus().gathers
                return gathers == UInt64(round - 1) && clock.sleeperCount > 0
            }
            if round == 3 { clock.stepWall(by: .seconds(-7200)) }
            clock.advance(by: .seconds(20))
        }
        await eventually("five gathers") { await runner.currentStatus().gathers == 5 }
        task.cancel()
        _ = await task.result
    }
}
