/// The decisions of one supervisor: which child starts, stops, waits, is parked, and when to give up.
///
/// A value without tasks, clocks or randomness of its own: each event returns the actions to perform, in order. The
/// caller must perform `start` and `cancel`, and report the end of every run that it started.
///
/// Rules:
/// - Children start in list order, the next one when the one before is ready (or has had `readyTimeout`).
/// - They stop in reverse order, one after the other; a run that outlives its stop time-out is abandoned.
/// - A failure restarts the child after a jittered delay; its group, as the strategy names it, is stopped first and
///   starts again behind it.
/// - A child beyond its intensity is parked or fails the supervisor. A parked one gets a single trial; when that fails
///   before it is stable, it is parked for twice as long. In a group the siblings run on without a parked child.
public struct SupervisionPlan: Sendable {
    public static let readyTimeout = Duration.seconds(10)

    /// One start of a child. Numbers are never reused, so news from a run of the past is recognised and ignored.
    public struct Run: Sendable, Hashable {
        public var child: String
        public var number: UInt64
    }

    /// How a run ended by itself.
    public enum Ending: Sendable, Hashable {
        case returned
        case failed(String)
    }

    public enum Action: Sendable, Hashable {
        case start(Run)
        case cancel(Run)
        /// The run did not end in time: forget it.
        case abandon(Run)
        /// For the log: the run was not ready in time and counts as running.
        case late(Run)
        /// For the log.
        case restartLater(Run, error: String, delay: Duration)
        /// For the log.
        case park(child: String, error: String, delay: Duration)
        /// The child is out of the plan; nothing of it runs any more.
        case removed(child: String)
        /// Every child had its first turn.
        case settled
        /// Nothing runs any more; `failure` says why the supervisor gave up, nil when it was told to stop.
        case stopped(failure: String?)
    }

    enum AfterStop: Sendable, Hashable { case startAgain, rest, removed }

    enum Phase: Sendable, Hashable {
        case waiting
        case starting(until: Instant)
        case running
        case stopping(until: Instant, then: AfterStop)
        case backingOff(until: Instant)
        case parked(until: Instant)
        case stopped
    }

    struct Child: Sendable {
        var policy: ChildPolicy
        var phase = Phase.waiting { didSet { phaseChanged = true } }
        var phaseChanged = true
        var since = Instant.zero
        var startedAt = Instant.zero
        var run: UInt64 = 0
        /// Set on a live child whose turn to be cancelled has not come yet.
        var stopRequest: AfterStop?
        var window: RestartWindow
        var backoff = RestartBackoff()
        var park = ParkSchedule()
        var onTrial = false
        var restarts: UInt64 = 0
        var abandoned: UInt64 = 0
        var lastError: String?

        init(_ policy: ChildPolicy) {
            self.policy = policy
            window = RestartWindow(policy.intensity)
        }

        var isLive: Bool {
            switch phase {
            case .starting, .running, .stopping: true
            case .waiting, .backingOff, .parked, .stopped: false
            }
        }

        var isEnding: Bool {
            if case .stopping = phase { return true }
            return stopRequest != nil
        }
    }

    let strategy: SupervisionStrategy
    let stopOrder: StopOrder
    var children: [Child]
    var window: RestartWindow
    var nextRun: UInt64 = 0
    var isActive = false
    public internal(set) var isStopping = false
    var hasSettled = false
    var failure: String?

    public init(
        strategy: SupervisionStrategy, intensity: RestartIntensity, stopOrder: StopOrder, children: [ChildPolicy]
    ) {
        self.strategy = strategy
        self.stopOrder = stopOrder
        self.children = children.map(Child.init)
        window = RestartWindow(intensity)
    }

    // MARK: Events

    /// The supervisor begins, for the first time or again after it gave up.
    public mutating func begin(now: Instant) -> [Action] {
        window.reset()
        (isActive, isStopping, hasSettled, failure) = (true, false, false, nil)
        for index in children.indices { enter(index, now: now) }
        return settle(now: now)
    }

    /// A run said that its successors may start.
    public mutating func ready(_ run: Run, now: Instant) -> [Action] {
        guard let index = index(of: run), case .starting = children[index].phase else { return [] }
        children[index].phase = .running
        return settle(now: now)
    }

    /// A run has ended, by itself or because it was cancelled.
    public mutating func ended(
        _ run: Run, _ ending: Ending, now: Instant, using random: inout some RandomNumberGenerator
    ) -> [Action] {
        guard let index = index(of: run), children[index].isLive else { return [] }
        if let next = children[index].afterStop {
            return finish(index, next) + settle(now: now)
        }
        let error: String
        switch (ending, children[index].policy.restart) {
        case (.returned, .transient), (.returned, .temporary):
            children[index].phase = .stopped
            return settle(now: now)
        case (.failed(let text), .temporary):
            children[index].phase = .stopped
            children[index].lastError = text
            return settle(now: now)
        case (.failed(let text), _): error = text
        case (.returned, .permanent): error = "returned, though it is permanent"
        }
        return failed(index, run, error, now: now, using: &random) + settle(now: now)
    }

    /// Time has passed: whatever is due happens.
    public mutating func tick(now: Instant) -> [Action] {
        var actions: [Action] = []
        for index in children.indices.reversed() {
            let run = Run(child: children[index].policy.id, number: children[index].run)
            switch children[index].phase {
            case .starting(let until) where until <= now:
                children[index].phase = .running
                actions.append(.late(run))
            case .stopping(let until, let next) where until <= now:
                children[index].abandoned &+= 1
                actions.append(.abandon(run))
                actions += finish(index, next)
            case .backingOff(let until) where until <= now, .parked(let until) where until <= now:
                children[index].restarts &+= 1
                children[index].phase = .waiting
            default: break
            }
        }
        return actions + settle(now: now)
    }

    /// Stop everything, in order.
    public mutating func stop(now: Instant) -> [Action] {
        guard isActive else { return [] }
        beginStop()
        return settle(now: now)
    }

    /// A new child, last in start order; replaces a child of the same id.
    public mutating func add(_ policy: ChildPolicy, now: Instant) -> [Action] {
        guard let index = children.firstIndex(where: { $0.policy.id == policy.id }) else {
            children.append(Child(policy))
            if isActive, !isStopping { enter(children.count - 1, now: now) }
            return settle(now: now)
        }
        var child = Child(policy)
        let old = children[index]
        (child.run, child.since, child.startedAt, child.phase) = (old.run, old.since, old.startedAt, old.phase)
        (child.stopRequest, child.abandoned) = (old.stopRequest, old.abandoned)
        children[index] = child
        if isActive, !isStopping { old.isLive ? requestStop(index, .startAgain) : enter(index, now: now) }
        return settle(now: now)
    }

    /// Takes a child out; `removed` follows when nothing of it runs.
    public mutating func remove(_ id: String, now: Instant) -> [Action] {
        guard let index = children.firstIndex(where: { $0.policy.id == id }) else { return [.removed(child: id)] }
        guard children[index].isLive else {
            children.remove(at: index)
            return [.removed(child: id)] + settle(now: now)
        }
        requestStop(index, .removed)
        return settle(now: now)
    }

    // MARK: What the caller may ask

    /// When `tick` must be called next; nil when only an event can change anything.
    public var nextDeadline: Instant? {
        children.compactMap { child in
            switch child.phase {
            case .starting(let until), .stopping(let until, _), .backingOff(let until), .parked(let until): until
            case .waiting, .running, .stopped: nil
            }
        }.min()
    }
}
