import CLinux
import Glibc
import Pipeline
import Synchronization
import Testing

@testable import Actors

/// A database that answers as it is told, and keeps what it got.
private final class Database: HTTPClient {
    let status = Mutex(204)
    let body = Mutex("")
    let holdsPings = Mutex(false)
    private let seen = Mutex<[HTTPRequest]>([])
    private let held = Mutex<CheckedContinuation<Void, Never>?>(nil)

    var requests: [HTTPRequest] { seen.withLock { $0 } }
    var pings: Int { requests.count { $0.url.hasSuffix("/ping") } }
    var writes: [HTTPRequest] { requests.filter { $0.url.contains("/write") } }
    var isHolding: Bool { held.withLock { $0 != nil } }

    func perform(_ request: HTTPRequest) async -> Result<HTTPReply, TransferFailure> {
        seen.withLock { $0.append(request) }
        if request.url.hasSuffix("/ping"), holdsPings.withLock({ $0 }) {
            await withCheckedContinuation { continuation in held.withLock { $0 = continuation } }
        }
        let status = status.withLock { $0 }
        if status == 0 { return .failure(TransferFailure(.hardDown, "refused")) }
        if request.url.hasSuffix("/query") { return .success(HTTPReply(status: 200)) }
        return .success(HTTPReply(status: status, body: body.withLock { Array($0.utf8) }))
    }

    func letGo() {
        held.withLock { held in
            held?.resume()
            held = nil
        }
    }
}

/// A relay without a socket: requests are handed to its router.
private final class Rig: Sendable {
    let directory = TemporaryDirectory()
    let clock = ManualClock()
    let database = Database()
    let relay: MetadataRelay
    let file: String
    private static let worker = WorkLoop(name: "test-relay")

    static let table = """
        [[guests]]
        addresses = ["192.0.2.1"]
        labels = { vm_id = "id-a" }
        [[guests]]
        addresses = ["192.0.2.1"]
        namespace = "n"
        labels = { vm_id = "id-n" }
        """

    init(_ change: [String: OptionValue] = [:]) {
        file = directory.path + "/guests.toml"
        relay = MetadataRelay(
            config: Rig.config(file, change), client: database, worker: Rig.worker, clock: clock, version: "1")
        write(Rig.table)
    }

    static func config(_ file: String, _ change: [String: OptionValue]) -> RelayConfig {
        var set = change
        set["guests_file"] = .string(file)
        set["content_encoding"] = .string("identity")
        return RelayConfig(OptionValues(RelaySpecs.section, set: set), listeners: [])
    }

    func write(_ text: String, mode: mode_t = 0o600) {
        unlink(file)
        let descriptor = godwit_open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        _ = Array(text.utf8).withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        fchmod(descriptor, mode)
        close(descriptor)
    }

    func ask(
        _ method: String, _ target: String, _ body: String = "", from source: String? = "192.0.2.1",
        namespace: String = "", headers: [(name: String, value: String)] = []
    ) async -> ServedReply {
        let router = relay.router(namespace: namespace, bodyLimit: 1_000, budget: BodyBudget(bytes: 10_000))
        let request = ServedRequest(
            method: method, target: target, headers: headers, body: Array(body.utf8), peer: .read,
            address: source.flatMap { IPAddress($0) })
        switch router.admission?(request) {
        case .refused(let reply): return reply
        case .admitted(let release):
            let reply = await router.reply(to: request)
            release()
            return reply
        case nil: return .text("", status: 0)
        }
    }

    func write(lines: String) async -> Int { await ask("POST", "/monitor/write", lines).status }

    var sent: String {
        guard let last = database.writes.last, case .post(let body) = last.method else { return "" }
        return String(decoding: body, as: UTF8.self)
    }
}

@Suite("MetadataRelay", .timeLimit(.minutes(2)))
struct MetadataRelayTests {
    @Test("a guest is the one at the address in the namespace that was asked, and nobody else")
    func identity() async {
        let rig = Rig()
        await rig.relay.look()
        #expect(await rig.write(lines: "m,vm_id=x f=1 1\n") == 204)
        #expect(rig.sent == "m,vm_id=id-a f=1 1\n")
        #expect(await rig.ask("POST", "/monitor/write", "m f=1", namespace: "n").status == 204)
        #expect(rig.sent == "m,vm_id=id-n f=1\n")
        for (source, namespace) in [("192.0.2.2", ""), ("192.0.2.1", "o"), (nil, ""), ("::1", "")] {
            let reply = await rig.ask("POST", "/monitor/write", "m f=1", from: source, namespace: namespace)
            #expect(reply.status == 503 && reply.headers.contains { $0.name == "Retry-After" })
        }
        #expect(rig.database.writes.count == 2)
        let status = await rig.relay.status()
        #expect(status.strangers == ["192.0.2.2", "192.0.2.1 in o", "::1"])
        #expect(status.refusals["unknown_guest"] == 4)
    }

    @Test("the database's words become the guest's, none of them a reason to throw data away without cause")
    func replies() async {
        let cases: [(Int, String, Int)] = [
            (204, "", 204), (400, #"{"error":"partial write: field type conflict dropped=1"}"#, 400),
            (400, #"{"error":"unable to parse 'x'"}"#, 400), (400, "<html>", 502), (401, "", 502), (403, "", 502),
            (404, "", 502), (302, "", 502), (413, "", 413), (429, "", 503), (503, "", 503), (500, "", 502),
        ]
        for (status, body, expected) in cases {
            let rig = Rig()
            await rig.relay.look()
            rig.database.status.withLock { $0 = status }
            rig.database.body.withLock { $0 = body }
            #expect(await rig.write(lines: "m f=1 1") == expected, "\(status) \(body)")
        }
        let rig = Rig()
        await rig.relay.look()
        rig.database.status.withLock { $0 = 0 }
        #expect(await rig.write(lines: "m f=1 1") == 502)
        #expect(await rig.write(lines: "m f=1 1") == 503, "the breaker is open")
        #expect(rig.database.requests.count == 1)
        rig.database.status.withLock { $0 = 204 }
        rig.clock.advance(by: .seconds(11))
        #expect(await rig.write(lines: "m f=1 1") == 204, "a ping was good")
        #expect(await rig.relay.status().upstream.state == .closed)
    }

    @Test("a guest's own parameters cannot close the database to others")
    func parameters() async {
        let rig = Rig(["skip_database_creation": .bool(true)])
        await rig.relay.look()
        rig.database.status.withLock { $0 = 500 }
        for _ in 0..<6 {
            #expect(await rig.ask("POST", "/monitor/write?rp=none", "m f=1").status == 502)
            rig.clock.advance(by: .seconds(1))
        }
        rig.database.status.withLock { $0 = 204 }
        #expect(await rig.write(lines: "m f=1 1") == 204)
    }

    @Test("one ping serves all who ask, for two seconds")
    func pings() async {
        let rig = Rig(["max_requests_per_guest": .integer(100)])
        await rig.relay.look()
        rig.database.holdsPings.withLock { $0 = true }
        await withTaskGroup(of: Int.self) { group in
            for _ in 0..<10 { group.addTask { await rig.ask("GET", "/monitor/ping").status } }
            await eventually("the ping is under way") { rig.database.isHolding }
            await eventually("all ask") { await rig.relay.status().total.requests == 10 }
            rig.database.letGo()
            for await status in group { #expect(status == 204) }
        }
        rig.database.holdsPings.withLock { $0 = false }
        #expect(rig.database.pings == 1)
        rig.clock.advance(by: .seconds(3))
        rig.database.status.withLock { $0 = 200 }
        #expect(await rig.ask("GET", "/monitor/ping").status == 503, "only 204 is a database")
        #expect(rig.database.pings == 2)
    }

    @Test("a bomb is stopped while it is inflated, and by the memory that all share")
    func bombs() async throws {
        let rig = Rig()
        await rig.relay.look()
        let bomb = try #require(GzipCompressor().compress([UInt8](repeating: 10, count: 100_000)))
        func send(limit: Int, budget: Int) async -> Int {
            let router = rig.relay.router(namespace: "", bodyLimit: limit, budget: BodyBudget(bytes: budget))
            let request = ServedRequest(
                method: "POST", target: "/monitor/write", headers: [("Content-Encoding", "gzip")], body: bomb,
                peer: .read, address: IPAddress("192.0.2.1"))
            return await router.reply(to: request).status
        }
        #expect(await send(limit: 99_999, budget: 1_000_000) == 413)
        #expect(await send(limit: 100_000, budget: 50_000) == 503)
        #expect(await send(limit: 100_000, budget: 100_000) == 204)
        for (encoding, expected) in [("gzip", 400), ("br", 415), ("gzip, gzip", 415), ("identity", 204)] {
            let reply = await rig.ask(
                "POST", "/monitor/write", "m f=1", headers: [("content-encoding", encoding)])
            #expect(reply.status == expected, "\(encoding)")
        }
        let length = await rig.ask("POST", "/monitor/write", headers: [("Content-Length", "1001")])
        #expect(length.status == 413)
    }

    @Test("places at the database are counted, and come back whatever happens")
    func places() async {
        let rig = Rig(["max_requests": .integer(1), "max_requests_per_guest": .integer(2)])
        await rig.relay.look()
        rig.database.holdsPings.withLock { $0 = true }
        async let first = rig.ask("GET", "/monitor/ping").status
        await eventually("the first is at the database") { rig.database.isHolding }
        #expect(await rig.ask("POST", "/monitor/write", "m f=1").status == 503)
        rig.database.letGo()
        #expect(await first == 204)
        #expect(await rig.ask("POST", "/monitor/write", "m f=1").status == 204)
        #expect(await rig.relay.status().refusals["overload"] == 1)
    }

    @Test("the table before stays in force until a whole one that nobody else can write is there")
    func table() async {
        let rig = Rig()
        #expect(await rig.write(lines: "m f=1") == 503)
        await rig.relay.look()
        #expect(await rig.write(lines: "m f=1") == 204)
        for (text, mode, complaint) in [
            ("[[guests]]\n", mode_t(0o600), ":1: guests"), ("", 0o622, "can be written by group or others"),
        ] {
            rig.write(text, mode: mode)
            let status = await rig.relay.status()
            #expect(status.guests.trouble?.contains(complaint) == true, "\(status.guests)")
            #expect(status.guests.known == 2)
            #expect(await rig.write(lines: "m f=1") == 204)
        }
        unlink(rig.file)
        mkfifo(rig.file, 0o600)
        #expect(await rig.relay.status().guests.trouble?.contains("no regular file") == true)
        unlink(rig.file)
        #expect(await rig.relay.status().guests.trouble?.contains("cannot open") == true)
        rig.write("")
        #expect(await rig.relay.status().guests.trouble == nil)
        #expect(await rig.write(lines: "m f=1") == 503)
    }

    @Test("another configuration counts from the next request on")
    func reload() async {
        let rig = Rig()
        await rig.relay.look()
        await rig.relay.configure(
            Rig.config(
                rig.file,
                [
                    "urls": .strings(["http://other:1"]), "database": .string("d"), "metadata": .bool(false),
                    "foreign_vm_id": .string("reject"),
                ]))
        #expect(await rig.write(lines: "m f=1") == 204)
        #expect(rig.database.writes.last?.url.hasPrefix("http://other:1/write?db=d") == true)
        #expect(await rig.write(lines: "m,vm_id=b f=1") == 400)
        #expect(await rig.ask("GET", "/latest/meta-data/instance-id").status == 404)
        #expect(await rig.ask("POST", "/monitor/query", "q=CREATE+DATABASE+d").status == 200)
        #expect(await rig.ask("POST", "/monitor/query", "q=CREATE+DATABASE+telegraf").status == 404)
    }

    @Test("connections are counted for all, for each address, and for strangers")
    func connections() throws {
        let known = try #require(IPAddress("192.0.2.1"))
        let stranger = try #require(IPAddress("192.0.2.2"))
        let count = ClientCount(
            limit: 4, perAddress: 2,
            acquaintance: ClientCount.Acquaintance(strangersLimit: 1) { $0 == known })
        let first = try #require(count.enter(known))
        #expect(count.enter(known) != nil && count.enter(known) == nil)
        let other = try #require(count.enter(stranger))
        #expect(count.enter(stranger) == nil && count.enter(nil) == nil)
        count.leave(first)
        count.leave(other)
        #expect(count.open == 1)
        #expect(count.enter(known) != nil && count.enter(stranger) != nil && count.open == 3)
    }
}
