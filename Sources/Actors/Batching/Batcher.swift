import Pipeline

/// Where sealed batches go: the spill log of a stream, or a list in tests.
public protocol BatchSink: Sendable {
    /// Takes over a sealed batch. Never fails: what cannot be kept is counted by the sink with its reason.
    func append(_ batch: Batch) async
}

/// What the batcher has done since it was made.
public struct BatcherStatus: Sendable, Hashable {
    /// Points that came from collectors.
    public var receivedPoints: UInt64 = 0
    public var sealedBatches: UInt64 = 0
    /// Points sealed, summed over the streams.
    public var sealedPoints: UInt64 = 0
    /// Points waiting in open batches.
    public var openPoints = 0
    /// Points removed by name, tag and field filters.
    public var filteredPoints: UInt64 = 0
    /// Points without a name or without a field that line protocol can hold.
    public var unencodablePoints: UInt64 = 0
    /// Points lost because the channel was full or closed.
    public var droppedInChannel: UInt64 = 0
    /// Bytes sealed, before and after compression.
    public var encodedBytes: UInt64 = 0
    public var sealedBytes: UInt64 = 0
    /// When the last flush tick had been handled, spill included: the watchdog's proof of progress.
    public var lastFlush: Instant?
}

/// A stream as the batcher sees it: one encoding, one sink, and the rules by which each input's points enter it.
public struct StreamPlan: Sendable {
    public var name: String
    public var sink: any BatchSink
    public var codec: PayloadCodec
    public var options: LineProtocol.Options
    public var limits: BatchLimits
    public var rules: [String: InputRules]

    public init(
        name: String, sink: any BatchSink, codec: PayloadCodec, options: LineProtocol.Options, limits: BatchLimits,
        rules: [String: InputRules]
    ) {
        self.name = name
        self.sink = sink
        self.codec = codec
        self.options = options
        self.limits = limits
        self.rules = rules
    }
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

    private let channel: SampleChannel
    private let clock: any Clock
    private let taps: Taps
    private var streams: [OpenStream]
    private var flushSchedule: TickSchedule
    /// Ends the sleep of the flush tick.
    private var rescheduled: AsyncStream<Void>.Continuation?
    private var generator = SystemRandomNumberGenerator()
    private var counters = BatcherStatus()
    private var latest: [String: SampleSet] = [:]

    public init(
        channel: SampleChannel, streams: [StreamPlan], flush: TickSchedule, taps: Taps, clock: any Clock
    ) {
        self.channel = channel
        self.streams = streams.map(OpenStream.init)
        self.flushSchedule = flush
        self.taps = taps
        self.clock = clock
    }

    /// Child body. `ready` is called once the channel is open.
    public func run(ready: @Sendable () -> Void) async throws {
        let collected = channel.open()
        ready()
        await withDiscardingTaskGroup { group in
            group.addTask { await self.tickFlush() }
            group.addTask { await self.consume(collected) }
        }
        try Task.checkCancellation()
    }

    /// Takes new streams and rules. What is open is sealed under the old ones, and handed over when this returns.
    public func configure(streams plans: [StreamPlan], flush: TickSchedule) async {
        // No await before the old streams are closed: what comes meanwhile would be lost with them.
        let sealed = streams.compactMap(sealed)
        for stream in streams { retire(stream) }
        streams = plans.map(OpenStream.init)
        latest = latest.filter { input, _ in plans.contains { $0.rules[input] != nil } }
        if flush != flushSchedule {
            flushSchedule = flush
            rescheduled?.yield()
        }
        await handOver(sealed)
    }

    /// Seals what is open and hands it over, for a process that is about to end.
    public func flush() async { await sealAll() }

    public func status() -> BatcherStatus {
        var status = counters
        for stream in streams {
            status.openPoints += stream.encoder.openPoints
            status.filteredPoints &+= stream.encoder.filteredPoints
            status.unencodablePoints &+= stream.encoder.unencodablePoints
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
            }
        }
        await sealAll()
    }

    private func add(_ set: SampleSet, from input: String) async {
        // Without an await until the whole set is encoded, since `configure` may replace the streams in each.
        var full: [Sealed] = []
        for stream in streams {
            var row = 0
            while true {
                row = stream.encoder.add(set, from: input, first: row, observer: taps.observer)
                guard row < set.rows.count || stream.encoder.isFull else { break }
                if let sealed = sealed(stream) { full.append(sealed) }
            }
        }
        await handOver(full)
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

    private func tickFlush() async {
        var schedule = flushSchedule
        var configured = flushSchedule
        var watch = ClockWatch(now: clock.now, wall: clock.wall)
        var tick = schedule.first(from: clock.wall, using: &generator)
        while !Task.isCancelled {
            await sleepOrReschedule(until: clock.now + (tick.fire - clock.wall))
            if Task.isCancelled { return }
            await settle(tick.fire)
            channel.send(.flush)
            if let jump = watch.jump(now: clock.now, wall: clock.wall) {
                schedule.clockJumped(by: jump, to: clock.wall)
            }
            if configured != flushSchedule {
                configured = flushSchedule
                schedule = flushSchedule
                tick = schedule.first(from: clock.wall, using: &generator)
            } else {
                tick = schedule.next(after: clock.wall, using: &generator)
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
}
