import Testing

@testable import Pipeline

@Suite("Patience with a request")
struct RequestPatienceTests {
    private let configured = Duration.seconds(5)

    /// Sends a payload over a line of that speed until it comes through; the number of tries.
    private func tries(_ bytes: Int, over line: Int, _ patience: inout RequestPatience, limit: Int = 12) -> Int {
        let needed = Duration.milliseconds(bytes * 1_000 / line)
        for number in 1...limit {
            if patience.limit(bytes: bytes, configured: configured) >= needed {
                patience.answered(bytes: bytes, after: needed, configured: configured)
                return number
            }
            patience.timedOut()
        }
        return limit + 1
    }

    @Test("a line of 16 kbit/s carries a batch of 25 KB after few tries, and the next ones at once")
    func slowLine() {
        var patience = RequestPatience()
        #expect((2...4).contains(tries(25_000, over: 2_000, &patience)))
        for _ in 0..<20 { #expect(tries(25_000, over: 2_000, &patience) <= 2) }
        #expect((0..<20).filter { _ in tries(25_000, over: 2_000, &patience) > 1 }.isEmpty)
    }

    @Test("three small requests that nobody answers cost three times the configured time")
    func deadRoad() {
        var patience = RequestPatience()
        var spent = Duration.zero
        for _ in 0..<3 {
            spent += patience.limit(bytes: 1_000, configured: configured)
            patience.timedOut()
        }
        #expect(spent < .seconds(16))
        #expect(patience.limit(bytes: 0, configured: configured) == .seconds(10))
    }

    @Test("a line that is fast again is believed to be fast again")
    func recovers() {
        var patience = RequestPatience()
        for _ in 0..<9 { patience.timedOut() }
        #expect(patience.speed == RequestPatience.slowest)
        #expect(patience.limit(bytes: .max, configured: configured) > .zero)
        for _ in 0..<3 { patience.answered(bytes: 25_000, after: .milliseconds(10), configured: configured) }
        #expect(patience.speed == RequestPatience.fastest)
        #expect(patience.limit(bytes: 64 * 1_024, configured: configured) == .seconds(6))
    }
}
