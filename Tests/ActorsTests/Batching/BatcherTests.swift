import Pipeline
import Synchronization
import Testing

@testable import Actors

/// A sink that remembers what it was given.
private final class RecordingSink: BatchSink {
    private let state = Mutex<[Batch]>([])
    var batches: [Batch] { state.withLock { $0 } }
    func append(_ batch: Batch) async { state.withLock { $0.append(batch) } }

    var lines: [String] {
        batches.flatMap { batch in
            let bytes = batch.codec == .gzip ? (try? Gzip.inflate(batch.payload, limit: 1 << 20)) ?? [] : batch.payload
            return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        }
    }
}

/// A sink that does not take a batch before it is told to.
private final class SlowSink: BatchSink {
    let recorded = RecordingSink()
    let asked = Counter()
    let isOpen = Counter()
    func append(_ batch: Batch) async {
        asked.increment()
        while isOpen.value == 0 { await Task.yield() }
        await recorded.append(batch)
    }
}

@Suite("Batcher")
struct BatcherTests {
    private static let schema = Schema([.uint("value")])

    private func set(_ count: Int, from first: Int = 0) -> SampleSet {
        var set = SampleSet()
        let series = Series("m")
        for index in first..<(first + count) {
            set.append(series, BatcherTests.schema, at: Timestamp(nanoseconds: Int64(index)))
            set.uint(UInt64(index))
        }
        return set
    }

    private func plan(
        _ sink: any BatchSink, name: String = "default", codec: PayloadCodec = .identity, points: Int = 100
    )
        -> StreamPlan
    {
        let transform = MetricTransform(MetricOptions(), globalTags: [], stage: .input)
        return StreamPlan(
            name: name, sink: sink, codec: codec, options: .init(), limits: BatchLimits(points: points),
            rules: ["in": InputRules(transforms: [transform], precision: .zero)])
    }

    private func flush(_ seconds: Int64 = 10) -> TickSchedule {
        TickSchedule(interval: .seconds(seconds), roundInterval: true, offset: Batcher.flushLinger, jitter: .zero)
    }

    /// Runs a batcher around `body`, then stops it and waits for its end.
    private func running(
        _ plans: [StreamPlan], channel: SampleChannel, clock: ManualClock, taps: Taps = Taps(), chain: ChainPlan? = nil,
        _ body: (Batcher) async -> Void
    ) async {
        let batcher = Batcher(
            channel: channel, streams: plans, chain: chain, flush: flush(), taps: taps, clock: clock)
        let isReady = Counter()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await batcher.run { isReady.increment() } }
            await eventually("the batcher opens its channel") { isReady.value == 1 }
            await body(batcher)
            group.cancelAll()
        }
    }

    @Test("the flush tick seals what is open, a little after the collection tick")
    func flushes() async {
        let (sink, channel, clock) = (RecordingSink(), SampleChannel(), ManualClock())
        await running([plan(sink)], channel: channel, clock: clock) { batcher in
            channel.send(.samples(input: "in", set(3)))
            await eventually("the points arrive") { await batcher.status().openPoints == 3 }
            #expect(sink.batches.isEmpty)
            await eventually("the flush sleeps") { clock.sleeperCount == 1 }
            #expect((clock.wall + (clock.deadlines[0] - clock.now)).nanoseconds % 10_000_000_000 == 20_000_000)
            clock.advance(by: .seconds(11))
            await eventually("the batch is sealed") { sink.batches.count == 1 }
            #expect(sink.batches.first?.pointCount == 3)
        }
    }

    @Test("a full batch is sealed at once and every point is in exactly one")
    func sealsFull() async {
        let (sink, channel, clock) = (RecordingSink(), SampleChannel(), ManualClock())
        await running([plan(sink, points: 100)], channel: channel, clock: clock) { batcher in
            for part in 0..<5 { channel.send(.samples(input: "in", set(90, from: part * 90))) }
            await eventually("all arrive") { await batcher.status().receivedPoints == 450 }
        }
        #expect(sink.batches.map(\.pointCount) == [100, 100, 100, 100, 50])
        #expect(sink.lines == (0..<450).map { "m value=\($0)i \($0)" })
    }

    @Test("a stop seals and hands over what is open and what waits in the channel")
    func stopSeals() async {
        let (sink, channel, clock) = (RecordingSink(), SampleChannel(), ManualClock())
        await running([plan(sink, codec: .gzip)], channel: channel, clock: clock) { _ in
            for part in 0..<7 { channel.send(.samples(input: "in", set(2, from: part * 2))) }
        }
        #expect(sink.lines.count == 14)
        #expect(sink.batches.allSatisfy { $0.codec == .gzip })
    }

    @Test("each stream gets every point, in its own encoding")
    func severalStreams() async {
        let (plain, packed, channel) = (RecordingSink(), RecordingSink(), SampleChannel())
        let plans = [plan(plain), plan(packed, name: "own", codec: .gzip, points: 2)]
        await running(plans, channel: channel, clock: ManualClock()) { batcher in
            channel.send(.samples(input: "in", set(5)))
            await eventually("it arrives") { await batcher.status().receivedPoints == 5 }
        }
        #expect(plain.lines == packed.lines)
        #expect(plain.batches.count == 1)
        #expect(packed.batches.map(\.pointCount) == [2, 2, 1])
    }

    @Test("a new configuration seals under the old rules first and loses nothing")
    func reconfigures() async {
        let (before, after, channel) = (RecordingSink(), RecordingSink(), SampleChannel())
        await running([plan(before)], channel: channel, clock: ManualClock()) { batcher in
            channel.send(.samples(input: "in", set(3)))
            await eventually("it arrives") { await batcher.status().receivedPoints == 3 }
            await batcher.configure(streams: [plan(after)], flush: flush(5))
            channel.send(.samples(input: "in", set(4, from: 3)))
            await eventually("it arrives") { await batcher.status().receivedPoints == 7 }
        }
        #expect(before.lines.count == 3)
        #expect(after.lines.count == 4)
    }

    @Test("points that come while a new configuration takes over go to the new stream")
    func reconfiguresUnderLoad() async {
        let (before, after, channel) = (SlowSink(), RecordingSink(), SampleChannel())
        await running([plan(before)], channel: channel, clock: ManualClock()) { batcher in
            channel.send(.samples(input: "in", set(3)))
            await eventually("it arrives") { await batcher.status().receivedPoints == 3 }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await batcher.configure(streams: [plan(after)], flush: flush()) }
                await eventually("the old stream is sealed") { before.asked.value == 1 }
                channel.send(.samples(input: "in", set(4, from: 3)))
                await eventually("it arrives") { await batcher.status().receivedPoints == 7 }
                before.isOpen.increment()
            }
        }
        #expect(before.recorded.lines.count == 3)
        #expect(after.lines.count == 4)
    }

    @Test("a set that is being sealed in parts when a new configuration takes over is not cut")
    func reconfiguresInMidSet() async {
        let (before, after, channel) = (SlowSink(), RecordingSink(), SampleChannel())
        await running([plan(before, points: 5)], channel: channel, clock: ManualClock()) { batcher in
            channel.send(.samples(input: "in", set(8)))
            await eventually("the first part is sealed") { before.asked.value == 1 }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await batcher.configure(streams: [plan(after)], flush: flush()) }
                await eventually("both parts are sealed") { before.asked.value == 2 }
                before.isOpen.increment()
            }
        }
        #expect(before.recorded.lines.count + after.lines.count == 8)
    }

    @Test("points of an input that is no longer configured are counted")
    func countsStrangers() async {
        let (sink, channel) = (RecordingSink(), SampleChannel())
        await running([plan(sink)], channel: channel, clock: ManualClock()) { batcher in
            channel.send(.samples(input: "gone", set(3)))
            await eventually("it arrives") { await batcher.status().receivedPoints == 3 }
            #expect(await batcher.status().filteredPoints == 3)
        }
    }

    @Test("a wall clock that is set back does not stop the flush", arguments: [-3_600, 3_600])
    func clockStep(seconds: Int) async {
        let (sink, channel, clock) = (RecordingSink(), SampleChannel(), ManualClock())
        await running([plan(sink)], channel: channel, clock: clock) { batcher in
            for turn in 1...3 {
                await eventually("the flush sleeps") { clock.sleeperCount == 1 }
                if turn == 1 { clock.stepWall(by: .seconds(seconds)) }
                #expect(clock.deadlines.allSatisfy { $0 - clock.now <= .seconds(11) })
                channel.send(.samples(input: "in", set(1)))
                await eventually("it arrives") { await batcher.status().receivedPoints == UInt64(turn) }
                clock.advance(by: .seconds(11))
                await eventually("the batch is sealed") { sink.batches.count == turn }
            }
        }
    }

    @Test("a shorter flush interval counts at once")
    func shorterFlush() async {
        let (sink, channel, clock) = (RecordingSink(), SampleChannel(), ManualClock())
        await running([plan(sink)], channel: channel, clock: clock) { batcher in
            await eventually("the flush sleeps") { clock.sleeperCount == 1 }
            await batcher.configure(streams: [plan(sink)], flush: flush(600))
            await eventually("longer") {
                clock.deadlines.contains { $0 - clock.now > .seconds(11) }
            }
            await batcher.configure(streams: [plan(sink)], flush: flush(1))
            await eventually("shorter") {
                clock.deadlines.contains { $0 - clock.now <= .seconds(2) }
            }
        }
    }

    @Test("each stream is sealed at its own interval")
    func ownFlush() async {
        let (often, seldom) = (RecordingSink(), RecordingSink())
        let (channel, clock) = (SampleChannel(), ManualClock())
        var slow = plan(seldom, name: "own")
        slow.flush = flush(30)
        await running([plan(often), slow], channel: channel, clock: clock) { batcher in
            for turn in 1...3 {
                channel.send(.samples(input: "in", set(1, from: turn)))
                await eventually("the point arrives") { await batcher.status().receivedPoints == UInt64(turn) }
                await eventually("the flush sleeps") { clock.sleeperCount == 1 }
                clock.advance(by: .seconds(turn == 1 ? 11 : 10))
                await eventually("the one is sealed") { often.batches.count == turn }
                if turn < 3 { #expect(seldom.batches.isEmpty) }
            }
            await eventually("the other is sealed once") { seldom.batches.map(\.pointCount) == [3] }
        }
    }

    @Test("what is sent while nobody listens, or evicted from a full channel, is counted")
    func countsDrops() async {
        let channel = SampleChannel()
        channel.send(.samples(input: "in", set(3)))
        #expect(channel.droppedPoints == 3)
        let stream = channel.open()
        for _ in 0..<(SampleChannel.capacity + 10) { channel.send(.samples(input: "in", set(2))) }
        #expect(channel.droppedPoints == 3 + 20)
        channel.close()
        var received = 0
        for await _ in stream { received += 1 }
        #expect(received == SampleChannel.capacity)
    }

    private func chain(_ aggregators: [AggregatorConfig]) -> ChainPlan {
        let transform = MetricTransform(MetricOptions(), globalTags: [], stage: .input)
        let rename = RenameRule([RenameRule.Step(.measurement("m"), to: "n")])
        return ChainPlan(
            inputs: ["in": InputRules(transforms: [transform], precision: .zero)],
            processors: [ProcessorConfig(id: "rename", plugin: "rename", rule: .rename(rename))],
            aggregators: aggregators)
    }

    private func chainPlan(_ sink: any BatchSink) -> StreamPlan {
        var plan = plan(sink)
        plan.rules = [PointChain.source: InputRules(transforms: [], precision: .zero)]
        return plan
    }

    @Test("windows end by the clock: points pass the processors, aggregates follow, a stop gives what is left")
    func aggregates() async {
        let (sink, channel, clock) = (RecordingSink(), SampleChannel(), ManualClock())
        let windows = AggregatorConfig(
            id: "minmax", plugin: "minmax", period: .seconds(10), dropsOriginal: true, rule: .minMax)
        // The set's times are 0 and 1 ns, so the window must take what is old.
        var patient = windows
        patient.grace = .seconds(2_000_000_000)
        await running([chainPlan(sink)], channel: channel, clock: clock, chain: chain([patient])) { batcher in
            channel.send(.samples(input: "in", set(2)))
            await eventually("the points are taken in") { await batcher.status().aggregators.first?.points == 2 }
            await eventually("flush and window sleep") { clock.sleeperCount == 2 }
            clock.advance(by: .milliseconds(10_100))
            await eventually("the window ends") { await batcher.status().aggregators.first?.made == 1 }
            await eventually("the next one sleeps") { clock.sleeperCount == 2 }
            channel.send(.samples(input: "in", set(1, from: 7)))
            await eventually("more is taken in") { await batcher.status().aggregators.first?.points == 3 }
            let status = await batcher.status()
            #expect(status.filteredPoints == 3)
            #expect(status.processors.map(\.points) == [4])
        }
        let wall = Int64(1_800_000_010_000_000_000)
        #expect(sink.lines.count == 2)
        #expect(sink.lines.first == "n value_max=1,value_min=0 \(wall)")
        #expect(sink.lines.last?.hasPrefix("n value_max=7,value_min=7 ") == true)
    }

    @Test("a reload begins and ends the chain without losing what it holds")
    func reconfiguresChain() async {
        let (before, between, after) = (RecordingSink(), RecordingSink(), RecordingSink())
        let (channel, clock) = (SampleChannel(), ManualClock())
        let final = AggregatorConfig(
            id: "final", plugin: "final", grace: .seconds(2_000_000_000),
            rule: .final(silence: nil, keepsNames: true))
        await running([plan(before)], channel: channel, clock: clock) { batcher in
            channel.send(.samples(input: "in", set(1)))
            await eventually("the first arrives") { await batcher.status().receivedPoints == 1 }
            await batcher.configure(streams: [chainPlan(between)], chain: chain([final]), flush: flush())
            channel.send(.samples(input: "in", set(1, from: 5)))
            await eventually("the second arrives") { await batcher.status().receivedPoints == 2 }
            await batcher.configure(streams: [plan(after)], flush: flush())
            channel.send(.samples(input: "in", set(1, from: 9)))
            await eventually("the third arrives") { await batcher.status().receivedPoints == 3 }
        }
        #expect(before.lines == ["m value=0i 0"])
        #expect(between.lines == ["n value=5i 5", "n value=5i 5"])
        #expect(after.lines == ["m value=9i 9"])
    }

    @Test("a tap gets the lines of its pattern; one that does not read loses lines and is told so")
    func taps() async throws {
        let (sink, channel, taps) = (RecordingSink(), SampleChannel(), Taps())
        let matching = taps.subscribe(try Glob("m*"))
        let other = taps.subscribe(try Glob("x*"))
        let total = Taps.capacity + 500
        await running([plan(sink)], channel: channel, clock: ManualClock(), taps: taps) { batcher in
            for part in 0..<total {
                channel.send(.samples(input: "in", set(1, from: part)))
                await eventually("it arrives") { await batcher.status().receivedPoints == UInt64(part + 1) }
            }
        }
        var iterator = matching.makeAsyncIterator()
        #expect(await iterator.next().map { String(decoding: $0.bytes, as: UTF8.self) } == "m value=500i 500\n")
        var (lost, received) = (UInt64(0), 1)
        while received < Taps.capacity, let line = await iterator.next() {
            received += 1
            lost += line.lostBefore
        }
        #expect(received == Taps.capacity)
        #expect(lost > 0)
        withExtendedLifetime(other) {}
    }
}
