import Logging
import Pipeline

/// Sends an output's batches: live ones first, the backlog paced in the gaps, each until the destination has decided
/// about every point. It never gives up.
///
/// Owns: back-off, replay budget, counters, dead letters. Receives: batches from its `BatchSource`. Sends: batches to
/// its `Router`. Started by the supervisor; two lanes as child tasks, one batch in flight in each. Stops: on
/// cancellation, when the request under way has ended or its grace is over; what is not resolved stays pending.
public actor Sender {
    let output: String
    private let instance: String
    let log: any BatchSource
    private let router: Router
    private let settings: SenderSettings
    let clock: any Clock
    private let logger: Logger
    private var random: JitterSource
    private var replay: ReplayBudget
    private var rateLimit: RateLimit?
    private var letters: DeadLetters
    private var counters: SenderStatus
    /// No route was usable at the last try: the next success is a recovery.
    private var isDown = false
    /// When a route may be usable again, after a live batch gave way.
    private var usableAgain: Instant?

    public init(
        output: String, instance: String, log: any BatchSource, router: Router, settings: SenderSettings,
        clock: any Clock, logger: Logger, random: JitterSource = JitterSource()
    ) {
        self.output = output
        self.instance = instance
        self.log = log
        self.router = router
        self.settings = settings
        self.clock = clock
        self.logger = logger
        var random = random
        replay = ReplayBudget(bytesPerSecond: settings.replayBytesPerSecond, now: clock.now, using: &random)
        self.random = random
        rateLimit = settings.rateLimit
        letters = DeadLetters(bytesLimit: settings.deadLetterBytes)
        counters = SenderStatus(
            output: output,
            router: RouterStatus(active: nil, activeSince: clock.now, lastSwitch: nil, routes: []))
    }

    /// Child body: both lanes and the router's probes, until cancelled. Throws what the source throws.
    public func run() async throws {
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.router.run() }
            group.addTask { try await self.run(.live) }
            group.addTask { try await self.run(.replay) }
        }
    }

    public func status() async -> SenderStatus {
        let router = await router.status()
        var status = counters
        status.router = router
        status.deadLetters = letters.letters.count
        status.deadLettersTotal = letters.total
        status.replayRate = replay.rate(now: clock.now)
        return status
    }

    /// The lines nobody takes, oldest first.
    public func deadLetters() -> [DeadLetters.Letter] { letters.letters }

    // MARK: Lanes

    private func run(_ lane: Lane) async throws {
        var gaveWay: UInt64?
        while !Task.isCancelled {
            let stored = try await log.next(for: output, lane: lane)
            counters.inFlight[lane] = stored.sequence
            defer { counters.inFlight[lane] = nil }
            // A source in strict order hands out the demoted batch again: then there is nothing but to wait.
            if stored.sequence == gaveWay { try await wait(until: usableAgain, atLeast: .milliseconds(50)) }
            guard let fate = try await carry(stored, lane) else {
                gaveWay = stored.sequence
                await log.demote(reader: output)
                continue
            }
            gaveWay = nil
            await settle(stored, fate)
        }
        try Task.checkCancellation()
    }

    /// The end of a batch, in points.
    struct Fate {
        var rejected = 0
        var undeliverable = 0
        var letters: [DeadLetters.Letter] = []
    }

    private func settle(_ stored: StoredBatch, _ fate: Fate) async {
        let points = stored.batch.pointCount
        let rejected = min(max(0, fate.rejected), points)
        let undeliverable = min(max(0, fate.undeliverable), points - rejected)
        let delivered = points - rejected - undeliverable
        counters.delivered = counters.delivered.addingSaturated(UInt64(clamping: delivered))
        counters.rejected = counters.rejected.addingSaturated(UInt64(clamping: rejected))
        counters.undeliverable = counters.undeliverable.addingSaturated(UInt64(clamping: undeliverable))
        counters.batches = counters.batches.addingSaturated(1)
        counters.lastDelivery = clock.wall
        for letter in fate.letters { letters.append(letter) }
        if rejected > 0 || undeliverable > 0 {
            let reason = fate.letters.first?.reason ?? counters.lastError ?? ""
            logger.warning(
                "points refused",
                metadata: [
                    "output": "\(output)", "batch": "\(stored.sequence)", "rejected": "\(rejected)",
                    "undeliverable": "\(undeliverable)", "reason": "\(reason)",
                ])
        }
        await log.resolve(stored.sequence, for: output, delivered: delivered, rejected: rejected)
    }

    /// Brings a batch to its end; nil when a live one gives way because no route is usable.
    private func carry(_ stored: StoredBatch, _ lane: Lane) async throws -> Fate? {
        let batch = stored.batch
        let parts = await router.parts(for: batch.textByteCount)
        var bisection = BatchBisection(lineCount: batch.pointCount, parts: parts)
        if parts == 1 {
            let id = BatchID(instance: instance, sequence: stored.sequence)
            switch try await settle(batch, id, lane) {
            case .accepted(let rejected): return Fate(rejected: rejected)
            case .refused(let reason, _) where batch.pointCount > 1: bisection.refused(reason: reason)
            case .tooBig(let reason) where batch.pointCount > 1: bisection.tooBig(reason: reason)
            case .refused, .tooBig: break
            case .gaveWay: return nil
            }
        }
        return try await isolate(stored, bisection, lane)
    }

    /// Works through the parts of a batch until each line is accepted or dead.
    private func isolate(_ stored: StoredBatch, _ start: BatchBisection, _ lane: Lane) async throws -> Fate? {
        let batch = stored.batch
        guard let text = PayloadCoding.lines(of: batch) else {
            return Fate(undeliverable: batch.pointCount)
        }
        let index = LineIndex(text, expected: batch.pointCount)
        var bisection = start
        if index.count != batch.pointCount { bisection = BatchBisection(lineCount: index.count) }
        while let lines = bisection.next {
            let size = index.bytes(of: lines).count
            if lines.count > 1, await router.excludes(size) {
                // What is known to be too large is halved without asking.
                bisection.tooBig(reason: "larger than the server takes")
                continue
            }
            let part = PayloadCoding.part(text[index.bytes(of: lines)], count: lines.count, of: batch)
            let id = BatchID(instance: instance, sequence: stored.sequence, lines: lines)
            switch try await settle(part, id, lane) {
            case .accepted(let rejected): bisection.accepted(rejected: rejected)
            case .refused(let reason, let isExplained):
                // Somebody who refuses everything without a word of InfluxDB is not the database.
                if lines.count == 1, !isExplained, !bisection.hasAccepted {
                    note(.configuration(reason: reason), stored.sequence)
                    guard lane == .replay else { return nil }
                    try await clock.sleep(for: RouteBreaker.configurationWait)
                    bisection = BatchBisection(lineCount: index.count)
                } else {
                    bisection.refused(reason: reason)
                }
            case .tooBig(let reason): bisection.tooBig(reason: reason)
            case .gaveWay: return nil
            }
        }
        let dead = bisection.deadLines
        return Fate(
            rejected: bisection.rejected + dead.count { !$0.isTooBig }, undeliverable: dead.count { $0.isTooBig },
            letters: dead.map {
                DeadLetters.Letter(
                    line: Array(text[index.bytes(of: $0.line..<($0.line + 1))]), reason: $0.reason,
                    sequence: stored.sequence, at: clock.wall)
            })
    }

    // MARK: One request, as often as it takes

    private enum Verdict {
        case accepted(rejected: Int)
        case refused(reason: String, isExplained: Bool)
        case tooBig(reason: String)
        /// A live batch that no route takes now.
        case gaveWay
    }

    /// Sends the same bytes until the destination says something about them.
    private func settle(_ batch: Batch, _ id: BatchID, _ lane: Lane) async throws -> Verdict {
        var backoff = Backoff()
        var tries = 0
        while true {
            if lane == .replay { try await waitForBudget() }
            while let later = rateLimit?.take(bytes: batch.textByteCount, now: clock.now) {
                try await clock.sleep(until: later)
            }
            try Task.checkCancellation()
            let started = clock.now
            let delivery = await router.deliver(
                batch, id: id, deadline: started + settings.tryLimit, isRepetition: tries > 0)
            let outcome = delivery.outcome
            if Task.isCancelled, !outcome.isFinal { throw CancellationError() }
            count(batch, delivery, lane, started, isRetry: tries > 0)
            tries = tries.addingSaturated(1)
            note(outcome, id.sequence)
            switch outcome {
            case .delivered: return .accepted(rejected: 0)
            case .partial(let rejected, _): return .accepted(rejected: rejected)
            case .data(let reason, let isExplained): return .refused(reason: reason, isExplained: isExplained)
            case .tooBig(let reason): return .tooBig(reason: reason)
            case .unavailable, .configuration, .createDatabase:
                if giveWay(lane, delivery) { return .gaveWay }
                try await wait(until: delivery.nextTry, atLeast: .milliseconds(50))
            case .throttled:
                replay.slowDown(now: clock.now)
                try await wait(until: delivery.nextTry, atLeast: .milliseconds(50))
            case .server, .ambiguous:
                // No next try: the route stays, only we wait. Otherwise its breaker has opened.
                if delivery.nextTry != nil, giveWay(lane, delivery) { return .gaveWay }
                let pause = clock.now + backoff.next(using: &random)
                let earliest = max(pause, await router.reserveRepetition(on: delivery.route))
                try await wait(until: max(earliest, delivery.nextTry ?? earliest), atLeast: .zero)
            }
        }
    }

    /// No route is usable: a live batch makes room for newer ones, a replayed one waits.
    private func giveWay(_ lane: Lane, _ delivery: Delivery) -> Bool {
        isDown = true
        guard lane == .live else { return false }
        usableAgain = delivery.nextTry
        return true
    }

    private func wait(until moment: Instant?, atLeast least: Duration) async throws {
        let now = clock.now
        try await router.wait(until: max(moment ?? now, now + least))
    }

    /// Waits for the pace of replay; a live request may push the moment back meanwhile.
    private func waitForBudget() async throws {
        while replay.readyAt > clock.now { try await clock.sleep(until: replay.readyAt) }
    }

    private func count(_ batch: Batch, _ delivery: Delivery, _ lane: Lane, _ started: Instant, isRetry: Bool) {
        let now = clock.now
        guard delivery.requests > 0 else { return }
        counters.requests[delivery.outcome.outcomeClass, default: 0] &+= 1
        if isRetry { counters.retries &+= 1 }
        counters.retries &+= UInt64(delivery.requests - 1)
        let bytes = batch.payload.count.multipliedSaturated(by: delivery.requests)
        counters.bytes = counters.bytes.addingSaturated(UInt64(clamping: bytes))
        switch lane {
        case .live: replay.sentLive(bytes: batch.payload.count, now: now)
        case .replay: replay.sentReplay(bytes: batch.payload.count, now: now)
        }
        guard delivery.outcome.isFinal else { return }
        let latency = now - started
        counters.lastLatency = latency
        if latency > ReplayBudget.slowLimit { replay.slowDown(now: now) }
        if let change = delivery.change {
            logger.notice(
                "route in use",
                metadata: [
                    "output": "\(output)", "route": "\(change.to)", "before": "\(change.from ?? "")",
                    "cause": "\(change.cause)",
                ])
        }
        if isDown {
            isDown = false
            replay.recovered(now: now, using: &random)
            logger.notice(
                "delivery resumed", metadata: ["output": "\(output)", "route": "\(delivery.route ?? "")"])
        }
    }

    /// Remembers and logs what went wrong; the log sink holds repetitions back.
    private func note(_ outcome: DeliveryOutcome, _ sequence: UInt64) {
        guard !outcome.reason.isEmpty else { return }
        counters.lastError = outcome.reason
        counters.lastErrorAt = clock.wall
        logger.warning(
            "delivery failed",
            metadata: [
                "output": "\(output)", "class": "\(outcome.outcomeClass.rawValue)", "reason": "\(outcome.reason)",
            ])
    }
}
