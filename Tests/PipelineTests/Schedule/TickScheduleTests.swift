import Pipeline
import Testing

@Suite("TickSchedule")
struct TickScheduleTests {
    private func seconds(_ value: Double) -> Timestamp { Timestamp(nanoseconds: Int64(value * 1e9)) }
    private struct Constant: RandomNumberGenerator {
        var value: UInt64
        mutating func next() -> UInt64 { value }
    }

    @Test("aligned ticks fall on multiples of the interval")
    func alignedTicks() {
        var random = Constant(value: 0)
        var schedule = TickSchedule(interval: .seconds(10), roundInterval: true, offset: .seconds(3), jitter: .zero)
        let first = schedule.first(from: seconds(1), using: &random)
        #expect(first.fire == seconds(13))
        #expect(schedule.next(after: first.fire, using: &random).fire == seconds(23))
    }

    @Test("a tick that is closer than a hundredth of the interval is left out")
    func tooCloseTick() {
        var random = Constant(value: 0)
        var schedule = TickSchedule(interval: .seconds(10), roundInterval: true, offset: .zero, jitter: .zero)
        #expect(schedule.first(from: seconds(9.95), using: &random).fire == seconds(20))
        #expect(schedule.first(from: seconds(9.9), using: &random).fire == seconds(10))
    }

    @Test("rolling ticks begin at the start")
    func rollingTicks() {
        var random = Constant(value: 0)
        var schedule = TickSchedule(interval: .seconds(60), roundInterval: false, offset: .zero, jitter: .zero)
        #expect(schedule.first(from: seconds(22), using: &random).fire == seconds(22))
        #expect(schedule.next(after: seconds(23), using: &random).fire == seconds(82))
    }

    @Test("multiples of an odd interval are counted from the year 1")
    func yearOneAlignment() {
        var random = Constant(value: 0)
        var schedule = TickSchedule(interval: .seconds(7), roundInterval: true, offset: .zero, jitter: .zero)
        // 62135596800 s lie between the year 1 and 1970.
        let seven = schedule.first(from: seconds(0), using: &random).fire.nanoseconds / 1_000_000_000
        #expect((seven + 62_135_596_800) % 7 == 0)
        schedule = TickSchedule(interval: .seconds(11), roundInterval: true, offset: .zero, jitter: .zero)
        let eleven = schedule.first(from: seconds(0), using: &random).fire.nanoseconds / 1_000_000_000
        #expect((eleven + 62_135_596_800) % 11 == 0)
        #expect(eleven % 11 != 0)
    }

    @Test("jitter is below its limit and not carried over")
    func jitterIsFresh() {
        var random = SystemRandomNumberGenerator()
        var schedule = TickSchedule(interval: .seconds(10), roundInterval: true, offset: .zero, jitter: .seconds(4))
        var tick = schedule.first(from: seconds(1), using: &random)
        for round in 1...100 {
            #expect(tick.scheduled == seconds(Double(10 * round)))
            #expect(tick.fire >= tick.scheduled && tick.fire < tick.scheduled + .seconds(4))
            tick = schedule.next(after: tick.fire, using: &random)
        }
    }

    @Test("ticks that passed meanwhile are skipped and counted")
    func skippedTicks() {
        var random = Constant(value: 0)
        var schedule = TickSchedule(interval: .seconds(10), roundInterval: true, offset: .zero, jitter: .zero)
        _ = schedule.first(from: seconds(1), using: &random)
        let next = schedule.next(after: seconds(45), using: &random)
        #expect(next.fire == seconds(50))
        #expect(next.skipped == 3)
        #expect(schedule.next(after: seconds(51), using: &random).skipped == 0)
    }

    @Test("a clock that was set leads to the next multiple, without skipped ticks")
    func clockJumps() {
        var random = Constant(value: 0)
        for jump in [-3600.0, 3600] {
            var schedule = TickSchedule(interval: .seconds(10), roundInterval: true, offset: .zero, jitter: .zero)
            _ = schedule.first(from: seconds(7201), using: &random)
            schedule.clockJumped(by: .seconds(jump), to: seconds(7211 + jump))
            let tick = schedule.next(after: seconds(7211 + jump), using: &random)
            #expect(tick.fire == seconds(7220 + jump))
            #expect(tick.skipped == 0)
        }
    }

    @Test(
        "the default precision is the unit of the interval",
        arguments: [
            (Duration.seconds(60), Duration.seconds(1)), (.milliseconds(1500), .seconds(1)),
            (.milliseconds(5), .milliseconds(1)),
            (.microseconds(7), .microseconds(1)), (.nanoseconds(9), .nanoseconds(1)),
        ])
    func defaultPrecision(_ interval: Duration, _ precision: Duration) {
        #expect(TickSchedule.precision(configured: .zero, interval: interval) == precision)
        #expect(TickSchedule.precision(configured: .seconds(5), interval: interval) == .seconds(5))
    }

    @Test("extreme values do not trap")
    func extremes() {
        var random = Constant(value: .max)
        for nanoseconds in [Int64.min, -1, 0, 1, .max] {
            var schedule = TickSchedule(
                interval: .nanoseconds(nanoseconds), roundInterval: true, offset: .nanoseconds(Int64.max),
                jitter: .nanoseconds(Int64.max))
            _ = schedule.first(from: Timestamp(nanoseconds: nanoseconds), using: &random)
            _ = schedule.next(after: Timestamp(nanoseconds: .max), using: &random)
            _ = schedule.next(after: Timestamp(nanoseconds: .min), using: &random)
            schedule.clockJumped(by: .nanoseconds(Int64.min), to: Timestamp(nanoseconds: .max))
        }
    }
}
