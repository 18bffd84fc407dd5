import Pipeline

/// Input `prometheus`: scrapes pages of metrics and makes points of them, in either of Telegraf's layouts.
///
/// Owns: what is known of each target and its pages. Receives: the ticks of its runner, which `serve` turns into
/// scrapes. Sends: the points of each page as soon as it is read, so that no target waits for another one.
/// Started by: its runner. Stops: on cancellation, which takes the scrapes along.
/// Runs on a thread of its own: a page of megabytes takes its time, and the ticks of other inputs must not wait for it.
/// Bounds: `max_parallel` fetches at a time, of at most `content_length_limit` bytes each. Rules: `docs/inputs.md`.
public actor PrometheusInput: ServiceInput {
    /// One moment of collection.
    private struct Tick: Sendable {
        var time: Timestamp
        var begin: Instant
        /// What lies between the beginnings of two scrapes.
        var spacing: Duration
        /// The longest time that a scrape may take.
        var patience: Duration
        var targets: [ScrapeTarget]
        var servers: [ScrapeTarget]
    }

    /// What is known of a target.
    private struct Known {
        /// nil while a page is read: two holders of it would mean a copy.
        var writer: ScrapeWriter?
        var lastDuration = Duration.zero
        var isRunning = false
    }

    private nonisolated let worker: WorkLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }
    public nonisolated var isGathered: Bool { true }

    private let environment: InputEnvironment
    private let request: ScrapeRequest
    private let settings: ScrapeWriter.Settings
    private let addsScrapePoints: Bool
    private let parallelLimit: Int
    private let spreads: Bool
    private var discovery: TargetDiscovery
    private var known: [ScrapeTarget: Known] = [:]
    private var health: ScrapeHealth
    /// Where ticks go while `serve` runs.
    private var ticks: AsyncStream<Tick>.Continuation?

    /// Errors: an address or a rule that makes no sense, options that exclude each other.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        worker = environment.scrapes
        self.environment = environment
        discovery = try TargetDiscovery(options)
        request = ScrapeRequest(options)
        var settings = ScrapeWriter.Settings()
        settings.marksEnds = options.bool("stale_markers")
        settings.version = options.integer("metric_version") == 2 ? .second : .first
        settings.ignoresTimes = options.bool("ignore_timestamp")
        settings.samplesLimit = Int(clamping: options.integer("sample_limit"))
        settings.rules = try TargetDiscovery.rules(options, "metric_relabel_configs")
        self.settings = settings
        health = ScrapeHealth(version: settings.version)
        addsScrapePoints = options.bool("scrape_points")
        spreads = options.bool("spread")
        parallelLimit = Int(clamping: options.integer("max_parallel"))
        if !options.string("bearer_token").isEmpty, !options.secret("bearer_token_string").isEmpty {
            throw CollectorError("prometheus: bearer_token or bearer_token_string, not both")
        }
    }

    /// Whether ticks are handed to `serve`.
    var isServing: Bool { ticks != nil }

    // MARK: Ticks

    /// Hands the tick to `serve`; without it (a single gather) scrapes all targets and waits for them.
    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        guard !Task.isCancelled else { return Gather() }
        let patience = (deadline - now) * 9 / 10
        guard let ticks else { return await gatherAlone(time, now, patience) }
        let (targets, errors) = due()
        var gather = Gather(samples: ends(besides: targets, at: time), errors: errors)
        let tick = Tick(
            time: time, begin: now, spacing: spreads ? patience / max(1, targets.count) : .zero, patience: patience,
            targets: targets, servers: discovery.due(now))
        if case .dropped = ticks.yield(tick) {
            gather.errors.append("the pages of an earlier tick are not all fetched yet; a tick is left out")
        }
        return gather
    }

    private func gatherAlone(_ time: Timestamp, _ now: Instant, _ patience: Duration) async -> Gather {
        var gather = Gather()
        for server in discovery.due(now) {
            if let error = await refresh(server) { gather.errors.append(error) }
        }
        let (targets, errors) = due()
        gather.errors += errors
        gather.samples = ends(besides: targets, at: time)
        var rest = targets[...]
        while !rest.isEmpty {
            let part = rest.prefix(parallelLimit)
            rest = rest.dropFirst(parallelLimit)
            await withTaskGroup(of: Gather.self) { group in
                for target in part { group.addTask { await self.scrape(target, time, patience) } }
                for await result in group {
                    gather.samples.append(result.samples)
                    gather.errors += result.errors
                }
            }
        }
        return gather
    }

    /// The targets of this moment, the quick ones first.
    private func due() -> (targets: [ScrapeTarget], errors: [String]) {
        let (targets, errors) = discovery.targets(environment.host)
        let ordered = targets.enumerated().sorted { one, other in
            let (first, second) = (speed(one.element), speed(other.element))
            return first == second ? one.offset < other.offset : first < second
        }
        return (ordered.map(\.element), errors)
    }

    /// Forgets the targets that are gone. Returns the ends of their series.
    private func ends(besides targets: [ScrapeTarget], at time: Timestamp) -> SampleSet {
        var samples = SampleSet()
        var kept: [ScrapeTarget: Known] = [:]
        for target in targets {
            kept[target] = known.removeValue(forKey: target) ?? Known(writer: ScrapeWriter(settings, tags: target.tags))
        }
        for (target, var gone) in known {
            samples.append(gone.writer?.end(at: time) ?? SampleSet())
            if settings.marksEnds { health.end(target.tags, at: time, &samples) }
        }
        known = kept
        return samples
    }

    /// In steps, so that the order of targets that answer at once does not change from tick to tick.
    private func speed(_ target: ScrapeTarget) -> Int64 {
        (known[target]?.lastDuration ?? .zero).wholeNanoseconds / 250_000_000
    }

    // MARK: Serving

    /// Scrapes at each tick, each target in a task of its own, until cancelled.
    public func serve(_ emitter: any SampleEmitter) async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Tick.self, bufferingPolicy: .bufferingNewest(1))
        ticks = continuation
        defer {
            ticks = nil
            for target in known.keys { known[target]?.isRunning = false }
        }
        await withTaskGroup(of: Void.self) { group in
            var active = 0
            for server in discovery.due(environment.clock.now) {
                active += 1
                group.addTask { await self.refresh(server, emitter) }
            }
            for await tick in stream {
                for server in tick.servers {
                    active += 1
                    group.addTask { await self.refresh(server, emitter) }
                }
                for (index, target) in tick.targets.enumerated() {
                    let offset = tick.spacing * index
                    if offset > .zero { try? await environment.clock.sleep(until: tick.begin + offset) }
                    while active >= parallelLimit, await group.next() != nil { active -= 1 }
                    guard !Task.isCancelled else { break }
                    active += 1
                    group.addTask { await self.scrape(target, tick, tick.time + offset, emitter) }
                }
            }
            group.cancelAll()
        }
        try Task.checkCancellation()
    }

    private func scrape(
        _ target: ScrapeTarget, _ tick: Tick, _ time: Timestamp, _ emitter: any SampleEmitter
    ) async {
        guard known[target]?.isRunning == false else { return }
        known[target]?.isRunning = true
        let gather = await scrape(target, time, tick.patience, emitter)
        known[target]?.isRunning = false
        if !gather.errors.isEmpty { await emitter.report(gather.errors) }
        await emitter.emit(gather.samples, patientlyWith: environment.clock)
    }

    private func refresh(_ server: ScrapeTarget, _ emitter: any SampleEmitter) async {
        if let error = await refresh(server) { await emitter.report([error]) }
    }

    /// Asks a server for its targets. Returns what went wrong.
    private func refresh(_ server: ScrapeTarget) async -> String? {
        switch await request.list(server, environment) {
        case .page(let body, _): discovery.take(body, from: server)
        case .failed(let reason): "\(server.shown): \(reason)"
        case .cancelled: nil
        }
    }

    // MARK: One page

    /// Fetches and reads one page. The errors name the target.
    private func scrape(
        _ target: ScrapeTarget, _ time: Timestamp, _ patience: Duration, _ emitter: (any SampleEmitter)? = nil
    ) async -> Gather {
        let begin = environment.clock.now
        let answer = await request.page(target, within: patience, environment)
        var gather = Gather()
        var reading = ScrapeHealth.Reading()
        switch answer {
        case .cancelled: return gather
        case .failed(let reason):
            guard known[target] != nil else { return gather }
            gather.errors.append("\(target.shown): \(reason)")
            gather.samples = known[target]?.writer?.end(at: time) ?? SampleSet()
        case .page(let bytes, let format):
            // The target went meanwhile: its points would come after its end.
            guard var writer = known[target]?.writer.take() else { return gather }
            let read = { writer.read(bytes, format, at: time) }
            let page = emitter.map { $0.attributed(read) } ?? read()
            known[target]?.writer = writer
            environment.notes.add(page.notes)
            gather.errors += (page.failure.map { [$0] } ?? page.complaints).map { "\(target.shown): \($0)" }
            gather.samples = page.samples
            reading.isUp = page.failure == nil
            if reading.isUp {
                (reading.samples, reading.kept, reading.added) = (page.count, page.keptCount, page.addedCount)
            }
        }
        reading.duration = environment.clock.now - begin
        known[target]?.lastDuration = reading.duration
        if addsScrapePoints {
            health.append(reading, target.tags, at: time, to: &gather.samples)
            environment.notes.add(ScrapeHealth.notes)
        }
        return gather
    }
}
