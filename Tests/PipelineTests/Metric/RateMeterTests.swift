import Testing

@testable import Pipeline

@Suite("RateMeter")
struct RateMeterTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test("growth is divided by the time between two readings")
    func growth() throws {
        var meter = RateMeter<2>()
        let early = meter.advance(to: [10, 20], at: start)
        #expect(early == nil)
        let grown = meter.advance(to: [15, 20], at: start + .milliseconds(2500))
        let growth = try #require(grown)
        #expect(growth.seconds == 2.5)
        #expect(growth.perSecond(0) == 2)
        #expect(growth.perSecond(1) == 0)
        // Each reading is compared with the one before, whatever the distance.
        let again = meter.advance(to: [16, 40], at: start + .milliseconds(2600))
        let next = try #require(again)
        #expect((next.perSecond(0) - 10).magnitude < 1e-9)
        #expect((next.perSecond(1) - 200).magnitude < 1e-9)
    }

    @Test("one counter that fell, by reset or wrap, leaves the whole interval out, and only that")
    func fall() throws {
        var meter = RateMeter<2>()
        _ = meter.advance(to: [UInt64(UInt32.max), 20], at: start)
        let early = meter.advance(to: [3, 25], at: start + .seconds(1))
        #expect(early == nil)
        let grown = meter.advance(to: [4, 25], at: start + .seconds(2))
        let growth = try #require(grown)
        #expect(growth.perSecond(0) == 1 && growth.perSecond(1) == 0)
    }

    @Test(
        "no time and time that runs back never divide", arguments: [Duration.zero, .nanoseconds(-1), .seconds(-3600)])
    func noTime(_ distance: Duration) throws {
        var meter = RateMeter<1>()
        _ = meter.advance(to: [1], at: start)
        let early = meter.advance(to: [100], at: start + distance)
        #expect(early == nil)
        let grown = meter.advance(to: [101], at: start + distance + .seconds(1))
        let growth = try #require(grown)
        #expect(growth.perSecond(0) == 1)
    }

    @Test("counters that were not there begin anew")
    func absence() throws {
        var meter = RateMeter<1>()
        _ = meter.advance(to: [1], at: start)
        let absent = meter.advance(to: nil, at: start + .seconds(1))
        let early = meter.advance(to: [9], at: start + .seconds(2))
        #expect(absent == nil && early == nil)
        let grown = meter.advance(to: [10], at: start + .seconds(3))
        #expect(try #require(grown).perSecond(0) == 1)
    }

    @Test("the greatest counters and distances give numbers")
    func extremes() throws {
        var meter = RateMeter<1>()
        _ = meter.advance(to: [0], at: Instant(nanoseconds: .min))
        let grown = meter.advance(to: [.max], at: .distantFuture)
        let growth = try #require(grown)
        #expect(growth.perSecond(0).isFinite)
        var quick = RateMeter<1>()
        _ = quick.advance(to: [0], at: start)
        let quickest = quick.advance(to: [.max], at: start + .nanoseconds(1))
        #expect(try #require(quickest).perSecond(0).isFinite)
    }

    @Test("what went through a disk, from the growth of its counters")
    func diskFlow() throws {
        var before = DiskCounters(name: 0..<0, number: 0..<0)
        before.reads = 10
        var after = before
        after.reads = 30
        after.writes = 10
        after.sectorsRead = 400
        after.sectorsWritten = 20
        after.readTime = 60
        after.writeTime = 30
        after.ioTime = 500
        after.weightedIOTime = 4000
        var meter = RateMeter<8>()
        _ = meter.advance(to: before.growing, at: start)
        let grown = meter.advance(to: after.growing, at: start + .seconds(2))
        let flow = DiskFlow(try #require(grown))
        #expect(flow.readsPerSecond == 10 && flow.writesPerSecond == 5)
        #expect(flow.bytesReadPerSecond == 102_400 && flow.bytesWrittenPerSecond == 5_120)
        #expect(flow.readWait == 3 && flow.writeWait == 3 && flow.wait == 3)
        #expect(flow.utilisation == 25 && flow.queue == 2)
        let again = meter.advance(to: after.growing, at: start + .seconds(3))
        let idle = DiskFlow(try #require(again))
        #expect(idle.wait == 0 && idle.readWait == 0 && idle.writeWait == 0 && idle.queue == 0)
    }
}
