import Logging
import Pipeline
import Synchronization
import Testing

@testable import Actors

/// A proxy that answers polls from a list, and then, like pushes, hangs until it is cancelled.
private final class ScriptedProxy: HTTPClient {
    private let replies: Mutex<[HTTPReply]>
    private let clock: any Clock
    let polls = Counter()
    let pushes = Counter()

    init(_ replies: [HTTPReply], clock: any Clock) {
        self.replies = Mutex(replies)
        self.clock = clock
    }

    func perform(_ request: HTTPRequest) async -> Result<HTTPReply, TransferFailure> {
        let isPoll = request.url.hasSuffix("/poll")
        (isPoll ? polls : pushes).increment()
        if isPoll, let reply = replies.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return .success(reply) }
        try? await clock.sleep(until: clock.now + .seconds(100_000))
        return .failure(TransferFailure(.cancelled, ""))
    }
}

@Suite("ScrapeClient")
struct ScrapeClientTests {
    private let clock = ManualClock()

    private func client(_ proxy: ScriptedProxy, scrapes: Int = 16) throws -> ScrapeClient {
        var settings = ScrapeClientSettings()
        settings.names = ["a.example"]
        settings.proxies = [ScrapeProxyPlace(url: try #require(HTTPURL("http://127.0.0.1:1")))]
        settings.scrapesLimit = scrapes
        return ScrapeClient(
            settings: settings, http: proxy, clock: clock, pages: { _ in nil },
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("empty answers that come at once are no loop of polls")
    func emptyAnswers() async throws {
        let proxy = ScriptedProxy(Array(repeating: HTTPReply(status: 204), count: 1_000), clock: clock)
        let client = try client(proxy)
        let running = Task { await client.run() }
        await eventually("it waits") { clock.sleeperCount == 1 }
        #expect(proxy.polls.value == 1)
        clock.advance(by: .seconds(31))
        await eventually("it polls again, and waits") { proxy.polls.value == 2 && clock.sleeperCount == 1 }
        running.cancel()
        await running.value
    }

    @Test("a proxy that gives scrapes and takes no answers holds a bounded number of them")
    func flood() async throws {
        let scrape =
            "GET http://a.example:1/ HTTP/1.1\r\nHost: a.example\r\nId: 1\r\n"
            + "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"
        let reply = HTTPReply(status: 200, body: Array(scrape.utf8))
        let proxy = ScriptedProxy(Array(repeating: reply, count: 200), clock: clock)
        let client = try client(proxy, scrapes: 2)
        let running = Task { await client.run() }
        await eventually("all were taken or dropped") { await client.figures().scrapes["dropped"] == 192 }
        #expect(proxy.polls.value == 201)
        await eventually("the others are pushed") { proxy.pushes.value == 8 }
        running.cancel()
        await running.value
    }
}
