import Actors
import Pipeline
import Synchronization
import Testing

/// A tunnel that is what the test says.
private final class ScriptedTunnel: RoadWatch {
    private let state = Mutex((condition: RoadCondition.up(failure: nil, at: .zero), questions: 0))

    var questions: Int { state.withLock { $0.questions } }
    func become(_ condition: RoadCondition) { state.withLock { $0.condition = condition } }

    func condition(of road: TunnelRoad) async -> RoadCondition {
        state.withLock { state in
            state.questions += 1
            return state.condition
        }
    }
}

@Suite("A transport through a tunnel")
struct TunnelTransportTests {
    private let tunnel = ScriptedTunnel()
    private let clock = ManualClock()
    private let road = TunnelRoad(tunnel: "b", target: .tcp(NetworkPlace("db", 1)))
    private let down = RoadCondition.down(TunnelFailure(.hostkeyChanged, "another key"))

    private func transport(_ inner: ScriptedTransport) -> TunnelTransport {
        TunnelTransport(road: road, inner: inner, tunnels: tunnel, clock: clock)
    }

    private func outcome(_ inner: DeliveryOutcome) async -> DeliveryOutcome {
        let batch = Batch(pointCount: 1, newest: clock.wall, codec: .identity, payload: Array("m v=1 1\n".utf8))
        return await transport(ScriptedTransport { _, _, _ in inner }).send(
            batch, id: BatchID(instance: "i", sequence: 1), deadline: clock.now + .seconds(1))
    }

    @Test("a success asks the tunnel nothing, and an answer of the database stays what it is")
    func answers() async {
        tunnel.become(down)
        for answer in [
            DeliveryOutcome.delivered, .partial(rejected: 1, reason: "x"), .configuration(reason: "401"),
            .throttled(retryAfter: nil, reason: "429"), .server(reason: "500"), .tooBig(reason: "413"),
        ] {
            #expect(await outcome(answer) == answer)
        }
        #expect(tunnel.questions == 0)
    }

    @Test("a failure says what the tunnel knows, and closes the road at once")
    func failures() async {
        tunnel.become(down)
        let complaint = "tunnel b is down: hostkey-changed: another key"
        #expect(await outcome(.unavailable(reason: "refused")) == .unavailable(reason: complaint))
        #expect(await outcome(.ambiguous(reason: "reset")) == .unavailable(reason: complaint))
        tunnel.become(.up(failure: TunnelFailure(.targetRefused, ""), at: clock.now))
        let refused = "tunnel b is up, but db:1 is not reached: target-refused"
        #expect(await outcome(.ambiguous(reason: "reset")) == .unavailable(reason: refused))
        // A slow line is no dead one: only when that is repeated the road is left.
        tunnel.become(.up(failure: TunnelFailure(.targetTimeout, ""), at: clock.now))
        #expect(
            await outcome(.ambiguous(reason: "timeout"))
                == .ambiguous(reason: "tunnel b is up, but db:1 is not reached: target-timeout"))
    }

    @Test("an older failure of another connection explains nothing")
    func older() async {
        tunnel.become(.up(failure: TunnelFailure(.targetRefused, ""), at: clock.now))
        clock.advance(by: .seconds(1))
        #expect(await outcome(.ambiguous(reason: "reset")) == .ambiguous(reason: "reset"))
        tunnel.become(.up(failure: nil, at: clock.now))
        #expect(await outcome(.unavailable(reason: "tls")) == .unavailable(reason: "tls"))
    }

    @Test("a probe says it too")
    func probes() async {
        let inner = ScriptedTransport { _, _, _ in .delivered }
        inner.setPassable(false)
        #expect(await transport(inner).probe(deadline: clock.now) == .bad(reason: "scripted"))
        tunnel.become(.down(nil))
        #expect(await transport(inner).probe(deadline: clock.now) == .bad(reason: "tunnel b is connecting"))
    }

    @Test(
        "a road that was closed is tried as soon as its tunnel is back, however long its breaker would wait",
        arguments: [
            RoadCondition.down(TunnelFailure(.hostkeyChanged, "another key")),
            .up(failure: TunnelFailure(.targetRefused, ""), at: .distantFuture),
        ])
    func returns(closed: RoadCondition) async {
        let isUp = Mutex(false)
        let inner = ScriptedTransport { _, _, _ in
            isUp.withLock { $0 } ? .delivered : .unavailable(reason: "refused")
        }
        inner.setPassable(false)
        tunnel.become(closed)
        let router = Router(
            routes: [
                Route(id: "proxy", transport: transport(inner), needsProof: true),
                Route(id: "direct", transport: ScriptedTransport { _, _, _ in .unavailable(reason: "refused") }),
            ], clock: clock, random: JitterSource(seed: 3))
        func deliver() async -> Delivery {
            let batch = Batch(pointCount: 1, newest: clock.wall, codec: .identity, payload: Array("m v=1 1\n".utf8))
            return await router.deliver(
                batch, id: BatchID(instance: "i", sequence: 1), deadline: clock.now + .seconds(10))
        }
        // Often enough that the breaker waits for minutes.
        for _ in 0..<12 {
            #expect(await deliver().outcome.outcomeClass == .unavailable)
            clock.advance(by: .seconds(301))
        }
        #expect(await deliver().route != "proxy")
        let probes = inner.probes
        #expect(await router.status().routes[0].lastError == closed.complaint(of: road))
        clock.advance(by: .milliseconds(10))
        #expect(await deliver().outcome.outcomeClass == .unavailable)
        #expect(inner.probes == probes, "the breaker lets nothing through")
        tunnel.become(.up(failure: nil, at: clock.now))
        inner.setPassable(true)
        isUp.withLock { $0 = true }
        let delivery = await deliver()
        #expect(delivery.route == "proxy" && delivery.outcome == .delivered)
    }
}

@Suite("The environment's proxies")
struct EnvironmentProxyTests {
    private func proxy(_ url: String, _ environment: [String: String]) throws -> String? {
        EnvironmentProxy.proxy(for: try #require(HTTPURL(url)), environment: environment)
    }

    @Test("each scheme has its variable, and one stands for all")
    func schemes() throws {
        let all = ["http_proxy": "http://a", "https_proxy": "http://b", "ALL_PROXY": "http://c"]
        #expect(try proxy("http://h", all) == "http://a")
        #expect(try proxy("https://h", all) == "http://b")
        #expect(try proxy("http://h", ["HTTP_PROXY": "http://a"]) == nil)
        #expect(try proxy("http://h", ["http_proxy": "", "all_proxy": "http://c"]) == "http://c")
        #expect(try proxy("http://h", [:]) == nil)
    }

    @Test("no_proxy excepts names with what is below them, addresses and networks")
    func exceptions() throws {
        func isProxied(_ host: String, _ list: String) throws -> Bool {
            try proxy("http://\(host)", ["http_proxy": "http://a", "no_proxy": list]) != nil
        }
        #expect(try !isProxied("h", "*"))
        #expect(try !isProxied("db.example", "x, .example"))
        #expect(try !isProxied("DB.example", "db.EXAMPLE"))
        #expect(try isProxied("adb.example", "db.example"))
        #expect(try !isProxied("10.1.2.3", "10.0.0.0/8"))
        #expect(try isProxied("11.1.2.3", "10.0.0.0/8"))
        #expect(try !isProxied("[fd00::1]", "fd00::1"))
        #expect(try isProxied("h", ""))
        #expect(try isProxied("h", ","))
    }
}
