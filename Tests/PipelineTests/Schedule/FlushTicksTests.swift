import Testing

@testable import Pipeline

@Suite("Flush ticks")
struct FlushTicksTests {
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

    private func schedule(_ seconds: Int64) -> TickSchedule {
        TickSchedule(interval: .seconds(seconds), roundInterval: true, offset: .zero, jitter: .zero)
    }

    @Test("each schedule ticks at its own interval, equal ticks together")
    func intervals() {
        var random = SystemRandomNumberGenerator()
        var ticks = FlushTicks([schedule(10), schedule(15)], wall: at(1), using: &random)
        var seen: [[Int64]] = []
        for _ in 0..<4 {
            guard let next = ticks.next else { break }
            let due = ticks.advance(past: next, wall: next, using: &random)
            seen.append([next.nanoseconds / 1_000_000_000] + due.map { $0.interval.wholeNanoseconds / 1_000_000_000 })
        }
        #expect(seen == [[10, 10], [15, 15], [20, 10], [30, 10, 15]])
    }

    @Test("a clock that is set moves all of them")
    func jump() {
        var random = SystemRandomNumberGenerator()
        var ticks = FlushTicks([schedule(10), schedule(60)], wall: at(1), using: &random)
        ticks.clockJumped(by: .seconds(1_000), to: at(1_001), using: &random)
        #expect(ticks.next == at(1_010))
        ticks.clockJumped(by: .seconds(-1_000), to: at(1), using: &random)
        #expect(ticks.next == at(10))
    }
}
