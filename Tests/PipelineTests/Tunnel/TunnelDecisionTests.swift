import Testing

@testable import Pipeline

/// When a tunnel tries again, when a server is given up, when a connection is closed.
@Suite("Decisions of a tunnel")
struct TunnelDecisionTests {
    private func moment(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test("the first try after a session is immediate, later ones wait within a growing bound")
    func schedule() {
        for seed in 0..<200 as Range<UInt64> {
            var schedule = ReconnectSchedule(timing: TunnelTiming(), seed: seed)
            schedule.connected(now: moment(0))
            #expect(schedule.ended(now: moment(1)) == .zero)
            for exponent in 0..<10 {
                let wait = schedule.ended(now: moment(2))
                #expect(wait >= .zero && wait <= .seconds(min(60, 1 << exponent)))
            }
        }
    }

    @Test("a short session does not reset the waits, a minute of health does")
    func reset() {
        var schedule = ReconnectSchedule(timing: TunnelTiming(), seed: 1)
        schedule.connected(now: moment(0))
        _ = schedule.ended(now: moment(1))
        for _ in 0..<5 { _ = schedule.ended(now: moment(1)) }
        #expect(schedule.failures == 5)
        schedule.connected(now: moment(10))
        _ = schedule.ended(now: moment(69))
        #expect(schedule.failures == 6)
        schedule.connected(now: moment(70))
        #expect(schedule.ended(now: moment(130)) == .zero)
        #expect(schedule.failures == 0)
    }

    @Test("what only a person can mend is not tried fast")
    func operatorNeeded() {
        for seed in 0..<50 as Range<UInt64> {
            var schedule = ReconnectSchedule(timing: TunnelTiming(), seed: seed)
            let wait = schedule.ended(now: moment(0), needsOperator: true)
            #expect(wait >= .seconds(30) && wait <= .seconds(60))
        }
    }

    @Test("one lost session tries again at once; two hundred are spread over seconds")
    func crowd() {
        for seed in 0..<20 as Range<UInt64> {
            var crowd = ReconnectCrowd(seed: seed)
            let waits = (0..<200).map { _ in crowd.join(now: moment(100)) }
            #expect(waits.prefix(8).allSatisfy { $0 == .zero })
            #expect(waits.allSatisfy { $0 <= .seconds(5) })
            #expect(waits.filter { $0 < .milliseconds(500) }.count < 110)
            #expect(waits.contains { $0 > .seconds(2) })
            let alone = crowd.join(now: moment(102))
            #expect(alone == .zero)
        }
    }

    @Test("a server that answers is asked every interval, one that does not is given up at the third miss")
    func liveness() {
        var liveness = SessionLiveness(missedLimit: 3)
        #expect(liveness.tick() == .probe)
        liveness.answered()
        #expect(liveness.tick() == .probe)
        #expect(liveness.tick() == .wait)
        #expect(liveness.tick() == .wait)
        #expect(liveness.tick() == .giveUp)
    }

    @Test("a late answer counts as a good one")
    func lateAnswer() {
        var liveness = SessionLiveness(missedLimit: 3)
        _ = liveness.tick()
        _ = liveness.tick()
        _ = liveness.tick()
        liveness.answered()
        #expect(liveness.tick() == .probe)
        #expect(liveness.missed == 0)
    }

    @Test("a half-closed connection goes on in the other direction until that ends too")
    func halfClose() {
        var flow = ConnectionFlow()
        #expect(flow.next(toChannel: 0, toLocal: 0) == nil)
        flow.localDidEnd()
        #expect(flow.next(toChannel: 10, toLocal: 0) == nil)
        #expect(flow.next(toChannel: 0, toLocal: 0) == .sendEOF)
        #expect(flow.next(toChannel: 0, toLocal: 5) == nil)
        #expect(flow.readsChannel && !flow.readsLocal && flow.isHalfClosed)
        flow.remoteDidEnd()
        #expect(flow.next(toChannel: 0, toLocal: 5) == nil)
        #expect(flow.next(toChannel: 0, toLocal: 0) == .shutdownLocal)
        #expect(flow.next(toChannel: 0, toLocal: 0) == .close)
        #expect(flow.next(toChannel: 0, toLocal: 0) == .close)
    }

    @Test("the far side may end first")
    func remoteFirst() {
        var flow = ConnectionFlow()
        flow.remoteDidEnd()
        #expect(flow.next(toChannel: 3, toLocal: 4) == nil)
        #expect(flow.next(toChannel: 3, toLocal: 0) == .shutdownLocal)
        #expect(flow.readsLocal && flow.writesChannel)
        flow.localDidEnd()
        #expect(flow.next(toChannel: 0, toLocal: 0) == .sendEOF)
        #expect(flow.next(toChannel: 0, toLocal: 0) == .close)
    }

    @Test("a channel that is gone in both directions delivers what it brought and closes")
    func remoteClose() {
        var flow = ConnectionFlow()
        flow.remoteDidClose()
        #expect(!flow.readsLocal && !flow.writesChannel)
        #expect(flow.next(toChannel: 9, toLocal: 1) == nil)
        #expect(flow.next(toChannel: 9, toLocal: 0) == .shutdownLocal)
        #expect(flow.next(toChannel: 9, toLocal: 0) == .close)
    }

    @Test("every order of events ends in a close, and never before all was delivered")
    func everyOrder() {
        for order in 0..<16 {
            var flow = ConnectionFlow()
            var actions: [ConnectionFlow.Action] = []
            if order & 1 == 0 { flow.localDidEnd() } else { flow.remoteDidEnd() }
            while let action = flow.next(toChannel: 0, toLocal: 0), actions.count < 10, action != .close {
                actions.append(action)
            }
            if order & 2 == 0 { flow.remoteDidEnd() } else { flow.remoteDidClose() }
            if order & 4 == 0 { flow.localDidEnd() }
            if order & 8 != 0 { flow.didBreak() }
            while let action = flow.next(toChannel: 0, toLocal: 0), actions.count < 10 {
                actions.append(action)
                if action == .close { break }
            }
            let canClose = order & 4 == 0 || order & 2 != 0 || order & 8 != 0 || order & 1 == 0
            #expect((actions.last == .close) == canClose, "order \(order): \(actions)")
        }
    }

    @Test("three failed connections in a row make a forward degraded, one that works makes it well")
    func degraded() {
        var tracker = StateTracker(now: moment(0))
        #expect(tracker.become(.up, now: moment(1)) == true)
        for _ in 0..<2 {
            #expect(tracker.failed(.targetRefused, "", now: moment(2)) == false)
        }
        #expect(tracker.succeeded(now: moment(3)) == false)
        for _ in 0..<2 {
            #expect(tracker.failed(.targetRefused, "", now: moment(4)) == false)
        }
        #expect(tracker.failed(.targetRefused, "", now: moment(5)) == true)
        #expect(tracker.state == .degraded && tracker.reason == .targetRefused && tracker.since == moment(5))
        #expect(tracker.succeeded(now: moment(6)) == true)
        #expect(tracker.state == .up && tracker.reason == nil && tracker.lastOK == moment(6))
    }

    @Test("setting up anew counts, and the same state again is no news")
    func restarts() {
        var tracker = StateTracker(now: moment(0))
        #expect(tracker.become(.up, now: moment(1)) == true)
        #expect(tracker.restarts == 0)
        #expect(tracker.become(.down, .sessionLost, "x", now: moment(2)) == true)
        #expect(tracker.become(.down, .sessionLost, "y", now: moment(3)) == false)
        #expect(tracker.since == moment(2))
        #expect(tracker.become(.up, now: moment(4)) == true)
        #expect(tracker.restarts == 1)
    }
}
