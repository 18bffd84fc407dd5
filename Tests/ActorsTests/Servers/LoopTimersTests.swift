import NIOCore
import NIOPosix
import Pipeline
import Testing

@testable import Actors

/// Many deadlines of one event loop.
@Suite struct LoopTimersTests {
    /// On the event loop.
    private final class Record {
        var timers: [LoopTimer] = []
        var fired: [(number: Int, due: NIODeadline)] = []
        var left = 0
    }

    @Test func `Timers ring in the order in which they are due, at their last time, and none that was cancelled`()
        async throws
    {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let (numbers, isOrdered, left) = try await loop.flatSubmit {
            let done = loop.makePromise(of: ([Int], Bool, Int).self)
            let all = LoopTimers(loop)
            let record = Record()
            for number in 0..<200 {
                let timer = LoopTimer(all)
                record.timers.append(timer)
                timer.set(.milliseconds(1 + number * 7_919 % 211)) {
                    record.fired.append((number, timer.due))
                }
            }
            // Moved forward, moved back, cancelled, cancelled twice.
            for number in stride(from: 0, to: 200, by: 5) {
                let timer = record.timers[number]
                timer.set(.milliseconds(number % 2 == 0 ? 5 : 300)) { record.fired.append((number, timer.due)) }
                record.timers[number + 1].cancel()
                record.timers[number + 2].cancel()
                record.timers[number + 2].cancel()
            }
            let last = LoopTimer(all)
            last.set(.milliseconds(600)) {
                let dues = record.fired.map(\.due)
                done.succeed((record.fired.map(\.number), dues == dues.sorted(), all.count))
                record.timers = []
            }
            return done.futureResult
        }.get()
        #expect(Set(numbers) == Set((0..<200).filter { $0 % 5 != 1 && $0 % 5 != 2 }))
        #expect(numbers.count == 120)
        #expect(isOrdered)
        #expect(left == 0)
    }

    @Test func `A timer may be set again from its own action`() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let rings = try await loop.flatSubmit {
            let done = loop.makePromise(of: Int.self)
            let record = Record()
            let timer = LoopTimer(LoopTimers(loop))
            func ring() {
                record.left += 1
                guard record.left < 3 else { return done.succeed(record.left) }
                timer.set(.milliseconds(1)) { ring() }
            }
            timer.set(.milliseconds(1)) { ring() }
            return done.futureResult
        }.get()
        #expect(rings == 3)
    }
}
