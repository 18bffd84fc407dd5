import Testing

@testable import Pipeline

@Suite struct RateLimitTests {
    private func at(_ seconds: Int) -> Instant { .zero + .seconds(seconds) }

    @Test("what fits into a period goes at once, the rest waits for the next one")
    func fits() {
        var limit = RateLimit(bytes: 100, period: .seconds(10))
        #expect(limit.take(bytes: 60, now: at(3)) == nil)
        #expect(limit.take(bytes: 40, now: at(4)) == nil)
        #expect(limit.take(bytes: 1, now: at(5)) == at(13))
        #expect(limit.take(bytes: 1, now: at(12)) == at(13))
        #expect(limit.take(bytes: 100, now: at(13)) == nil)
        #expect(limit.take(bytes: 100, now: at(40)) == nil)
    }

    @Test("a batch beyond the bound goes alone, and the next ones pay for it")
    func oversized() {
        var limit = RateLimit(bytes: 100, period: .seconds(10))
        #expect(limit.take(bytes: 250, now: at(0)) == nil)
        #expect(limit.take(bytes: 10, now: at(1)) == at(10))
        #expect(limit.take(bytes: 10, now: at(10)) == at(20))
        #expect(limit.take(bytes: 50, now: at(20)) == nil)
        #expect(limit.take(bytes: 1, now: at(20)) == at(30))
    }

    @Test("numbers at their bounds do not trap")
    func bounds() {
        var limit = RateLimit(bytes: 0, period: .zero)
        #expect(limit.take(bytes: .max, now: .zero) == nil)
        _ = limit.take(bytes: .max, now: .distantFuture)
        _ = limit.take(bytes: .max, now: Instant(nanoseconds: .min))
    }

    @Test("the options ask for one, or say why they cannot")
    func options() {
        func values(_ limit: String, _ period: Duration) -> OptionValues {
            OptionValues(
                OutputSpecs.influxdbV2.options,
                set: ["rate_limit": .string(limit), "rate_limit_period": .duration(period)])
        }
        #expect(RateLimit(values("unlimited", .zero)) == nil)
        #expect(RateLimit(values("5MB", .seconds(60))) == RateLimit(bytes: 5_000_000, period: .seconds(60)))
        #expect(RateLimit.complaint(values("unlimited", .zero)) == nil)
        #expect(RateLimit.complaint(values("5MB", .zero)) == "rate_limit needs a rate_limit_period")
        #expect(RateLimit.complaint(values("much", .seconds(1)))?.contains("expected") == true)
    }
}
