import Pipeline
import Testing

@Suite struct BreakerTests {
    private var random = JitterSource(seed: 7)
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test("a wait is random between the floor and a bound that doubles up to the cap")
    mutating func backoffBounds() {
        var backoff = Backoff()
        for exponent in 0..<80 {
            let wait = backoff.next(using: &random)
            #expect(wait >= .milliseconds(50))
            #expect(wait <= min(.seconds(30), .milliseconds(500 << min(exponent, 10))))
        }
        backoff.reset()
        #expect(backoff.next(using: &random) <= .milliseconds(500))
        var longest = Duration.zero
        for _ in 0..<200 { longest = max(longest, backoff.next(throttled: true, using: &random)) }
        #expect(longest > .seconds(40) && longest <= .seconds(60))
    }

    @Test("a route that needs a proof is probed before the first batch, and again when the probe was bad")
    mutating func needsProof() {
        var breaker = RouteBreaker(now: start, needsProof: true)
        #expect(breaker.isUsable(now: start))
        #expect(breaker.permission(now: start) == .probe)
        breaker.probed(good: false, now: start, using: &random)
        #expect(breaker.state == .open)
        guard case .wait(let until) = breaker.permission(now: start) else {
            _ = Issue.record("no wait")
            return
        }
        #expect(breaker.permission(now: until) == .probe)
        breaker.probed(good: true, now: until, using: &random)
        breaker.gaveUp()
        #expect(breaker.permission(now: until) == .send)
    }

    @Test("a misconfigured route that was mended is tried at once, any other open one is not")
    mutating func mended() {
        var breaker = RouteBreaker(now: start)
        breaker.failed(.configuration, now: start, using: &random)
        #expect(!breaker.isUsable(now: start + .seconds(59)))
        breaker.mended(now: start + .seconds(1))
        #expect(breaker.permission(now: start + .seconds(1)) == .probe)
        var dead = RouteBreaker(now: start)
        dead.failed(.hard, now: start, using: &random)
        dead.mended(now: start)
        #expect(!dead.isUsable(now: start))
    }

    @Test("a hard failure opens at once, half-open asks for one probe, then one batch closes it")
    mutating func hardFailure() {
        var breaker = RouteBreaker(now: start)
        #expect(breaker.permission(now: start) == .send)
        #expect(breaker.failed(.hard, now: start, using: &random))
        guard case .wait(let until) = breaker.permission(now: start) else {
            _ = Issue.record("no wait")
            return
        }
        #expect(until > start && until <= start + .seconds(5))
        #expect(breaker.permission(now: until) == .probe)
        guard case .wait = breaker.permission(now: until) else {
            _ = Issue.record("only one may probe")
            return
        }
        breaker.probed(good: true, now: until, using: &random)
        #expect(breaker.state == .halfOpen)
        breaker.succeeded(now: until)
        #expect(breaker.state == .closed)
        #expect(breaker.permission(now: until) == .send)
    }

    @Test("a route without an alternative is probed every 10 s at least, however long it has been away")
    mutating func aloneIsProbedOften() {
        var breaker = RouteBreaker(now: start, isAlone: true)
        var now = start
        breaker.failed(.hard, now: now, using: &random)
        for _ in 0..<200 {
            guard let until = breaker.opensUntil else {
                _ = Issue.record("no wait")
                return
            }
            #expect(until - now <= .seconds(10))
            now = until
            #expect(breaker.permission(now: now) == .probe)
            breaker.probed(good: false, now: now, using: &random)
        }
    }

    @Test("a route that is needed waits 10 s at most, one that a person must mend the whole minute")
    mutating func neededIsProbedOften() {
        var breaker = RouteBreaker(now: start)
        var now = start
        breaker.failed(.hard, now: now, using: &random)
        for _ in 0..<200 {
            let unhurried = breaker.opensUntil
            breaker.needed()
            guard let until = breaker.opensUntil, let unhurried else {
                _ = Issue.record("no wait")
                return
            }
            #expect(until - now <= .seconds(10) && until <= unhurried)
            now = until
            #expect(breaker.permission(now: now) == .probe)
            breaker.probed(good: false, now: now, using: &random)
        }
        breaker.succeeded(now: now)
        breaker.needed()
        #expect(breaker.permission(now: now) == .send)
        breaker.failed(.configuration, now: now, using: &random)
        breaker.needed()
        #expect(breaker.opensUntil == now + .seconds(60))
    }

    @Test("a road that is preferred to the one in use is asked at least once a minute")
    mutating func watchedRoads() {
        var breaker = RouteBreaker(now: start)
        var now = start
        breaker.failed(.hard, now: now, using: &random)
        for _ in 0..<200 {
            let unhurried = breaker.opensUntil ?? now
            breaker.watched(now: now)
            let until = breaker.opensUntil ?? now
            #expect(until - now <= .seconds(60) && until <= unhurried)
            now = until
            #expect(breaker.permission(now: now) == .probe)
            breaker.probed(good: false, now: now, using: &random)
        }
        #expect(breaker.opensUntil.map { $0 - now } ?? .zero <= .seconds(300))
        breaker.succeeded(now: now)
        breaker.watched(now: now)
        #expect(breaker.permission(now: now) == .send)
        breaker.failed(.configuration, now: now, using: &random)
        breaker.watched(now: now)
        #expect(breaker.opensUntil == now + .seconds(60))
    }

    @Test("the wait grows with each opening, to 300 s at most, and a bad probe opens again")
    mutating func openingsGrow() {
        var breaker = RouteBreaker(now: start)
        var now = start
        breaker.failed(.hard, now: now, using: &random)
        var longest = Duration.zero
        for _ in 0..<200 {
            guard let until = breaker.opensUntil else {
                _ = Issue.record("no wait")
                return
            }
            longest = max(longest, until - now)
            #expect(until - now <= .seconds(300))
            now = until
            #expect(breaker.permission(now: now) == .probe)
            breaker.probed(good: false, now: now, using: &random)
            #expect(breaker.state == .open)
        }
        #expect(longest > .seconds(150))
    }

    @Test("soft failures open after 3 in a row or 5 of the last 10 within 60 s")
    mutating func softFailures() {
        var breaker = RouteBreaker(now: start)
        #expect(!breaker.failed(.soft, now: start, using: &random))
        #expect(!breaker.failed(.soft, now: start, using: &random))
        #expect(breaker.failed(.soft, now: start, using: &random))

        var mixed = RouteBreaker(now: start)
        var opened: [Bool] = []
        for _ in 0..<5 {
            opened.append(mixed.failed(.soft, now: start, using: &random))
            if mixed.state == .closed { mixed.succeeded(now: start) }
        }
        #expect(opened == [false, false, false, false, true])

        var slow = RouteBreaker(now: start)
        for second in 0..<20 {
            let now = start + .seconds(second * 30)
            #expect(!slow.failed(.soft, now: now, using: &random))
            slow.succeeded(now: now)
        }
    }

    @Test("busy for 60 s opens, shorter does not; a wrong configuration waits a minute")
    mutating func throttledAndMisconfigured() {
        var breaker = RouteBreaker(now: start)
        #expect(!breaker.failed(.throttled, now: start, using: &random))
        #expect(!breaker.failed(.throttled, now: start + .seconds(59), using: &random))
        #expect(breaker.throttledLongAt == start + .seconds(60))
        #expect(breaker.failed(.throttled, now: start + .seconds(60), using: &random))

        var wrong = RouteBreaker(now: start)
        #expect(wrong.failed(.configuration, now: start, using: &random))
        #expect(wrong.opensUntil == start + .seconds(60))
        #expect(wrong.isMisconfigured)
    }

    @Test("503 for 20 s of each minute never changes the route")
    mutating func busyIsNotDown() {
        var breaker = RouteBreaker(now: start)
        for second in 0..<3600 {
            let now = start + .seconds(second)
            if second % 60 < 20 {
                #expect(!breaker.failed(.throttled, now: now, using: &random))
            } else {
                breaker.succeeded(now: now)
            }
        }
    }

    @Test("repetitions are one a second and a tenth of first tries after the bucket is empty")
    mutating func retryBudget() {
        var budget = RetryBudget(now: start)
        for _ in 0..<10 { #expect(budget.reserve(now: start) == start) }
        #expect(budget.reserve(now: start) > start)
        for _ in 0..<20 { budget.sentFirstTry(now: start) }
        #expect(budget.reserve(now: start + .seconds(1)) <= start + .seconds(1))
    }

    @Test("failover is at once, failback needs 3 good probes over 30 s and the minimum stay, doubled by flaps")
    mutating func failback() {
        var order = RouteOrder(["direct", "metadata", "proxy"], now: start)
        #expect(order.candidates(now: start) { _ in true } == ["direct", "metadata", "proxy"])
        order.delivered(by: "direct", now: start)
        order.failed("direct", cause: "refused")
        #expect(order.candidates(now: start) { $0 != "direct" } == ["metadata", "proxy"])
        order.delivered(by: "metadata", now: start)
        #expect(order.lastSwitch?.cause == "refused")
        #expect(order.watched == ["direct"])

        var now = start
        for second in [10, 20, 30, 40] {
            now = start + .seconds(second)
            order.probed("direct", good: true, now: now)
            #expect(order.candidates(now: now) { _ in true }.first == "metadata", "too early at \(second)")
        }
        now = start + .seconds(60)
        #expect(order.candidates(now: now) { _ in true } == ["direct", "metadata", "proxy"])
        #expect(order.active == "metadata", "the old route stays until the first delivery on the new one")
        order.delivered(by: "direct", now: now)
        #expect(order.lastSwitch?.cause == "preferred route is back")

        order.failed("direct", cause: "refused")
        order.delivered(by: "metadata", now: now)
        #expect(order.stay(now: now) == .seconds(120))
        for _ in 0..<20 {
            order.delivered(by: "direct", now: now)
            order.delivered(by: "metadata", now: now)
        }
        #expect(order.stay(now: now) == .seconds(1800))
        #expect(order.stay(now: now + .seconds(1801)) == .seconds(60))
    }

    @Test("one bad probe starts the count of good ones again")
    func badProbeResets() {
        var order = RouteOrder(["a", "b"], now: start)
        order.delivered(by: "b", now: start)
        for second in stride(from: 10, through: 60, by: 10) {
            order.probed("a", good: second != 50, now: start + .seconds(second))
        }
        #expect(order.candidates(now: start + .seconds(100)) { _ in true }.first == "b")
    }
}

@Suite struct ReplayBudgetTests {
    private var random = JitterSource(seed: 3)
    private let start = Instant(nanoseconds: 1_000_000_000_000)

    @Test("replay starts at a random moment within 30 s and ramps up to the floor rate")
    mutating func startsSpread() {
        var starts: [Instant] = []
        for _ in 0..<200 {
            starts.append(ReplayBudget(bytesPerSecond: 1 << 20, now: start, using: &random).readyAt)
        }
        #expect(starts.allSatisfy { $0 >= start && $0 <= start + .seconds(30) })
        #expect(starts.filter { $0 < start + .seconds(15) }.count > 60)
        let budget = ReplayBudget(bytesPerSecond: 1 << 20, now: start, using: &random)
        #expect(budget.rate(now: budget.readyAt) < 4000)
        #expect(budget.rate(now: start + .seconds(200)) == 64 * 1024)
    }

    @Test("the rate follows four times the live rate up to the limit")
    mutating func followsLive() {
        var budget = ReplayBudget(bytesPerSecond: 1 << 20, now: start, using: &random)
        var now = start
        for second in 0..<200 {
            now = start + .seconds(second)
            budget.sentLive(bytes: 100_000, now: now)
        }
        #expect(abs(budget.rate(now: now) - 400_000) < 20_000)
        for second in 200..<400 {
            now = start + .seconds(second)
            budget.sentLive(bytes: 10_000_000, now: now)
        }
        #expect(budget.rate(now: now) == 1_048_576)
    }

    @Test("a busy server halves the rate, quiet gives it back; a request is paid by waiting")
    mutating func halves() {
        var budget = ReplayBudget(bytesPerSecond: 64 * 1024, now: start, using: &random)
        let now = start + .seconds(1000)
        budget.slowDown(now: now)
        #expect(budget.rate(now: now) == 32 * 1024)
        budget.slowDown(now: now + .seconds(1))
        #expect(budget.rate(now: now + .seconds(1)) == 32 * 1024)
        budget.slowDown(now: now + .seconds(6))
        #expect(budget.rate(now: now + .seconds(6)) == 16 * 1024)
        #expect(budget.rate(now: now + .seconds(200)) == 64 * 1024)
        let later = now + .seconds(200)
        budget.sentReplay(bytes: 128 * 1024, now: later)
        #expect(budget.readyAt == later + .seconds(2))
        budget.recovered(now: later, using: &random)
        #expect(budget.readyAt >= later + .seconds(2) && budget.readyAt <= later + .seconds(30))
    }
}
