import Pipeline
import Testing

@Suite("SupervisionPlan")
struct SupervisionPlanTests {
    private func policy(
        _ id: String, _ restart: RestartRule = .permanent, whenExhausted: ExhaustionRule = .escalate, count: Int = 9
    ) -> ChildPolicy {
        ChildPolicy(
            id: id, restart: restart, whenExhausted: whenExhausted,
            intensity: RestartIntensity(count: count, period: .seconds(60)), stopTimeout: .seconds(2))
    }

    private func plan(
        _ strategy: SupervisionStrategy, count: Int = 3, stopOrder: StopOrder = .reversed, _ children: [ChildPolicy]
    ) -> Bench {
        Bench(
            SupervisionPlan(
                strategy: strategy, intensity: RestartIntensity(count: count, period: .seconds(60)),
                stopOrder: stopOrder, children: children))
    }

    /// A plan with a clock and the runs that live.
    private struct Bench {
        var plan: SupervisionPlan
        var now = Instant(nanoseconds: 0)
        var random = JitterSource(seed: 7)
        var live: [String: SupervisionPlan.Run] = [:]
        var log: [String] = []

        init(_ plan: SupervisionPlan) { self.plan = plan }

        /// Performs actions as a well-behaved world does: everything started is ready, everything cancelled ends.
        mutating func perform(_ actions: [SupervisionPlan.Action]) {
            for action in actions {
                switch action {
                case .start(let run):
                    live[run.child] = run
                    log.append("+" + run.child)
                    perform(plan.ready(run, now: now))
                case .cancel(let run):
                    live[run.child] = nil
                    log.append("-" + run.child)
                    perform(plan.ended(run, .returned, now: now, using: &random))
                case .park(let child, _, _): log.append("parked " + child)
                case .stopped(let failure): log.append(failure == nil ? "stopped" : "gave up")
                case .settled: log.append("settled")
                case .removed(let child): log.append("removed " + child)
                case .abandon(let run): log.append("abandoned " + run.child)
                case .late, .restartLater: break
                }
            }
        }

        mutating func begin() { perform(plan.begin(now: now)) }

        mutating func end(_ child: String, _ ending: SupervisionPlan.Ending = .failed("x")) {
            guard let run = live.removeValue(forKey: child) else { return }
            log.append("!" + child)
            perform(plan.ended(run, ending, now: now, using: &random))
        }

        mutating func pass(_ duration: Duration) {
            now += duration
            perform(plan.tick(now: now))
        }
    }

    @Test(
        "a failure takes along what the strategy names, in order",
        arguments: [
            (SupervisionStrategy.oneForOne, ["!b", "+b"]),
            (.oneForAll, ["!b", "-c", "-a", "+a", "+b", "+c"]),
            (.restForOne, ["!b", "-c", "+b", "+c"]),
        ])
    func strategies(strategy: SupervisionStrategy, expected: [String]) {
        var bench = plan(strategy, [policy("a"), policy("b"), policy("c")])
        bench.begin()
        #expect(bench.log == ["+a", "+b", "+c", "settled"])
        bench.log = []
        bench.end("b")
        bench.pass(.seconds(30))
        #expect(bench.log == expected)
    }

    @Test("a transient child is done when it returns, a temporary one always, a permanent one never")
    func restartRules() {
        var bench = plan(.oneForOne, [policy("p"), policy("tr", .transient), policy("te", .temporary)])
        bench.begin()
        bench.log = []
        for child in ["p", "tr", "te"] { bench.end(child, .returned) }
        bench.pass(.seconds(30))
        #expect(bench.log == ["!p", "!tr", "!te", "+p"])
        #expect(bench.plan.statuses(now: bench.now).map(\.state) == [.running, .stopped, .stopped])
    }

    @Test("one failure more than the intensity allows stops everything and gives up")
    func escalates() {
        var bench = plan(.oneForOne, count: 2, [policy("a"), policy("b")])
        bench.begin()
        for _ in 0..<3 {
            bench.end("b")
            bench.pass(.seconds(1))
        }
        #expect(bench.log.suffix(3) == ["!b", "-a", "gave up"])
    }

    @Test("failures that are far apart never give up")
    func slowFailures() {
        var bench = plan(.oneForOne, count: 2, [policy("a", count: 2)])
        bench.begin()
        for _ in 0..<20 {
            bench.pass(.seconds(61))
            bench.end("a")
            bench.pass(.seconds(30))
        }
        #expect(!bench.log.contains("gave up"))
    }

    @Test("children that park never exhaust their supervisor")
    func parking() {
        let children = (0..<5).map { policy("c\($0)", whenExhausted: .park, count: 1) }
        var bench = plan(.oneForOne, count: 1, children)
        bench.begin()
        for child in children {
            bench.end(child.id)
            bench.pass(.milliseconds(300))
            bench.end(child.id)
        }
        #expect(bench.log.filter { $0.hasPrefix("parked") }.count == 5)
        #expect(!bench.log.contains("gave up"))
    }

    @Test("a child can begin parked, and is tried when its time has come")
    func parkedStart() {
        var child = policy("a", whenExhausted: .park)
        child.parkedStart = ParkedStart(delay: .seconds(300), reason: "crashed")
        var bench = plan(.oneForOne, [child, policy("b")])
        bench.begin()
        #expect(bench.log == ["+b", "settled"])
        #expect(bench.plan.statuses(now: bench.now).first?.lastError == "crashed")
        bench.pass(.seconds(301))
        #expect(bench.log.last == "+a")
        bench.end("a")
        #expect(bench.log.last == "parked a")
        #expect(bench.plan.statuses(now: bench.now).first?.retryIn == .seconds(600))
    }

    @Test("siblings that stop together are cancelled at once, the last one first")
    func together() {
        var silent = SupervisionPlan(
            strategy: .oneForOne, intensity: RestartIntensity(count: 1, period: .seconds(60)), stopOrder: .together,
            children: [policy("a"), policy("b")])
        let now = Instant(nanoseconds: 0)
        guard case .start(let a)? = silent.begin(now: now).first else { return #expect(Bool(false)) }
        guard case .start(let b)? = silent.ready(a, now: now).first else { return #expect(Bool(false)) }
        _ = silent.ready(b, now: now)
        #expect(silent.stop(now: now) == [.cancel(b), .cancel(a)])
        #expect(silent.tick(now: now + .seconds(2)) == [.abandon(b), .abandon(a), .stopped(failure: nil)])
    }

    @Test("news of a run of the past are ignored")
    func staleNews() {
        var bench = plan(.oneForOne, [policy("a")])
        bench.begin()
        guard let old = bench.live["a"] else { return #expect(Bool(false)) }
        bench.end("a")
        bench.pass(.seconds(30))
        #expect(bench.plan.ended(old, .failed("late"), now: bench.now, using: &bench.random).isEmpty)
        #expect(bench.plan.statuses(now: bench.now).first?.state == .running)
    }

    @Test("the delay is jittered, grows to 30 s and is reset by a minute of health")
    func backoff() {
        var backoff = RestartBackoff()
        var random = JitterSource(seed: 3)
        for limit in [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30] {
            let delay = backoff.next(ranFor: .zero, using: &random)
            #expect(delay >= .zero && delay.inSeconds <= limit)
        }
        #expect(backoff.next(ranFor: .seconds(60), using: &random) <= .milliseconds(200))
    }

    @Test("random events never break the plan's rules", arguments: 0..<40)
    func randomWalk(seed: UInt64) {
        var random = JitterSource(seed: seed)
        let strategies: [SupervisionStrategy] = [.oneForOne, .oneForAll, .restForOne]
        let children = (0..<4).map { policy("c\($0)", whenExhausted: $0 < 2 ? .park : .escalate, count: 3) }
        var plan = SupervisionPlan(
            strategy: strategies[Int(seed % 3)], intensity: RestartIntensity(count: 30, period: .seconds(60)),
            stopOrder: seed.isMultiple(of: 2) ? .reversed : .together, children: children)
        var now = Instant(nanoseconds: 0)
        var live: Set<SupervisionPlan.Run> = []
        var hasStopped = false
        func take(_ actions: [SupervisionPlan.Action]) {
            for action in actions {
                switch action {
                case .start(let run):
                    #expect(!live.contains { $0.child == run.child }, "two runs of one child")
                    #expect(!hasStopped)
                    live.insert(run)
                case .abandon(let run): live.remove(run)
                case .stopped:
                    #expect(live.isEmpty)
                    hasStopped = true
                default: break
                }
            }
        }
        take(plan.begin(now: now))
        for _ in 0..<500 where !hasStopped {
            let run = live.randomElement(using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2: if let run { take(plan.ready(run, now: now)) }
            case 3...5:
                if let run {
                    live.remove(run)
                    let ending: SupervisionPlan.Ending = Bool.random(using: &random) ? .returned : .failed("x")
                    take(plan.ended(run, ending, now: now, using: &random))
                }
            case 6: take(plan.add(children[Int.random(in: 0..<4, using: &random)], now: now))
            case 7: take(plan.remove("c\(Int.random(in: 0..<4, using: &random))", now: now))
            default:
                now += .milliseconds(Int64.random(in: 0..<20_000, using: &random))
                take(plan.tick(now: now))
            }
        }
        take(plan.stop(now: now))
        for _ in 0..<20 where !hasStopped {
            now += .seconds(3)
            take(plan.tick(now: now))
        }
        #expect(hasStopped)
    }
}
