import CLinux
import Glibc
import Logging
import NIOCore
import NIOPosix
import Pipeline
import Synchronization
import Testing

@testable import Actors

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

/// A status server on a socket of its own.
private final class Rig: Sendable {
    let directory = TemporaryDirectory()
    let path: String
    let clock = ManualClock()
    let report = Mutex(StatusReport())
    let credentials = Mutex(PeerCredentials(pid: 1, uid: geteuid(), gid: 0))
    let verdict = Mutex(ReloadVerdict(time: .zero, isAccepted: true))
    let isHanging = Mutex(false)
    let taps = Mutex<[AsyncStream<Taps.Line>.Continuation]>([])

    init() { path = directory.path + "/run/godwit.sock" }

    func server(_ limits: ServerLimits = StatusServer.limits) -> StatusServer {
        let sources = StatusServer.Sources(
            report: { [self] in
                while isHanging.withLock({ $0 }) { await Task.yield() }
                return report.withLock { $0 }
            },
            reload: { [self] in verdict.withLock { $0 } },
            taps: { [self] _ in
                let (stream, continuation) = AsyncStream<Taps.Line>.makeStream(bufferingPolicy: .bufferingNewest(16))
                taps.withLock { $0.append(continuation) }
                return stream
            })
        return StatusServer(
            socketPath: path, group: "", limits: limits, sources: sources, clock: clock, eventLoop: group.next(),
            credentials: { [self] _ in credentials.withLock { $0 } }, log: quiet)
    }

    /// Runs `body` beside a server.
    func serving(_ limits: ServerLimits = StatusServer.limits, _ body: (Rig) async throws -> Void) async throws {
        let isReady = Counter()
        let server = server(limits)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask(executorPreference: TestLoop.shared) {
                try await server.run(ChildContext(path: "status") { isReady.increment() })
            }
            await eventually("the server is ready") { isReady.value > 0 }
            try await body(self)
            tasks.cancelAll()
        }
    }
}

@Suite("StatusServer", .timeLimit(.minutes(1)))
struct StatusServerTests {
    @Test("a server that could not start serves when it is started again")
    func startsAgain() async throws {
        let rig = Rig()
        mkdir(rig.directory.path + "/run", 0o700)
        close(open(rig.path, O_CREAT | O_WRONLY, 0o600))
        let server = rig.server()
        await #expect(throws: SocketError.self) { try await server.run(ChildContext(path: "status") {}) }
        unlink(rig.path)
        let isReady = Counter()
        let hasEnded = Counter()
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask(executorPreference: TestLoop.shared) {
                try? await server.run(ChildContext(path: "status") { isReady.increment() })
                hasEnded.increment()
            }
            await eventually("the server is ready") { isReady.value > 0 }
            usleep(50_000)
            #expect(hasEnded.value == 0)
            tasks.cancelAll()
        }
    }

    private let rig = Rig()

    private func status(_ reply: String) -> String {
        String(reply.split(separator: "\r\n").first?.split(separator: " ").dropFirst().first ?? "none")
    }

    @Test("every page answers")
    func pages() async throws {
        rig.report.withLock { $0.version = "1.2.3" }
        try await rig.serving { rig in
            let json = RawClient.get(rig.path, "/status")
            #expect(status(json) == "200" && json.contains("\"version\": \"1.2.3\""))
            #expect(RawClient.get(rig.path, "/status?format=text").contains("godwit 1.2.3"))
            #expect(status(RawClient.get(rig.path, "/status?format=xml")) == "400")
            #expect(RawClient.get(rig.path, "/top?width=30&height=5").contains("godwit 1.2.3"))
            #expect(RawClient.get(rig.path, "/metrics").contains("godwit_build_info{version=\"1.2.3\"} 1\n"))
            #expect(RawClient.get(rig.path, "/healthz").hasSuffix("ok\n"))
            #expect(RawClient.get(rig.path, "/readyz").hasSuffix("ready\n"))
            #expect(status(RawClient.get(rig.path, "/nothing")) == "404")
            #expect(status(RawClient.get(rig.path, "/status", method: "DELETE")) == "405")
            let head = RawClient.get(rig.path, "/status", method: "HEAD")
            #expect(status(head) == "200" && head.hasSuffix("\r\n\r\n"))
        }
    }

    @Test("health and readiness show in the status code")
    func health() async throws {
        rig.report.withLock {
            $0.assessHealth(notes: [Health.Reason(.failing, "the sky falls")])
            $0.notReady = "spill opens"
        }
        try await rig.serving { rig in
            let health = RawClient.get(rig.path, "/healthz")
            #expect(status(health) == "503" && health.contains("failing: the sky falls"))
            #expect(status(RawClient.get(rig.path, "/readyz")) == "503")
        }
    }

    @Test("a reload shows its verdict, a refused one with 409")
    func reload() async throws {
        try await rig.serving { rig in
            #expect(status(RawClient.get(rig.path, "/reload", method: "POST")) == "200")
            rig.verdict.withLock { $0 = ReloadVerdict(time: .zero, isAccepted: false, errors: ["c.toml:3: no"]) }
            let refused = RawClient.get(rig.path, "/reload?format=text", method: "POST")
            #expect(status(refused) == "409" && refused.contains("  c.toml:3: no\n"))
            #expect(status(RawClient.get(rig.path, "/reload")) == "405")
        }
    }

    @Test("strangers are turned away, the group may look and not touch")
    func credentials() async throws {
        let nobody = PeerCredentials(pid: 1, uid: 65_534, gid: 65_534)
        rig.credentials.withLock { $0 = nobody }
        try await rig.serving { rig in
            #expect(status(RawClient.get(rig.path, "/status")) == "403")
            #expect(status(RawClient.get(rig.path, "/reload", method: "POST")) == "403")
        }
        let access = PeerAccess(ownUID: 5, readGroup: 7)
        #expect(access.right(of: nil) == .nothing)
        #expect(access.right(of: nobody) == .nothing)
        #expect(access.right(of: PeerCredentials(pid: 1, uid: 0, gid: 9)) == .control)
        #expect(access.right(of: PeerCredentials(pid: 1, uid: 5, gid: 9)) == .control)
        #expect(access.right(of: PeerCredentials(pid: 1, uid: 6, gid: 7)) == .read)
        #expect(access.right(of: PeerCredentials(pid: 1, uid: 6, gid: 9, groups: [1, 7])) == .read)
    }

    @Test("a route above the peer's right answers 403")
    func rights() async {
        var router = HTTPRouter()
        router.on("POST", "/reload", for: .control) { _ in .text("done") }
        let request = ServedRequest(method: "POST", target: "/reload", peer: .read)
        #expect(await router.reply(to: request).status == 403)
    }

    @Test("the kernel's credentials are read")
    func kernelCredentials() throws {
        var pair: [Int32] = [0, 0]
        #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        defer { for descriptor in pair { close(descriptor) } }
        let peer = try #require(PeerCredentials.read(pair[0]))
        #expect(peer.uid == geteuid() && peer.pid == getpid())
    }

    @Test("the socket is 0660 in a directory of 0750, and gone after the stop")
    func modes() async throws {
        try await rig.serving { rig in
            var file = stat()
            #expect(lstat(rig.path, &file) == 0 && file.st_mode & 0o777 == 0o660)
            #expect(stat(rig.directory.path + "/run", &file) == 0 && file.st_mode & 0o777 == 0o750)
        }
        #expect(access(rig.path, F_OK) != 0)
    }

    @Test("a second instance is refused, a stale socket is replaced, another file is left alone")
    func claims() async throws {
        try await rig.serving { rig in
            await #expect(throws: SocketError.self) {
                try await rig.server().run(ChildContext(path: "second") {})
            }
            #expect(status(RawClient.get(rig.path, "/readyz")) == "200")
        }
        let stale = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: rig.path.utf8) }
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                #expect(bind(stale, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0)
            }
        }
        close(stale)
        try await rig.serving { rig in #expect(status(RawClient.get(rig.path, "/readyz")) == "200") }
        close(creat(rig.path, 0o600))
        await #expect(throws: SocketError.self) { try await rig.server().run(ChildContext(path: "file") {}) }
        #expect(access(rig.path, F_OK) == 0)
    }

    @Test("of a hundred clients eight are served, the others get 503, and afterwards all is well")
    func crowd() async throws {
        var limits = StatusServer.limits
        limits.requestTime = .seconds(30)
        try await rig.serving(limits) { rig in
            var clients = (0..<100).compactMap { _ in RawClient(rig.path) }
            #expect(clients.count == 100)
            // Those beyond the limit are answered unasked.
            let refused = clients.dropFirst(8).filter { status($0.receive()) == "503" }
            #expect(refused.count == 92)
            for client in clients.prefix(8) {
                client.send("GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n")
                #expect(status(client.receive()) == "200")
            }
            clients.removeAll()
            await eventually("there is room again") { status(RawClient.get(rig.path, "/readyz")) == "200" }
        }
    }

    @Test("a slow or silent client is cut off and holds nobody up")
    func slowRequest() async throws {
        var limits = StatusServer.limits
        limits.requestTime = .milliseconds(200)
        try await rig.serving(limits) { rig in
            let silent = try #require(RawClient(rig.path))
            let slow = try #require(RawClient(rig.path))
            slow.send("GET /sta")
            #expect(status(RawClient.get(rig.path, "/readyz")) == "200")
            #expect(status(slow.receive()) == "408")
            #expect(silent.receive() == "")
        }
    }

    @Test("a client that does not read its reply is cut off")
    func slowReply() async throws {
        var limits = StatusServer.limits
        limits.stallTime = .milliseconds(200)
        rig.report.withLock { $0.version = String(repeating: "v", count: 4 << 20) }
        try await rig.serving(limits) { rig in
            let lazy = try #require(RawClient(rig.path))
            lazy.send("GET /status HTTP/1.1\r\n\r\n")
            await eventually("the server hangs up") {
                var waiting = pollfd(fd: lazy.descriptor, events: 0, revents: 0)
                return poll(&waiting, 1, 0) > 0 && Int32(waiting.revents) & POLLHUP != 0
            }
            let whole = RawClient.get(rig.path, "/status")
            #expect(whole.utf8.count > 4 << 20)
        }
    }

    @Test(
        "what is too large is refused with its status",
        arguments: [
            ("GET /" + String(repeating: "a", count: 2_000), "414"),
            ("GET / HTTP/1.1\r\nX: " + String(repeating: "a", count: 2_000), "431"),
            ("POST /reload HTTP/1.1\r\nContent-Length: 5000\r\n\r\n" + String(repeating: "a", count: 2_000), "413"),
            ("\u{16}\u{3}\u{1}garbage\u{0}\u{0}\r\n\r\n", "400"),
            ("GET / HTTP/9.9\r\n\r\n", "400"),
        ])
    func hostile(request: String, expected: String) async throws {
        try await rig.serving { rig in
            let client = try #require(RawClient(rig.path))
            client.send(request)
            #expect(status(client.receive()) == expected)
            #expect(status(RawClient.get(rig.path, "/readyz")) == "200")
        }
    }

    @Test("random bytes never hurt the server")
    func garbage() async throws {
        var random = JitterSource(seed: 42)
        try await rig.serving { rig in
            for _ in 0..<100 {
                guard let client = RawClient(rig.path) else { continue }
                let count = Int.random(in: 1...600, using: &random)
                client.send((0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
            }
            await eventually("it answers") { status(RawClient.get(rig.path, "/readyz")) == "200" }
        }
    }

    @Test("a kept connection serves several requests")
    func keepAlive() async throws {
        try await rig.serving { rig in
            let client = try #require(RawClient(rig.path))
            for _ in 0..<3 {
                client.send("GET /readyz HTTP/1.1\r\nHost: godwit\r\n\r\n")
                #expect(status(client.receive(until: "ready\n")) == "200")
            }
        }
    }

    @Test("a source that hangs costs no answer: the last report comes, with its age")
    func hangingSource() async throws {
        rig.report.withLock { $0.version = "9.9" }
        try await rig.serving { rig in
            #expect(RawClient.get(rig.path, "/status?format=text").contains("godwit 9.9"))
            rig.isHanging.withLock { $0 = true }
            let client = try #require(RawClient(rig.path))
            client.send("GET /status?format=text HTTP/1.1\r\nConnection: close\r\n\r\n")
            await eventually("somebody waits for a report") { rig.clock.sleeperCount > 0 }
            rig.clock.advance(by: .seconds(3))
            let reply = client.receive()
            #expect(status(reply) == "200" && reply.contains("no new report in time") && reply.contains("Age: 3"))
            rig.isHanging.withLock { $0 = false }
        }
    }

    @Test("a tap streams lines and tells of lost ones")
    func tap() async throws {
        try await rig.serving { rig in
            let client = try #require(RawClient(rig.path))
            client.send("GET /tap?name=cpu* HTTP/1.1\r\n\r\n")
            await eventually("the tap is open") { rig.taps.withLock { $0.count } == 1 }
            let tap = try #require(rig.taps.withLock { $0.first })
            tap.yield(Taps.Line(bytes: Array("cpu a=1\n".utf8), lostBefore: 0))
            tap.yield(Taps.Line(bytes: Array("cpu a=2\n".utf8), lostBefore: 3))
            let text = client.receive(until: "a=2")
            #expect(text.contains("cpu a=1\n") && text.contains("# 3 lines dropped\n"))
            #expect(status(RawClient.get(rig.path, "/tap?name=%5B")) == "400")
        }
    }

    @Test("a tap whose reader stalls is cut off, one whose reader leaves is ended")
    func tapLeaves() async throws {
        var limits = StatusServer.limits
        limits.streamStallTime = .milliseconds(300)
        try await rig.serving(limits) { rig in
            let ended = Counter()
            let lazy = try #require(RawClient(rig.path))
            lazy.send("GET /tap HTTP/1.1\r\n\r\n")
            var leaver = RawClient(rig.path)
            leaver?.send("GET /tap HTTP/1.1\r\n\r\n")
            await eventually("both taps are open") { rig.taps.withLock { $0.count } == 2 }
            for tap in rig.taps.withLock({ $0 }) { tap.onTermination = { _ in ended.increment() } }
            leaver = nil
            await eventually("the leaver's tap ends without a line") { ended.value == 1 }
            let line = Taps.Line(bytes: [UInt8](repeating: 0x61, count: 60_000) + [0x0A], lostBefore: 0)
            await eventually("the lazy one's tap ends") {
                for tap in rig.taps.withLock({ $0 }) { tap.yield(line) }
                return ended.value == 2
            }
            #expect(status(RawClient.get(rig.path, "/readyz")) == "200")
        }
    }
}
