import Logging
import Pipeline

/// Called around each gather, so that a crash inside one can be attributed to its input.
public struct GatherHooks: Sendable {
    public var willGather: @Sendable (_ input: String) -> Void
    public var didGather: @Sendable (_ input: String) -> Void

    public init(
        willGather: @escaping @Sendable (_ input: String) -> Void,
        didGather: @escaping @Sendable (_ input: String) -> Void
    ) {
        self.willGather = willGather
        self.didGather = didGather
    }

    public static let none = GatherHooks(willGather: { _ in }, didGather: { _ in })
}

/// How an input is doing, for status and metrics. Counters since the runner was made.
public struct CollectorStatus: Sendable, Hashable {
    public var gathers: UInt64 = 0
    public var points: UInt64 = 0
    public var errors: UInt64 = 0
    /// Ticks that passed while a gather was still running.
    public var skippedTicks: UInt64 = 0
    /// Wall clock at the begin of the last gather that has ended.
    public var lastGather: Timestamp?
    public var lastDuration: Duration = .zero
    public var lastPoints = 0
    public var lastError: String?
    public var lastErrorAt: Timestamp?
    /// Begin of the gather that is running now.
    public var gatheringSince: Instant?
    public var nextTick: Timestamp?

    public init() {}
}

/// Ticks one collector by its schedule and sends what it gathers to the batcher.
///
/// Owns the schedule and the counters. Receives nothing. Sends `Collected.samples` into the channel, which counts what
/// it must drop. Started by the supervisor, one child an input; stops by cancellation.
/// A gather cannot be killed: while one runs, ticks are skipped and counted.
public actor CollectorRunner {
    private let input: String
    private let collector: any Collector
    private let precision: Duration
    private let timeSource: InputSchedule.TimeSource
    private let channel: SampleChannel
    private let clock: any Clock
    private let hooks: GatherHooks
    private let logger: Logger
    /// The counters that outlive this runner; nil in tests.
    private let ledger: (counters: AgentLedger, entry: AgentLedger.Input)?
    private var schedule: TickSchedule
    private var random = SystemRandomNumberGenerator()
    private var status = CollectorStatus()
    /// The window in which errors from outside are logged.
    private var reports: (until: Instant, shown: Int, silent: UInt64) = (.zero, 0, 0)
    /// Errors that were logged, whose repetitions the log itself counts: they must not keep others from being seen.
    private var reported: Set<String> = []

    /// `input` names the input instance in the channel, in logs and in the hooks; `precision` is what timestamps are
    /// rounded to, see `TickSchedule.precision`.
    public init(
        input: String, collector: any Collector, schedule: TickSchedule, precision: Duration,
        timeSource: InputSchedule.TimeSource = .metric, channel: SampleChannel, clock: any Clock, logger: Logger,
        hooks: GatherHooks = .none,
        ledger: (counters: AgentLedger, entry: AgentLedger.Input)? = nil
    ) {
        self.input = input
        self.collector = collector
        self.schedule = schedule
        self.precision = precision
        self.timeSource = timeSource
        self.channel = channel
        self.clock = clock
        self.logger = logger
        self.ledger = ledger
        self.hooks = hooks
    }

    public func currentStatus() -> CollectorStatus { status }

    /// Runs the input until cancelled. Errors: `CancellationError`, and what a service input throws.
    public func run() async throws {
        guard let service = collector as? any ServiceInput else { return try await tick() }
        defer { status.gatheringSince = nil }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await service.serve(RunnerEmitter(runner: self, clock: self.clock)) }
            if service.isGathered {
                group.addTask {
                    do { try await self.tick() } catch {
                        // What was collected since the last tick is not thrown away.
                        await self.gather()
                        throw error
                    }
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
        try Task.checkCancellation()
        throw CollectorError("\(input) ended")
    }

    /// Gathers at each tick until cancelled. Errors: only `CancellationError`.
    private func tick() async throws {
        var watch = ClockWatch(now: clock.now, wall: clock.wall)
        var tick = schedule.first(from: clock.wall, using: &random)
        defer { channel.expect(input, at: nil) }
        while true {
            status.nextTick = tick.fire
            channel.expect(input, at: tick.fire)
            try await clock.sleep(until: clock.now + (tick.fire - clock.wall))
            await gather()
            try Task.checkCancellation()
            if let jump = watch.jump(now: clock.now, wall: clock.wall) { follow(jump) }
            tick = schedule.next(after: clock.wall, using: &random)
            status.skippedTicks = status.skippedTicks.addingSaturated(tick.skipped)
            if tick.skipped > 0 {
                if let ledger { ledger.counters.timedOut(ledger.entry, ticks: tick.skipped) }
                logger.warning(
                    "gathering took longer than the interval, ticks skipped",
                    metadata: ["input": "\(input)", "skipped": "\(tick.skipped)"])
            }
        }
    }

    private func gather() async {
        let begin = clock.now
        let wall = clock.wall
        status.gatheringSince = begin
        hooks.willGather(input)
        var gather = await collector.gather(
            at: wall.rounded(to: precision), now: begin, deadline: begin + schedule.interval)
        hooks.didGather(input)
        switch timeSource {
        case .metric: break
        case .collectionStart: gather.samples.setTimes(to: wall)
        case .collectionEnd: gather.samples.setTimes(to: clock.wall)
        }
        status.gatheringSince = nil
        status.gathers &+= 1
        status.lastGather = wall
        status.lastDuration = clock.now - begin
        status.lastPoints = gather.samples.rows.count
        status.points &+= UInt64(gather.samples.rows.count)
        status.errors &+= UInt64(gather.errors.count)
        if let ledger {
            ledger.counters.gathered(
                ledger.entry, points: gather.samples.rows.count, errors: gather.errors.count,
                time: status.lastDuration)
        }
        for error in gather.errors {
            status.lastError = error
            status.lastErrorAt = wall
            logger.error("\(error)", metadata: ["input": "\(input)"])
        }
        if !gather.samples.isEmpty { channel.send(.samples(input: input, gather.samples)) }
    }

    // MARK: Points from outside

    /// Hands points of a service input over and counts them.
    fileprivate func deliver(_ samples: SampleSet, sealing: Bool) async -> Handover {
        guard !samples.isEmpty else { return .taken }
        let handover = await channel.deliver(samples, from: input, sealing: sealing)
        guard handover == .taken else { return handover }
        status.lastGather = clock.wall
        status.lastPoints = samples.rows.count
        status.points &+= UInt64(samples.rows.count)
        if let ledger { ledger.counters.gathered(ledger.entry, points: samples.rows.count, errors: 0, time: nil) }
        return handover
    }

    /// New error lines of a service input within ten seconds; what comes beyond is counted and said later.
    private static let reportsLimit = 10
    private static let reportedLimit = 1_000

    fileprivate func note(_ errors: [String]) {
        guard !errors.isEmpty else { return }
        status.errors &+= UInt64(errors.count)
        status.lastError = errors.last
        status.lastErrorAt = clock.wall
        if let ledger { ledger.counters.gathered(ledger.entry, points: 0, errors: errors.count, time: nil) }
        if clock.now >= reports.until {
            if reports.silent > 0 {
                logger.error("more errors, not shown", metadata: ["input": "\(input)", "count": "\(reports.silent)"])
            }
            reports = (clock.now + .seconds(10), 0, 0)
        }
        for error in errors {
            let isKnown = reported.contains(error)
            if isKnown || reports.shown < CollectorRunner.reportsLimit {
                if !isKnown {
                    reports.shown += 1
                    if reported.count >= CollectorRunner.reportedLimit { reported = [] }
                    reported.insert(error)
                }
                logger.error("\(error)", metadata: ["input": "\(input)"])
            } else {
                reports.silent &+= 1
            }
        }
    }

    fileprivate nonisolated func attributed<Result>(_ work: () throws -> Result) rethrows -> Result {
        hooks.willGather(input)
        defer { hooks.didGather(input) }
        return try work()
    }

    /// Follows a wall clock that was set, so that neither a leap back stops the ticks nor a leap ahead makes them up.
    private func follow(_ jump: Duration) {
        schedule.clockJumped(by: jump, to: clock.wall)
        logger.notice("the wall clock was set", metadata: ["input": "\(input)", "seconds": "\(jump.inSeconds)"])
    }
}

/// What a service input emits, into the channel of its runner.
private struct RunnerEmitter: SampleEmitter {
    let runner: CollectorRunner
    let clock: any Clock

    func emit(_ samples: SampleSet, sealing: Bool, until deadline: Instant) async -> Handover {
        let runner = runner
        guard deadline < .distantFuture else { return await runner.deliver(samples, sealing: sealing) }
        let handover = try? await clock.withDeadline(deadline) { await runner.deliver(samples, sealing: sealing) }
        return handover ?? .lost
    }

    func report(_ errors: [String]) async { await runner.note(errors) }

    func attributed<Result>(_ work: () throws -> Result) rethrows -> Result { try runner.attributed(work) }
}
