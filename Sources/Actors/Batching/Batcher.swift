import Pipeline

/// Where sealed batches go: the spill log of a stream, or a list in tests.
public protocol BatchSink: Sendable {
    /// Takes over a sealed batch. Never fails: what cannot be kept is counted by the sink with its reason.
    func append(_ batch: Batch) async
}

/// Merges the collectors' sample sets, encodes each point once per stream and seals batches by size and flush tick.
///
/// Owns: the open batch of each stream. Receives: `Collected` from the channel. Sends: sealed batches to the sinks.
/// Started by: the supervisor, before the collectors. Stops: on cancellation, after everything collected is sealed
/// and handed over.
public actor Batcher {
    /// One stream's open batch. A class, because the encoder's buffer cannot be copied.
    private final class OpenStream {
        let plan: StreamPlan
        var encoder: StreamEncoder
        let compressor = GzipCompressor()

        init(_ plan: StreamPlan) {
            self.plan = plan
            encoder = StreamEncoder(options: plan.options, limits: plan.limits)
            for (input, rules) in plan.rules { encoder.setRules(rules, for: input) }
        }

        /// Compresses encoded lines once; from here on the bytes do not change. Lines that cannot be compressed (no
        /// memory) go as they are.
        func sealing(_ lines: UnsafeBufferPointer<UInt8>, points: Int, newest: Timestamp) -> Batch {
            if plan.codec == .gzip, let payload = compressor.compress(UnsafeRawBufferPointer(lines)) {
                return Batch(pointCount: points, newest: newest, codec: .gzip, payload: payload)
            }
            return Batch(pointCount: points, newest: newest, codec: .identity, payload: [UInt8](lines))
        }
    }

    let channel: SampleChannel
    let clock: any Clock
    private let taps: Taps
    private var streams: [OpenStream]
    /// nil without processors and aggregators: points then go straight to the encoders.
    var chain: PointChain?
    /// The inputs that are configured.
    private var inputs: Set<String>
    /// When streams are flushed that say nothing else.
    private var flushSchedule: TickSchedule
    /// All the schedules that streams have.
    var flushSchedules: [TickSchedule]
    /// Ends the sleep of the flush tick.
    var rescheduled: AsyncStream<Void>.Continuation?
    /// Ends the sleep until the next window ends.
    var replanned: AsyncStream<Void>.Continuation?
    var generator = SystemRandomNumberGenerator()
    private var counters = BatcherStatus()
    private var latest: [String: SampleSet] = [:]

    /// With a `chain`, the streams' rules are those for `PointChain.source`.
    public init(
        channel: SampleChannel, streams: [StreamPlan], chain: ChainPlan? = nil, flush: TickSchedule, taps: Taps,
        clock: any Clock
    ) {
        self.channel = channel
        self.streams = streams.map(OpenStream.init)
        self.chain = chain.map { PointChain($0, wall: clock.wall, now: clock.now) }
        inputs = Batcher.inputs(streams, chain)
        self.flushSchedule = flush
        flushSchedules = Batcher.schedules(streams, flush)
        self.taps = taps
        self.clock = clock
    }

    /// Child body. `ready` is called once the channel is open.
    public func run(ready: @Sendable () -> Void) async throws {
        let collected = channel.open()
        ready()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.tickFlush() }
            group.addTask { await self.tickPush() }
            group.addTask { await self.consume(collected) }
        }
        try Task.checkCancellation()
    }

    /// Takes new streams and rules. What is open is sealed under the old ones, and handed over when this returns.
    public func configure(streams plans: [StreamPlan], chain plan: ChainPlan? = nil, flush: TickSchedule) async {
        // No await before the old streams are closed: what comes meanwhile would be lost with them.
        let sealed = reconfigure(plan) + streams.compactMap(sealed)
        for stream in streams { retire(stream) }
        streams = plans.map(OpenStream.init)
        inputs = Batcher.inputs(plans, plan)
        latest = latest.filter { inputs.contains($0.key) }
        flushSchedule = flush
        let schedules = Batcher.schedules(plans, flush)
        if schedules != flushSchedules {
            flushSchedules = schedules
            rescheduled?.yield()
        }
        await handOver(sealed)
    }

    private static func schedules(_ streams: [StreamPlan], _ flush: TickSchedule) -> [TickSchedule] {
        // Without streams the flush still proves that the batcher lives.
        streams.map { $0.flush ?? flush }.reduce(into: streams.isEmpty ? [flush] : []) { found, schedule in
            if !found.contains(schedule) { found.append(schedule) }
        }
    }

    private static func inputs(_ streams: [StreamPlan], _ chain: ChainPlan?) -> Set<String> {
        Set(chain.map { Array($0.inputs.keys) } ?? streams.flatMap(\.rules.keys))
    }

    /// Takes a new chain. What its aggregators give up enters the streams as they are; what is full comes back.
    private func reconfigure(_ plan: ChainPlan?) -> [Sealed] {
        let (wall, now) = (clock.wall, clock.now)
        var given = SampleSet()
        switch (chain, plan) {
        case (var old?, let plan?):
            chain = nil
            given = old.configure(plan, wall: wall, now: now)
            chain = old
        case (var old?, nil):
            given = old.drain(wall: wall)
            counters.filteredPoints &+= old.filteredPoints
            chain = nil
        case (nil, let plan?): chain = PointChain(plan, wall: wall, now: now)
        case (nil, nil): return []
        }
        replanned?.yield()
        return encode(given, from: PointChain.source)
    }

    /// Seals what is open and what aggregators have, and hands it over, for a process that is about to end.
    public func flush() async { await end() }

    public func status() -> BatcherStatus {
        var status = counters
        for stream in streams {
            status.openPoints += stream.encoder.openPoints
            status.filteredPoints &+= stream.encoder.filteredPoints
            status.unencodablePoints &+= stream.encoder.unencodablePoints
        }
        if let chain {
            status.filteredPoints &+= chain.filteredPoints
            status.processors = chain.processorCounters
            status.aggregators = chain.aggregatorCounters
        }
        status.droppedInChannel = channel.droppedPoints
        return status
    }

    /// The newest samples of each input, as collected: for the live view.
    public func latestSamples() -> [String: SampleSet] { latest }

    // MARK: The loop

    private func consume(_ collected: AsyncStream<Collected>) async {
        for await element in collected {
            switch element {
            case .samples(let input, let set):
                counters.receivedPoints &+= UInt64(set.rows.count)
                latest[input] = set
                await add(set, from: input)
            case .foreign(let input, let set, let receipt):
                counters.receivedPoints &+= UInt64(set.rows.count)
                latest[input] = set
                await add(set, from: input)
                if receipt.isSealing { await sealAll() }
                receipt.confirm()
            case .flush:
                await sealAll()
                counters.lastFlush = clock.now
            case .flushTick(let schedule):
                await handOver(
                    streams.filter { ($0.plan.flush ?? flushSchedule) == schedule }.compactMap(sealed))
                counters.lastFlush = clock.now
            case .push:
                let made = chain?.push(wall: clock.wall, now: clock.now) ?? SampleSet()
                replanned?.yield()
                await handOver(encode(made, from: PointChain.source))
            }
        }
        await end()
    }

    /// Seals what is open and what the aggregators have so far.
    private func end() async {
        let rest = chain?.drain(wall: clock.wall) ?? SampleSet()
        await handOver(encode(rest, from: PointChain.source) + streams.compactMap(sealed))
    }

    private func add(_ set: SampleSet, from input: String) async {
        // Without an await until the whole set is encoded, since `configure` may replace the streams in each.
        guard chain == nil else {
            let processed = chain?.add(set, from: input, wall: clock.wall) ?? SampleSet()
            return await handOver(encode(processed, from: PointChain.source))
        }
        await handOver(encode(set, from: input))
    }

    /// Encodes a set for each stream; the batches that are full come back.
    private func encode(_ set: SampleSet, from input: String) -> [Sealed] {
        guard !set.isEmpty else { return [] }
        var full: [Sealed] = []
        for stream in streams {
            var row = 0
            // Who listens sees the lines of the other streams, and not all of them twice.
            let isSecond = stream.plan.options.writesSpecials && streams.count > 1
            while true {
                row = stream.encoder.add(set, from: input, first: row, observer: isSecond ? nil : taps.observer)
                guard row < set.rows.count || stream.encoder.isFull else { break }
                if let sealed = sealed(stream) { full.append(sealed) }
            }
        }
        return full
    }

    private func sealAll() async { await handOver(streams.compactMap(sealed)) }

    /// A sealed batch on its way.
    private typealias Sealed = (sink: any BatchSink, batch: Batch)

    private func handOver(_ batches: [Sealed]) async {
        for sealed in batches { await sealed.sink.append(sealed.batch) }
    }

    /// Ends the open batch of a stream; nil when nothing is open.
    private func sealed(_ stream: OpenStream) -> Sealed? {
        let now = clock.wall
        let sealed = stream.encoder.seal { lines, points, newest in
            (
                bytes: lines.count,
                batch: stream.sealing(lines, points: points, newest: Batcher.age(newest, sealedAt: now))
            )
        }
        guard let sealed else { return nil }
        counters.sealedBatches &+= 1
        counters.sealedPoints &+= UInt64(sealed.batch.pointCount)
        counters.encodedBytes &+= UInt64(sealed.bytes)
        counters.sealedBytes &+= UInt64(sealed.batch.payload.count)
        return (stream.plan.sink, sealed.batch)
    }

    /// The time by which a batch grows old in the spill: that of its newest point, unless foreign data bring times of
    /// another age. Those must neither expire at once nor stop others from expiring.
    static func age(_ newest: Timestamp, sealedAt now: Timestamp) -> Timestamp {
        let distance = newest - now
        return distance > .seconds(60) || distance < .seconds(-60) ? now : newest
    }

    /// Keeps the counters of a stream that goes away.
    private func retire(_ stream: OpenStream) {
        counters.filteredPoints &+= stream.encoder.filteredPoints
        counters.unencodablePoints &+= stream.encoder.unencodablePoints
    }
}
