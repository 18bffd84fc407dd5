import Actors
import CLinux
import Glibc
import NIOPosix
import Pipeline
import Testing

/// The real clock, and the loop that all transfers of the tests share.
enum DeliveryEdge {
    static let clock = MainLoop(MultiThreadedEventLoopGroup.singleton.any())
    static let loop = WorkLoop(name: "test-io")
    /// One for each transport under test: a port may be given out again, and a cached connection would still lead to
    /// the server that had it before.
    static var client: CurlMulti { CurlMulti(loop: loop) }
    static let disk = WorkLoop(name: "test-disk")
}

func lines(_ count: Int, bad: Set<Int> = []) -> Batch {
    let text = (0..<count).map { "m,host=a v=\(bad.contains($0) ? "bad" : "1") \(1_700_000_000 + $0)\n" }.joined()
    return Batch(pointCount: count, newest: .zero, codec: .identity, payload: Array(text.utf8))
}

func error(_ text: String) -> String { JSONValue.object([JSONMember("error", .string(text))]).description }

@Suite struct InfluxDBTransportTests {
    private func transport(
        _ server: ScriptedServer, _ change: (inout InfluxDBSettings) -> Void = { _ in }
    ) -> InfluxDBTransport {
        var settings = InfluxDBSettings(urls: [server.url], database: "db")
        settings.skipDatabaseCreation = true
        change(&settings)
        return InfluxDBTransport(settings: settings, client: DeliveryEdge.client, clock: DeliveryEdge.clock)
    }

    private func send(_ transport: InfluxDBTransport, _ batch: Batch = lines(2)) async -> DeliveryOutcome {
        await transport.send(
            batch, id: BatchID(instance: "test", sequence: 5), deadline: DeliveryEdge.clock.now + .seconds(60))
    }

    @Test("a write carries path, parameters, headers and the very bytes of the batch")
    func writeRequest() async throws {
        let server = ScriptedServer { _, _ in .reply(204) }
        defer { server.stop() }
        let batch = Batch(pointCount: 1, newest: .zero, codec: .gzip, payload: [0x1F, 0x8B, 0, 255, 10])
        let transport = transport(server) {
            $0.server.urls = ["\(server.url)/base/?x=1"]
            $0.database = "my db"
            $0.retentionPolicy = "rp&"
            $0.writeConsistency = "any"
            $0.server.headers = ["X-Extra": "e"]
            $0.server.username = "user"
            $0.server.password = .literal(Secret("p:w"))
            $0.server.connection.userAgent = "Agent/1"
        }
        #expect(await send(transport, batch) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.method == "POST")
        #expect(request.target == "/base/write?x=1&db=my%20db&rp=rp%26&consistency=any")
        #expect(request.body == batch.payload)
        #expect(request.headers["content-encoding"] == "gzip")
        #expect(request.headers["content-type"] == "text/plain; charset=utf-8")
        #expect(request.headers["x-godwit-batch"] == "test-5")
        #expect(request.headers["x-extra"] == "e")
        #expect(request.headers["user-agent"] == "Agent/1")
        #expect(request.headers["authorization"] == "Basic dXNlcjpwOnc=")
        #expect(request.headers["expect"] == nil)
        #expect(request.headers["accept-encoding"] == nil)
    }

    @Test("a bucket is written through the second API, and never created")
    func bucket() async throws {
        let server = ScriptedServer { number, _ in
            number == 0 ? .reply(204) : .reply(404, body: "{\"code\":\"not found\",\"message\":\"bucket not found\"}")
        }
        defer { server.stop() }
        let transport = transport(server) {
            $0.server.urls = ["\(server.url)/base/?x=1"]
            $0.skipDatabaseCreation = false
            $0.bucket = .init(organization: "my org", name: "b/1")
            $0.server.token = .literal(Secret("t0k"))
        }
        #expect(await send(transport) == .delivered)
        let lost = await send(transport)
        #expect(lost == .configuration(reason: "status 404: bucket not found"))
        #expect(server.requests.count == 2)
        let request = try #require(server.requests.first)
        #expect(request.target == "/base/api/v2/write?x=1&org=my%20org&bucket=b%2F1&precision=ns")
        #expect(request.headers["authorization"] == "Token t0k")
        #expect(request.headers["x-godwit-batch"] == "test-5")
    }

    @Test("a token goes before basic authentication, user information in a URL never leaves in the URL")
    func credentials() async {
        let server = ScriptedServer { _, _ in .reply(204) }
        defer { server.stop() }
        _ = await send(
            transport(server) {
                $0.server.token = .literal(Secret("t0k"))
                $0.server.username = "u"
            })
        _ = await send(transport(server) { $0.server.urls = ["http://us%40er:pa%3Ass@127.0.0.1:\(server.port)"] })
        #expect(server.requests.first?.headers["authorization"] == "Token t0k")
        #expect(server.requests.last?.headers["authorization"] == "Basic dXNAZXI6cGE6c3M=")
        #expect(server.requests.last?.target == "/write?db=db")
    }

    @Test(
        "answers become outcomes",
        arguments: [
            (ScriptedReply.reply(204), DeliveryOutcome.Class.delivered),
            (.reply(200, headers: ["Content-Encoding: gzip"], body: "\u{1F}bomb, never decoded"), .delivered),
            (.reply(400, body: error("partial write: x dropped=1")), .partial),
            (.reply(400, body: error("unable to parse 'x'")), .data),
            (.reply(413, body: "<html>"), .tooBig), (.reply(429), .throttled), (.reply(503), .throttled),
            (.reply(500), .server), (.reply(401), .configuration),
            (.reply(404, body: error("database not found: \"db\"")), .configuration),
            (.endlessBody, .delivered), (.endlessHeaders, .ambiguous), (.resetInBody, .ambiguous),
            (.raw("SSH-2.0-OpenSSH_9.2\r\n"), .ambiguous), (.raw("HTTP/1.1 204 No"), .ambiguous),
            (.raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), .ambiguous), (.raw(""), .ambiguous),
        ])
    func outcomes(reply: ScriptedReply, expected: DeliveryOutcome.Class) async {
        let server = ScriptedServer { _, _ in reply }
        defer { server.stop() }
        let outcome = await send(transport(server))
        #expect(outcome.outcomeClass == expected, "\(outcome)")
    }

    @Test("a server that repeats the secrets it was sent does not get them into the reason")
    func echo() async {
        let server = ScriptedServer { _, _ in .reply(401, body: error("denied: Token kanarie-1 for kanarie-2")) }
        defer { server.stop() }
        let outcome = await send(
            transport(server) {
                $0.server.token = .literal(Secret("kanarie-1"))
                $0.server.headers = ["X-Key": "Bearer kanarie-2"]
            })
        #expect(outcome.outcomeClass == .configuration)
        #expect(outcome.reason.contains("denied: Token *** for ***"), "\(outcome)")
    }

    @Test("a header that is repeated whole gives no password away, encoded or not")
    func echoOfBasic() async {
        let server = ScriptedServer { _, _ in
            .reply(401, body: error("got Basic dXNlcjprYW5hcmll, dXNlcjprYW5hcmll== and kanarie"))
        }
        defer { server.stop() }
        let outcome = await send(
            transport(server) {
                $0.server.username = "user"
                $0.server.password = .literal(Secret("kanarie"))
            })
        #expect(outcome.reason.contains("got Basic ***"), "\(outcome)")
        #expect(!outcome.reason.contains("kanarie") && !outcome.reason.contains("dXNlcjpr"), "\(outcome)")
    }

    @Test("a redirect is not followed, so no token goes elsewhere")
    func redirect() async {
        let other = ScriptedServer { _, _ in .reply(204) }
        let server = ScriptedServer { _, _ in .reply(307, headers: ["Location: \(other.url)/write"]) }
        defer {
            server.stop()
            other.stop()
        }
        #expect(await send(transport(server)).outcomeClass == .configuration)
        #expect(other.requests.isEmpty)
    }

    @Test("Retry-After reaches the outcome")
    func retryAfter() async {
        let server = ScriptedServer { _, _ in .reply(429, headers: ["Retry-After: 86400"]) }
        defer { server.stop() }
        #expect(await send(transport(server)) == .throttled(retryAfter: .seconds(600), reason: "status 429"))
    }

    @Test("a silent server ends in a time-out, a closed port at once")
    func silenceAndRefusal() async {
        let server = ScriptedServer { _, _ in .hang }
        let silent = await send(transport(server) { $0.server.timeout = .milliseconds(200) })
        #expect(silent.outcomeClass == .ambiguous)
        #expect(silent.reason.hasPrefix("timeout"))
        let closed = transport(server)
        server.stop()
        let refused = await send(closed)
        #expect(refused.outcomeClass == .unavailable, "\(refused)")
        let unknown = transport(server) { $0.server.urls = ["http://no-such-name.invalid:8086"] }
        #expect(await send(unknown).outcomeClass == .unavailable)
    }

    @Test("a request that is cut in its body is ambiguous")
    func resetInBody() async {
        let server = ScriptedServer { _, _ in .reply(204) }
        defer { server.stop() }
        let large = Batch(
            pointCount: 1, newest: .zero, codec: .identity, payload: [UInt8](repeating: 65, count: 8 << 20))
        let outcome = await send(transport(server) { $0.server.headers = ["X-Reset": "1"] }, large)
        #expect(outcome.outcomeClass == .ambiguous, "\(outcome)")
    }

    @Test("the database is created first, and again when it is gone; then the same bytes go out")
    func createsDatabase() async {
        let server = ScriptedServer { number, request in
            if request.target == "/query" { return .reply(200, body: "{\"results\":[{\"statement_id\":0}]}") }
            return number == 1 ? .reply(404, body: error("database not found: \"db\"")) : .reply(204)
        }
        defer { server.stop() }
        let transport = transport(server) {
            $0.skipDatabaseCreation = false
            $0.database = "d\"b\\"
        }
        #expect(await send(transport) == .delivered)
        #expect(server.requests.map(\.target).map { $0.prefix(6) } == ["/query", "/write", "/query", "/write"])
        #expect(server.requests[0].body == Array("q=CREATE%20DATABASE%20%22d%5C%22b%5C%5C%22".utf8))
        #expect(server.writes[0].body == server.writes[1].body)
    }

    @Test("a creation that is forbidden is asked once, the write decides")
    func creationForbidden() async {
        let server = ScriptedServer { _, request in .reply(request.target == "/query" ? 403 : 204) }
        defer { server.stop() }
        let transport = transport(server) { $0.skipDatabaseCreation = false }
        #expect(await send(transport) == .delivered)
        #expect(await send(transport) == .delivered)
        #expect(server.requests.map(\.target).filter { $0 == "/query" }.count == 1)
    }

    @Test("the next server is tried when one is down, and remembered")
    func severalServers() async {
        let dead = ScriptedServer { _, _ in .reply(204) }
        dead.stop()
        let server = ScriptedServer { _, _ in .reply(204) }
        defer { server.stop() }
        for _ in 0..<4 {
            #expect(await send(transport(server) { $0.server.urls = [dead.url, server.url] }) == .delivered)
        }
    }

    @Test("a unix socket is used where the URL names one")
    func unixSocket() async {
        let path = "/tmp/godwit-delivery-\(getpid()).sock"
        unlink(path)
        let server = ScriptedServer(unixPath: path) { _, _ in .reply(204) }
        defer {
            server.stop()
            unlink(path)
        }
        #expect(await send(transport(server) { $0.server.urls = ["unix://\(path)"] }) == .delivered)
        #expect(server.requests.first?.target == "/write?db=db")
    }

    @Test("a rotated token file is used without a restart, an open one is refused")
    func tokenFile() async {
        let server = ScriptedServer { _, _ in .reply(204) }
        defer { server.stop() }
        let path = "/tmp/godwit-token-\(getpid())"
        defer { unlink(path) }
        func write(_ text: String, mode: UInt32) {
            unlink(path)
            let file = godwit_open(path, O_WRONLY | O_CREAT, mode)
            _ = Array(text.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            close(file)
        }
        let transport = transport(server) { $0.server.token = .file(path: path) }
        write("first\n", mode: 0o600)
        _ = await send(transport)
        write("second", mode: 0o600)
        _ = await send(transport)
        #expect(server.requests.map { $0.headers["authorization"] } == ["Token first", "Token second"])
        #expect(await transport.secretState() == .used)
        write("third", mode: 0o644)
        #expect(await transport.secretState() == .new)
        let refused = await send(transport)
        #expect(refused.outcomeClass == .configuration)
        #expect(!refused.reason.contains("third"))
        unlink(path)
        #expect(await send(transport).outcomeClass == .configuration)
    }

    @Test("a cancelled transfer ends at once, and within its grace when it has one")
    func cancel() async {
        let server = ScriptedServer { _, _ in .hang }
        defer { server.stop() }
        for grace in [Duration.zero, .milliseconds(100)] {
            let transport = transport(server) { $0.server.cancelGrace = grace }
            let seen = server.requests.count
            let task = Task { await send(transport) }
            await eventually("the request arrives") { server.requests.count > seen }
            let start = ContinuousClock.now
            task.cancel()
            #expect(await task.value.outcomeClass == .ambiguous)
            #expect(ContinuousClock.now - start < .seconds(10))
        }
    }

    @Test("a probe is good for 204, and strictly for nothing else")
    func probes() async {
        let good = ScriptedServer { _, request in .reply(request.target == "/ping" ? 204 : 500) }
        let proxy = ScriptedServer { _, _ in .reply(404) }
        let broken = ScriptedServer { _, _ in .reply(502) }
        defer {
            good.stop()
            proxy.stop()
            broken.stop()
        }
        let deadline = DeliveryEdge.clock.now + .seconds(120)
        #expect(await transport(good).probe(deadline: deadline) == .good)
        #expect(await transport(proxy).probe(deadline: deadline) == .good)
        #expect(await transport(proxy) { $0.server.probesStrictly = true }.probe(deadline: deadline).isGood == false)
        let refused = await transport(broken).probe(deadline: deadline)
        #expect(refused == .bad(reason: "/ping answered 502"), "\(refused)")
    }
}
