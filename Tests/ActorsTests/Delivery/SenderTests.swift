import Actors
import Glibc
import Logging
import Pipeline
import Synchronization
import Testing

/// A transport with a script: what it was given, and what it says.
final class ScriptedTransport: Transport {
    typealias Script = @Sendable (_ number: Int, _ batch: Batch, _ id: BatchID) -> DeliveryOutcome

    private let script: Script
    private let state = Mutex((sent: [(BatchID, Batch)](), probes: 0, isPassable: true, secrets: SecretState.fixed))

    init(_ script: @escaping Script) { self.script = script }

    var sent: [(id: BatchID, batch: Batch)] { state.withLock { $0.sent.map { (id: $0.0, batch: $0.1) } } }
    var probes: Int { state.withLock { $0.probes } }
    func setPassable(_ value: Bool) { state.withLock { $0.isPassable = value } }
    func setSecrets(_ value: SecretState) { state.withLock { $0.secrets = value } }
    func secretState() async -> SecretState { state.withLock { $0.secrets } }

    func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome {
        let number = state.withLock { state in
            state.sent.append((id, batch))
            return state.sent.count - 1
        }
        return script(number, batch, id)
    }

    func probe(deadline: Instant) async -> ProbeOutcome {
        state.withLock { state in
            state.probes += 1
            return state.isPassable ? .good : .bad(reason: "scripted")
        }
    }
}

@Suite struct SenderTests {
    private func run(
        _ routes: [Route], _ source: FakeBatchSource, clock: any Clock = DeliveryEdge.clock,
        _ body: (Sender) async -> Void
    ) async {
        let router = Router(routes: routes, clock: clock, random: JitterSource(seed: 1))
        let sender = Sender(
            output: "out", instance: "i", log: source, router: router, settings: SenderSettings(), clock: clock,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, random: JitterSource(seed: 2))
        let task = Task { try await sender.run() }
        await body(sender)
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    private func http(_ server: ScriptedServer) -> Route {
        var settings = InfluxDBSettings(urls: [server.url], database: "db")
        settings.skipDatabaseCreation = true
        let transport = InfluxDBTransport(
            settings: settings, client: CurlMulti(loop: DeliveryEdge.loop), clock: DeliveryEdge.clock)
        return Route(id: "direct", transport: transport)
    }

    @Test("one bad line in 5,000: 4,999 delivered, 1 dead-lettered, at most 30 requests", arguments: [0, 2718, 4999])
    func oneBadLine(bad: Int) async {
        let delivered = Mutex(0)
        let server = ScriptedServer { _, request in
            let text = String(decoding: request.body, as: UTF8.self)
            if text.contains("v=bad") { return .reply(400, body: error("unable to parse 'm v=bad': invalid number")) }
            delivered.withLock { $0 += text.split(separator: "\n").count }
            return .reply(204)
        }
        defer { server.stop() }
        let source = FakeBatchSource()
        await source.add(1, lines(5000, bad: [bad]))
        await run([http(server)], source) { sender in
            await eventually("the batch is resolved") { await !source.resolutions.isEmpty }
            let letters = await sender.deadLetters()
            #expect(letters.count == 1)
            #expect(letters.first?.line == Array("m,host=a v=bad \(1_700_000_000 + bad)\n".utf8))
            let status = await sender.status()
            #expect(status.delivered == 4999)
            #expect(status.rejected == 1)
        }
        #expect(await source.resolutions == [.init(sequence: 1, delivered: 4999, rejected: 1)])
        #expect(delivered.withLock { $0 } == 4999)
        #expect(server.requests.count <= 30)
    }

    @Test("a partial write is acknowledged with its rejected points")
    func partialWrite() async {
        let server = ScriptedServer { _, _ in
            .reply(400, body: error("partial write: points beyond retention policy dropped=3"))
        }
        defer { server.stop() }
        let source = FakeBatchSource()
        await source.add(1, lines(10))
        await run([http(server)], source) { _ in
            await eventually("the batch is resolved") { await !source.resolutions.isEmpty }
        }
        #expect(await source.resolutions == [.init(sequence: 1, delivered: 7, rejected: 3)])
        #expect(server.requests.count == 1)
    }

    @Test("413 halves, the learned limit cuts the next batch before it is sent, a lone giant is undeliverable")
    func tooBig() async {
        let server = ScriptedServer { _, request in
            request.body.count > 10_000 ? .reply(413, body: "<html>") : .reply(204)
        }
        defer { server.stop() }
        let source = FakeBatchSource()
        await source.add(1, lines(1000))
        await run([http(server)], source) { _ in
            await eventually("the first is resolved") { await source.resolutions.count == 1 }
            let refused = server.requests.count { $0.body.count > 10_000 }
            await source.add(2, lines(1000))
            await eventually("the second is resolved") { await source.resolutions.count == 2 }
            #expect(server.requests.count { $0.body.count > 10_000 } == refused, "no request too large again")
            let giant = Array("m v=\"\(String(repeating: "x", count: 20_000))\" 1\n".utf8)
            await source.add(3, Batch(pointCount: 1, newest: .zero, codec: .identity, payload: giant))
            await eventually("the third is resolved") { await source.resolutions.count == 3 }
        }
        #expect(
            await source.resolutions == [
                .init(sequence: 1, delivered: 1000, rejected: 0),
                .init(sequence: 2, delivered: 1000, rejected: 0),
                .init(sequence: 3, delivered: 0, rejected: 0),
            ])
    }

    @Test("the learned limit holds where the server counts uncompressed bytes: parts compress worse than the whole")
    func tooBigInside() async throws {
        let server = ScriptedServer { _, request in
            let text = try? Gzip.inflate(request.body, limit: 1 << 20)
            return (text?.count ?? .max) > 8_192 ? .reply(413, body: "<html>") : .reply(204)
        }
        defer { server.stop() }
        let plain = lines(1000)
        let packed = try #require(plain.payload.withUnsafeBytes { GzipCompressor().compress($0) })
        let batch = Batch(pointCount: 1000, newest: .zero, codec: .gzip, payload: packed)
        #expect(batch.textByteCount == plain.payload.count)
        let source = FakeBatchSource()
        await source.add(1, batch)
        await run([http(server)], source) { _ in
            await eventually("the first is resolved") { await source.resolutions.count == 1 }
            let before = server.requests.count
            for sequence in 2...4 as ClosedRange<UInt64> { await source.add(sequence, batch) }
            await eventually("the others are resolved") { await source.resolutions.count == 4 }
            let parts = (plain.payload.count - 1) / 4_096 + 2
            #expect(server.requests.count - before <= 3 * parts, "no request was refused again")
        }
        #expect(await source.resolutions.allSatisfy { $0.delivered == 1000 })
    }

    @Test("a stranger's 400 page keeps the data: nothing is dead-lettered")
    func strangersRefusal() async {
        let server = ScriptedServer { _, _ in .reply(400, body: "<html>plain HTTP sent to HTTPS port</html>") }
        defer { server.stop() }
        let source = FakeBatchSource()
        await source.add(1, lines(16))
        await run([http(server)], source) { sender in
            await eventually("the batch gives way") { await source.demotions == 1 }
            #expect(await sender.deadLetters().isEmpty)
        }
        #expect(await source.resolutions.isEmpty)
    }

    @Test("errors, resets and a busy server repeat the same bytes until they are taken")
    func sameBytes() async {
        let server = ScriptedServer { number, _ in
            switch number {
            case 0: .reply(500)
            case 1: .resetInBody
            case 2: .reply(503, headers: ["Retry-After: 0"])
            case 3: .reply(503, headers: ["Retry-After: soon"])
            default: .reply(204)
            }
        }
        defer { server.stop() }
        let source = FakeBatchSource()
        let batch = lines(100)
        await source.add(1, batch)
        await run([http(server)], source) { sender in
            await eventually("the batch is resolved") { await !source.resolutions.isEmpty }
            let status = await sender.status()
            // The cut on a reused connection is libcurl's own to repeat.
            #expect(status.retries == 3)
            #expect(status.requests[.throttled] == 2)
            #expect(status.requests[.delivered] == 1)
            #expect(status.bytes == UInt64(4 * batch.payload.count))
        }
        #expect(server.requests.count == 5)
        #expect(server.requests.allSatisfy { $0.body == batch.payload && $0.headers["x-godwit-batch"] == "i-1" })
    }

    @Test("a dead route demotes the live batch; after recovery newer live data go first, then the backlog")
    func demotion() async {
        let isUp = Mutex(false)
        let transport = ScriptedTransport { _, _, _ in
            isUp.withLock { $0 } ? .delivered : .unavailable(reason: "refused")
        }
        let clock = ManualClock()
        let source = FakeBatchSource()
        await source.add(1, lines(1))
        await run([Route(id: "direct", transport: transport)], source, clock: clock) { sender in
            await eventually("the batch gives way") { await source.demotions == 1 }
            transport.setPassable(false)
            for _ in 0..<40 {
                clock.advance(by: .seconds(5))
                await Task.yield()
            }
            isUp.withLock { $0 = true }
            transport.setPassable(true)
            for _ in 0..<3000 where await source.resolutions.isEmpty {
                clock.advance(by: .seconds(5))
                try? await Task.sleep(for: .microseconds(300))
            }
            let status = await sender.status()
            #expect(status.router.active == "direct")
            #expect(status.router.routes.first?.breaker == .closed)
        }
        #expect(await source.resolutions == [.init(sequence: 1, delivered: 1, rejected: 0)])
    }

    @Test("a wait of 30 s asked for by the server is kept to the second", arguments: [30, 600])
    func retryAfter(seconds: Int) async {
        let transport = ScriptedTransport { number, _, _ in
            number == 0 ? .throttled(retryAfter: .seconds(seconds), reason: "busy") : .delivered
        }
        let clock = ManualClock()
        let start = clock.now
        let source = FakeBatchSource()
        await source.add(1, lines(1))
        await run([Route(id: "direct", transport: transport)], source, clock: clock) { _ in
            await eventually("somebody waits") {
                clock.deadlines.contains { $0 >= start + .seconds(seconds) && $0 < start + .seconds(seconds + 1) }
            }
            clock.advance(by: .seconds(seconds) - .milliseconds(1))
            #expect(transport.sent.count == 1)
            clock.advance(by: .seconds(1))
            await eventually("it is sent again") { await !source.resolutions.isEmpty }
            #expect(transport.sent.count == 2)
        }
    }

    @Test("a batch on a dying route goes over the next one in the same try, the same bytes first")
    func failover() async {
        let direct = ScriptedTransport { number, _, _ in number == 0 ? .delivered : .unavailable(reason: "refused") }
        let backup = ScriptedTransport { _, _, _ in .delivered }
        let source = FakeBatchSource()
        await source.add(1, lines(1))
        let routes = [Route(id: "direct", transport: direct), Route(id: "proxy", transport: backup)]
        await run(routes, source) { sender in
            await eventually("the first is resolved") { await source.resolutions.count == 1 }
            await source.add(2, lines(3))
            await eventually("the second is resolved") { await source.resolutions.count == 2 }
            let router = await sender.status().router
            #expect(router.active == "proxy")
            #expect(router.lastSwitch?.from == "direct")
            #expect(router.lastSwitch?.cause == "refused")
        }
        #expect(await source.demotions == 0)
        #expect(backup.sent.first?.batch == direct.sent.last?.batch)
    }

    @Test("nothing is sent to a route that needs a proof before its probe was good")
    func proof() async {
        let direct = ScriptedTransport { _, _, _ in .unavailable(reason: "refused") }
        let metadata = ScriptedTransport { _, _, _ in .delivered }
        metadata.setPassable(false)
        let clock = ManualClock()
        let router = Router(
            routes: [
                Route(id: "direct", transport: direct),
                Route(id: "metadata", transport: metadata, needsProof: true),
            ], clock: clock, random: JitterSource(seed: 4))
        func deliver() async -> Delivery {
            let id = BatchID(instance: "i", sequence: 1)
            return await router.deliver(lines(1), id: id, deadline: clock.now + .seconds(10))
        }
        #expect(await deliver().outcome.outcomeClass == .unavailable)
        #expect(metadata.probes == 1 && metadata.sent.isEmpty)
        metadata.setPassable(true)
        clock.advance(by: .seconds(6))
        let delivery = await deliver()
        #expect(delivery.route == "metadata" && metadata.probes == 2)
        #expect(delivery.change?.to == "metadata")
        #expect(metadata.sent.map(\.batch) == [lines(1)])
    }

    @Test("a size that one road refuses is not held against another one")
    func limitsOfRoutes() async {
        let isUp = Mutex(true)
        let narrow = ScriptedTransport { _, batch, _ in
            guard isUp.withLock({ $0 }) else { return .unavailable(reason: "refused") }
            return batch.payload.count > 2_000 ? .tooBig(reason: "413") : .delivered
        }
        let wide = ScriptedTransport { _, _, _ in .delivered }
        let source = FakeBatchSource()
        await source.add(1, lines(200))
        await run([Route(id: "direct", transport: narrow), Route(id: "proxy", transport: wide)], source) { _ in
            await eventually("the first is resolved") { await source.resolutions.count == 1 }
            #expect(narrow.sent.count > 2 && wide.sent.isEmpty)
            isUp.withLock { $0 = false }
            await source.add(2, lines(1))
            await eventually("the second is resolved") { await source.resolutions.count == 2 }
            await source.add(3, lines(200))
            await eventually("the third is resolved") { await source.resolutions.count == 3 }
            #expect(wide.sent.map(\.batch.pointCount) == [1, 200])
        }
    }

    @Test("a batch refused for its credentials goes again as soon as the secret is another one")
    func newSecret() async {
        let isKnown = Mutex(false)
        let transport = ScriptedTransport { _, _, _ in
            isKnown.withLock { $0 } ? .delivered : .configuration(reason: "401")
        }
        transport.setSecrets(.used)
        let clock = ManualClock()
        let source = FakeBatchSource()
        await source.add(1, lines(1), to: .replay)
        await run([Route(id: "direct", transport: transport)], source, clock: clock) { _ in
            for _ in 0..<60 where transport.sent.isEmpty {
                clock.advance(by: .seconds(1))
                await Task.yield()
            }
            await eventually("it is refused") { !transport.sent.isEmpty }
            let refused = clock.now
            isKnown.withLock { $0 = true }
            transport.setSecrets(.new)
            while await source.resolutions.isEmpty, clock.now - refused < .seconds(59) {
                clock.advance(by: .milliseconds(100))
                try? await Task.sleep(for: .milliseconds(1))
            }
            #expect(await source.resolutions.count == 1)
            #expect(clock.now - refused < .seconds(10))
        }
    }

    @Test("with the preferred route back, its probes bring the data back to it")
    func failback() async {
        let isUp = Mutex(false)
        let direct = ScriptedTransport { _, _, _ in
            isUp.withLock { $0 } ? .delivered : .unavailable(reason: "refused")
        }
        let backup = ScriptedTransport { _, _, _ in .delivered }
        let clock = ManualClock()
        let start = clock.now
        let router = Router(
            routes: [Route(id: "direct", transport: direct), Route(id: "proxy", transport: backup)], clock: clock,
            random: JitterSource(seed: 4))
        let task = Task { try await router.run() }
        func deliver() async -> String? {
            let id = BatchID(instance: "i", sequence: 1)
            return await router.deliver(lines(1), id: id, deadline: clock.now + .seconds(10)).route
        }
        #expect(await deliver() == "proxy")
        isUp.withLock { $0 = true }
        for second in 1...120 {
            await eventually("the prober sleeps") { clock.sleeperCount == 1 }
            clock.advance(by: .seconds(1))
            if second < 40 { #expect(await deliver() == "proxy", "after \(second) s") }
        }
        await eventually("back on direct") { await deliver() == "direct" }
        let status = await router.status()
        #expect(status.activeSince - start >= .seconds(60))
        task.cancel()
        _ = await task.result
    }

    @Test("after an hour with every route down the data flow within seconds of the first return")
    func longOutage() async {
        let isUp = Mutex(false)
        let script: ScriptedTransport.Script = { _, _, _ in
            isUp.withLock { $0 } ? .delivered : .unavailable(reason: "refused")
        }
        let direct = ScriptedTransport { _, _, _ in .unavailable(reason: "refused") }
        let proxy = ScriptedTransport(script)
        proxy.setPassable(false)
        direct.setPassable(false)
        let clock = ManualClock()
        for seed in 1...8 {
            let router = Router(
                routes: [
                    Route(id: "direct", transport: direct), Route(id: "proxy", transport: proxy, needsProof: true),
                ], clock: clock, random: JitterSource(seed: UInt64(seed)))
            func deliver() async -> Delivery {
                let id = BatchID(instance: "i", sequence: 1)
                return await router.deliver(lines(1), id: id, deadline: clock.now + .seconds(10))
            }
            for _ in 0..<360 {
                #expect(await deliver().outcome.outcomeClass == .unavailable)
                clock.advance(by: .seconds(10))
            }
            proxy.setPassable(true)
            isUp.withLock { $0 = true }
            let back = clock.now
            while await deliver().outcome.outcomeClass != .delivered, clock.now - back < .seconds(300) {
                clock.advance(by: .seconds(1))
            }
            #expect(clock.now - back <= .seconds(10))
            proxy.setPassable(false)
            isUp.withLock { $0 = false }
        }
    }

    @Test("replay waits for its start and its pace while live batches pass")
    func replayPace() async {
        let transport = ScriptedTransport { _, _, _ in .delivered }
        let clock = ManualClock()
        let source = FakeBatchSource()
        await source.add(1, lines(1), to: .replay)
        await run([Route(id: "direct", transport: transport)], source, clock: clock) { _ in
            await source.add(2, lines(1))
            await eventually("the live one passes") { await source.resolutions.count == 1 }
            #expect(transport.sent.map(\.id.sequence) == [2])
            for _ in 0..<40 {
                clock.advance(by: .seconds(1))
                await Task.yield()
            }
            await eventually("the old one follows") { await source.resolutions.count == 2 }
        }
    }
}
