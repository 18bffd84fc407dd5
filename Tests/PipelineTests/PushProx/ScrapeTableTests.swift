import Testing

@testable import Pipeline

/// Who waits for whom: polls, scrapes and pushes in any order, each answered once.
@Suite("Table of scrapes")
struct ScrapeTableTests {
    private let start = Instant(nanoseconds: 1_000_000_000_000)
    private let name: ScrapeName

    init() throws { name = try #require(ScrapeName("a.example")) }

    private func ask(_ table: inout ScrapeTable, _ scrape: UInt64, repeatable: Bool = true) -> ScrapeTable.Action? {
        table.scrape(
            scrape, id: "id\(scrape)", name: name, isRepeatable: repeatable, waitsForUnknown: false, now: start)
    }

    @Test("a waiting poll gets the next scrape, a waiting scrape the next poll")
    func rendezvous() {
        var table = ScrapeTable()
        #expect(ask(&table, 1) == .fail(scrape: 1, .unknownName))
        #expect(table.poll(10, name: name, host: "A.example", now: start) == [])
        #expect(ask(&table, 2) == .handOut(poll: 10, scrape: 2, id: "id2", host: "A.example"))
        #expect(ask(&table, 3) == nil)
        #expect(
            table.poll(11, name: name, host: "a", now: start) == [.handOut(poll: 11, scrape: 3, id: "id3", host: "a")])
        #expect(table.owner(of: "id3")?.scrape == 3)
        table.answer(3, now: start)
        #expect(table.owner(of: "id3") == nil)
        table.answered(3)
        #expect(table.openScrapes == 1)
        #expect(table.expire(2, now: start) == .noPush)
        #expect(table.owner(of: "id2") == nil)
        #expect(table.openScrapes == 0)
    }

    @Test("a second poll of a name ends the first, and no scrape is lost by it")
    func eviction() {
        var table = ScrapeTable()
        _ = table.poll(10, name: name, host: "a", now: start)
        #expect(table.poll(11, name: name, host: "a", now: start) == [.evict(poll: 10)])
        #expect(ask(&table, 1) == .handOut(poll: 11, scrape: 1, id: "id1", host: "a"))
        #expect(table.waitingPolls == 0)
    }

    @Test("a poll that is ended by another one just when a scrape was handed to it costs nothing")
    func evictionRacesWithHandOut() {
        var table = ScrapeTable()
        _ = table.poll(10, name: name, host: "a", now: start)
        #expect(ask(&table, 1) == .handOut(poll: 10, scrape: 1, id: "id1", host: "a"))
        // The second poll comes before the first one's answer has arrived: there is nobody to end.
        #expect(table.poll(11, name: name, host: "a", now: start) == [])
        #expect(table.owner(of: "id1")?.scrape == 1)
        // It had not arrived: the poll that waits gets it.
        #expect(table.takerDied(10, now: start) == [.handOut(poll: 11, scrape: 1, id: "id1", host: "a")])
        #expect(table.waitingPolls == 0)
        // And one that is ended twice in a row, by a third poll and by its own end.
        _ = table.poll(12, name: name, host: "a", now: start)
        #expect(table.poll(13, name: name, host: "a", now: start) == [.evict(poll: 12)])
        table.pollEnded(12, now: start)
        #expect(ask(&table, 2) == .handOut(poll: 13, scrape: 2, id: "id2", host: "a"))
    }

    @Test("a thousand scrapes of one name go out in their order, and those whose scrapers are gone do not")
    func thousandQueued() {
        var limits = ScrapeTable.Limits()
        limits.waitingPerName = 1_000
        var table = ScrapeTable(limits: limits)
        _ = table.poll(1, name: name, host: "a", now: start)
        table.pollEnded(1, now: start)
        for scrape in UInt64(1)...1_000 { #expect(ask(&table, scrape) == nil) }
        #expect(ask(&table, 1_001) == .fail(scrape: 1_001, .tooMany))
        for scrape in stride(from: UInt64(2), through: 1_000, by: 2) { _ = table.expire(scrape, now: start) }
        for scrape in stride(from: UInt64(1), through: 999, by: 2) {
            #expect(
                table.poll(5_000 + scrape, name: name, host: "a", now: start) == [
                    .handOut(poll: 5_000 + scrape, scrape: scrape, id: "id\(scrape)", host: "a")
                ])
        }
        #expect(table.waitingScrapes == 0)
        #expect(table.openScrapes == 500)
    }

    @Test("a poll that is gone gets nothing; a scrape whose scraper is gone is not handed out")
    func gone() {
        var table = ScrapeTable()
        _ = table.poll(10, name: name, host: "a", now: start)
        table.pollEnded(10, now: start)
        #expect(ask(&table, 1) == nil)
        #expect(table.expire(1, now: start + .seconds(3)) == .notPolling(lastSeen: .seconds(3)))
        #expect(table.poll(11, name: name, host: "a", now: start) == [])
    }

    @Test("a scrape that went to a dead connection is handed out once more, and not a third time")
    func redelivery() {
        var table = ScrapeTable()
        _ = table.poll(10, name: name, host: "a", now: start)
        _ = ask(&table, 1)
        #expect(table.takerDied(10, now: start) == [])
        #expect(table.owner(of: "id1") == nil)
        #expect(
            table.poll(11, name: name, host: "a", now: start) == [.handOut(poll: 11, scrape: 1, id: "id1", host: "a")])
        #expect(table.takerDied(11, now: start) == [.fail(scrape: 1, .clientGone)])
        _ = table.poll(12, name: name, host: "a", now: start)
        _ = ask(&table, 2, repeatable: false)
        #expect(table.takerDied(12, now: start) == [.fail(scrape: 2, .clientGone)])
        // One that is being answered goes on.
        _ = table.poll(13, name: name, host: "a", now: start)
        _ = ask(&table, 3)
        table.answer(3, now: start)
        #expect(table.takerDied(13, now: start) == [])
        #expect(table.expire(3, now: start) == nil)
    }

    @Test("a shared name: the client that waits longest gets the next scrape, a lost scrape goes to another")
    func sharing() {
        var limits = ScrapeTable.Limits()
        limits.sharesNames = true
        var table = ScrapeTable(limits: limits)
        for poll: UInt64 in 10...12 {
            #expect(table.poll(poll, name: name, host: "a", instance: poll, now: start) == [])
        }
        #expect(table.waitingPolls == 3)
        #expect(ask(&table, 1) == .handOut(poll: 10, scrape: 1, id: "id1", host: "a"))
        #expect(ask(&table, 2) == .handOut(poll: 11, scrape: 2, id: "id2", host: "a"))
        #expect(table.poll(13, name: name, host: "a", instance: 10, now: start) == [])
        #expect(ask(&table, 3) == .handOut(poll: 12, scrape: 3, id: "id3", host: "a"))
        #expect(table.takerDied(11, now: start) == [.handOut(poll: 13, scrape: 2, id: "id2", host: "a")])
        // The same client again, whose connection was lost without a word: the older poll is ended.
        _ = table.poll(20, name: name, host: "a", instance: 7, now: start)
        _ = table.poll(21, name: name, host: "a", instance: 8, now: start)
        #expect(table.poll(22, name: name, host: "a", instance: 7, now: start) == [.evict(poll: 20)])
        #expect(table.poll(23, name: name, host: "a", now: start) == [])
        #expect(table.poll(24, name: name, host: "a", now: start) == [])
        table.pollEnded(21, now: start)
        table.pollEnded(23, now: start)
        #expect(ask(&table, 4) == .handOut(poll: 22, scrape: 4, id: "id4", host: "a"))
        #expect(ask(&table, 5) == .handOut(poll: 24, scrape: 5, id: "id5", host: "a"))
        #expect(table.waitingPolls == 0)
        // Bounded: the oldest of too many is ended.
        for poll in UInt64(100)..<UInt64(100 + WaitingPolls.limit) {
            #expect(table.poll(poll, name: name, host: "a", now: start) == [])
        }
        #expect(table.poll(999, name: name, host: "a", now: start) == [.evict(poll: 100)])
        #expect(table.waitingPolls == WaitingPolls.limit)
    }

    @Test("names, waiting scrapes and all scrapes are bounded")
    func limits() throws {
        var limits = ScrapeTable.Limits()
        limits.names = 1
        limits.waitingPerName = 2
        limits.scrapes = 3
        var table = ScrapeTable(limits: limits)
        let other = try #require(ScrapeName("b"))
        _ = table.poll(10, name: name, host: "a", now: start)
        #expect(table.poll(11, name: other, host: "b", now: start) == [.refuse(poll: 11)])
        _ = ask(&table, 1)
        #expect(ask(&table, 2) == nil)
        #expect(ask(&table, 3) == nil)
        #expect(ask(&table, 4) == .fail(scrape: 4, .tooMany))
        #expect(table.waitingScrapes == 2)
    }

    @Test("an unknown name waits only where there is a grace, and leaves nothing behind")
    func unknown() throws {
        var table = ScrapeTable()
        let unknown = try #require(ScrapeName("nobody"))
        #expect(
            table.scrape(1, id: "x", name: unknown, isRepeatable: true, waitsForUnknown: true, now: start) == nil)
        #expect(!table.isKnown(unknown))
        #expect(table.discovery.isEmpty)
        #expect(table.expire(1, now: start) == .unknownName)
        #expect(table.clients.isEmpty)
        _ = table.scrape(2, id: "y", name: unknown, isRepeatable: true, waitsForUnknown: true, now: start)
        #expect(table.poll(10, name: unknown, host: "nobody", now: start).count == 1)
    }

    @Test("a name is forgotten after its time, but not while its poll waits")
    func pruning() {
        var table = ScrapeTable()
        _ = table.poll(10, name: name, host: "a", now: start)
        table.prune(now: start + .seconds(10_000))
        #expect(table.knownClients == 1)
        table.pollEnded(10, now: start)
        table.prune(now: start + .seconds(299))
        #expect(table.knownClients == 1)
        table.prune(now: start + .seconds(301))
        #expect(table.knownClients == 0)
    }

    @Test("a drain turns away what waits and lets go on what was taken")
    func drain() {
        var table = ScrapeTable()
        _ = table.poll(10, name: name, host: "a", now: start)
        _ = ask(&table, 1)
        _ = ask(&table, 2)
        #expect(table.drain() == [.fail(scrape: 2, .draining)])
        #expect(ask(&table, 3) == .fail(scrape: 3, .draining))
        #expect(table.poll(11, name: name, host: "a", now: start) == [.refuse(poll: 11)])
        #expect(table.owner(of: "id1")?.scrape == 1)
    }

    @Test("after any sequence of events nothing is left when all connections are gone")
    func model() {
        var random = JitterSource(seed: 7)
        for _ in 0..<200 {
            var table = ScrapeTable()
            var open: [UInt64] = []
            var next: UInt64 = 1
            for _ in 0..<100 {
                next += 1
                switch random.next() % 5 {
                case 0: _ = table.poll(next, name: name, host: "a", now: start)
                case 1:
                    if case .fail? = ask(&table, next) { break }
                    open.append(next)
                case 2: _ = table.takerDied(random.next() % next, now: start)
                case 3: table.pollEnded(random.next() % next, now: start)
                default:
                    guard let scrape = open.randomElement(using: &random) else { break }
                    if table.owner(of: "id\(scrape)") != nil { table.answer(scrape, now: start) }
                }
            }
            for scrape in open where table.expire(scrape, now: start) == nil { table.answered(scrape) }
            for poll in 0...next { _ = table.takerDied(poll, now: start) }
            #expect(table.openScrapes == 0)
            #expect(table.waitingPolls == 0)
            table.prune(now: start + .seconds(1_000))
            #expect(table.knownClients == 0)
        }
    }
}
