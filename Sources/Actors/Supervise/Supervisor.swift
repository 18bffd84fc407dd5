import Logging
import Pipeline

/// Starts children in order, restarts those that fail, gives up in the open: the only place with unstructured tasks.
///
/// Owns: one task per running child, one timer. Receives: starts, ends and ready calls of its children; add, replace
/// and remove from a reload. Sends: cancellation. Started by: `main` or a parent supervisor through `run`.
/// Stops: on cancellation of `run`, children in reverse order, each within its stop time-out; one that does not end is
/// abandoned, logged and counted, and never blocks the stop.
///
/// Every event is decided by `SupervisionPlan` and performed without an `await` in between, so no event ever sees
/// another one half done.
public actor Supervisor {
    public nonisolated let id: String
    private let clock: any Clock
    private let loop: any TaskExecutor
    private let log: Logger
    private var plan: SupervisionPlan
    private var specs: [String: ChildSpec] = [:]
    private var jitter: JitterSource
    private var tasks: [SupervisionPlan.Run: Task<Void, Never>] = [:]
    private var timer: (deadline: Instant, task: Task<Void, Never>)?
    private var outcome: CheckedContinuation<Void, any Error>?
    private var context: ChildContext?
    private var runNumber: UInt64 = 0
    private var stateSince: Instant
    private var endWaiters: [SupervisionPlan.Run: [CheckedContinuation<Void, Never>]] = [:]

    /// - Parameters:
    ///   - loop: what every child's task prefers to run on.
    ///   - seed: of the restart jitter.
    public init(
        id: String, strategy: SupervisionStrategy, intensity: RestartIntensity, stopOrder: StopOrder = .reversed,
        children: [ChildSpec], clock: any Clock, loop: any TaskExecutor, seed: UInt64, log: Logger
    ) {
        self.id = id
        self.clock = clock
        self.loop = loop
        self.log = log
        stateSince = clock.now
        jitter = JitterSource(seed: seed)
        plan = SupervisionPlan(
            strategy: strategy, intensity: intensity, stopOrder: stopOrder, children: children.map(\.policy))
        for child in children {
            let former = specs.updateValue(child, forKey: child.id)
            precondition(former == nil, "BUG: two children of \(id) are called \(child.id)")
        }
    }

    // MARK: Life

    /// Runs the children until cancelled.
    ///
    /// Errors: `SupervisorError` with code `exhausted` after a child failed too often; all others have been stopped.
    public func run(_ context: ChildContext) async throws {
        dropEarlierRun()
        runNumber &+= 1
        let number = runNumber
        self.context = context
        stateSince = clock.now
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                outcome = continuation
                perform(plan.begin(now: clock.now))
            }
        } onCancel: { [loop] in
            Task.detached(executorPreference: loop) { await self.stop(run: number) }
        }
    }

    /// Our parent abandoned an earlier run and has started anew: what is left of it must not be taken for ours.
    private func dropEarlierRun() {
        guard let outcome else { return }
        for (run, task) in tasks {
            task.cancel()
            resumeWaiters(of: run)
        }
        tasks.removeAll()
        self.outcome = nil
        outcome.resume(throwing: SupervisorError(code: .superseded, supervisor: id, message: "run again"))
    }

    private func stop(run: UInt64) {
        guard run == runNumber else { return }
        perform(plan.stop(now: clock.now))
    }

    // MARK: Changes, for a reload

    /// Adds a child, last in start order. The others are untouched.
    public func add(_ child: ChildSpec) async { await replace(child) }

    /// Puts `child` in the place of the one with its id, or adds it. Returns when the old run has ended or was
    /// abandoned; the new one has been started by then, or waits for its turn. The others are untouched.
    public func replace(_ child: ChildSpec) async {
        specs[child.id] = child
        let old = tasks.keys.first { $0.child == child.id }
        perform(plan.add(child.policy, now: clock.now))
        if let old { await end(of: old) }
    }

    /// Stops a child and forgets it. Returns when its run has ended or was abandoned. The others are untouched.
    public func remove(_ child: String) async {
        let old = tasks.keys.first { $0.child == child }
        perform(plan.remove(child, now: clock.now))
        if let old { await end(of: old) }
    }

    private func end(of run: SupervisionPlan.Run) async {
        guard tasks[run] != nil else { return }
        await withCheckedContinuation { endWaiters[run, default: []].append($0) }
    }

    // MARK: Status

    /// The tree from here down.
    public func snapshot() async -> ChildStatus {
        let state: ChildState = outcome == nil ? .stopped : plan.isStopping ? .stopping : .running
        var status = ChildStatus(id: id, kind: .supervisor, state: state, age: clock.now - stateSince)
        status.children = plan.statuses(now: clock.now)
        let nested = specs.compactMapValues(\.supervisor)
        for index in status.children.indices {
            guard let supervisor = nested[status.children[index].id] else { continue }
            status.children[index].kind = .supervisor
            status.children[index].children = await supervisor.snapshot().children
        }
        return status
    }

    // MARK: Events

    private func ready(_ run: SupervisionPlan.Run) { perform(plan.ready(run, now: clock.now)) }

    private func ended(_ run: SupervisionPlan.Run, _ ending: SupervisionPlan.Ending) {
        guard tasks.removeValue(forKey: run) != nil else { return }
        if case .failed(let error) = ending, plan.isEndingOnRequest(run) {
            let path = path(run.child)
            log.warning("child failed while it stopped", metadata: ["child": "\(path)", "error": "\(error)"])
        }
        perform(plan.ended(run, ending, now: clock.now, using: &jitter))
        resumeWaiters(of: run)
    }

    private func timerFired(_ deadline: Instant) {
        if timer?.deadline == deadline { timer = nil }
        perform(plan.tick(now: clock.now))
    }

    // MARK: Actions

    private func perform(_ actions: [SupervisionPlan.Action]) {
        for action in actions {
            switch action {
            case .start(let run): start(run)
            case .cancel(let run): tasks[run]?.cancel()
            case .abandon(let run): abandon(run)
            case .removed(let child): specs[child] = nil
            case .settled: context?.ready()
            case .stopped(let failure): finish(failure)
            case .late, .restartLater, .park: note(action)
            }
        }
        armTimer()
    }

    private func start(_ run: SupervisionPlan.Run) {
        guard let child = specs[run.child] else { return }
        let loop = loop
        let context = ChildContext(path: path(run.child)) {
            Task.detached(executorPreference: loop) { await self.ready(run) }
        }
        log.debug("child starts", metadata: ["child": "\(context.path)"])
        tasks[run] = Task.detached(executorPreference: loop) {
            let ending: SupervisionPlan.Ending
            do {
                try await child.run(context)
                ending = .returned
            } catch is CancellationError where Task.isCancelled {
                ending = .returned
            } catch {
                // Errors may quote what a peer sent: bounded here, since they stay in memory and in the status.
                ending = .failed(String(String(describing: error).prefix(512)))
            }
            await self.ended(run, ending)
        }
    }

    private func abandon(_ run: SupervisionPlan.Run) {
        log.error("child does not stop, left behind", metadata: ["child": "\(path(run.child))"])
        tasks[run] = nil
        resumeWaiters(of: run)
    }

    private func finish(_ failure: String?) {
        stateSince = clock.now
        guard let outcome else { return }
        self.outcome = nil
        guard let failure else { return outcome.resume() }
        log.error("supervisor gives up", metadata: ["supervisor": "\(context?.path ?? id)", "error": "\(failure)"])
        outcome.resume(throwing: SupervisorError(code: .exhausted, supervisor: id, message: failure))
    }

    private func resumeWaiters(of run: SupervisionPlan.Run) {
        for waiter in endWaiters.removeValue(forKey: run) ?? [] { waiter.resume() }
    }

    /// One timer for whatever is due next.
    private func armTimer() {
        let deadline = plan.nextDeadline
        guard deadline != timer?.deadline else { return }
        timer?.task.cancel()
        timer = nil
        guard let deadline else { return }
        let clock = clock
        let task = Task.detached(executorPreference: loop) {
            do { try await clock.sleep(until: deadline) } catch { return }
            await self.timerFired(deadline)
        }
        timer = (deadline, task)
    }

    private func note(_ action: SupervisionPlan.Action) {
        switch action {
        case .late(let run):
            log.warning("child is not ready in time, its siblings start", metadata: ["child": "\(path(run.child))"])
        case .restartLater(let run, let error, let delay):
            log.warning(
                "child failed, restarts later",
                metadata: ["child": "\(path(run.child))", "error": "\(error)", "delay": "\(delay)"])
        case .park(let child, let error, let delay):
            log.error(
                "child failed too often, parked",
                metadata: ["child": "\(path(child))", "error": "\(error)", "retry": "\(delay)"])
        default: break
        }
    }

    private func path(_ child: String) -> String { (context?.path ?? id) + "/" + child }
}
