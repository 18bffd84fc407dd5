import Testing

@testable import Pipeline

/// Handshakes at once, and the turns of those that wait.
@Suite("Queue of handshakes")
struct HandshakeQueueTests {
    @Test("so many at once, the others in the order in which they came")
    func order() throws {
        var queue = HandshakeQueue(limit: 2)
        #expect(queue.enter() == nil)
        #expect(queue.enter() == nil)
        let tickets = [queue.enter(), queue.enter(), queue.enter()].compactMap { $0 }
        #expect(tickets.count == 3)
        #expect(queue.waitingCount == 3)
        #expect(queue.leave() == tickets[0])
        #expect(queue.running == 2)
        queue.forget(tickets[1])
        queue.forget(tickets[1])
        #expect(queue.leave() == tickets[2])
        #expect(queue.leave() == nil)
        #expect(queue.leave() == nil)
        #expect(queue.running == 0)
        #expect(queue.enter() == nil)
    }

    @Test("those that left before their turn leave nothing behind, and the turn goes to the next who is there")
    func departures() throws {
        var queue = HandshakeQueue(limit: 1)
        #expect(queue.enter() == nil)
        var last: HandshakeQueue.Ticket?
        for number in 0..<10_000 {
            let entered = queue.enter()
            let ticket = try #require(entered)
            if number % 1_000 == 999 { last = ticket } else { queue.forget(ticket) }
        }
        #expect(queue.waitingCount == 10)
        var served: [HandshakeQueue.Ticket] = []
        while let ticket = queue.leave() { served.append(ticket) }
        #expect(served.count == 10)
        #expect(served == served.sorted())
        #expect(served.last == last)
        #expect(queue.running == 0)
    }
}
