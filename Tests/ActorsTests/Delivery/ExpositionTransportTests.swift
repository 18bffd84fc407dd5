import Actors
import CLinux
import Glibc
import Logging
import Pipeline
import Testing

@Suite struct ExpositionTransportTests {
    private static func transport(
        port: Int = 0, _ change: (inout ExpositionSettings) -> Void = { _ in }
    ) throws -> ExpositionTransport {
        var settings = ExpositionSettings(listen: try #require(ListenAddress("127.0.0.1:\(port)")))
        settings.showsProcess = false
        change(&settings)
        return ExpositionTransport(
            settings: settings, worker: DeliveryEdge.disk, loop: DeliveryEdge.clock,
            log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func send(_ transport: ExpositionTransport, _ text: String, age: Int = 0) async -> DeliveryOutcome {
        let time = DeliveryEdge.clock.wall + .seconds(-age)
        let batch = Batch(
            pointCount: text.split(separator: "\n").count, newest: time, codec: .identity, payload: Array(text.utf8))
        return await transport.send(
            batch, id: BatchID(instance: "t", sequence: 1), deadline: DeliveryEdge.clock.now + .seconds(10))
    }

    /// Runs `body` while the transport serves.
    private func serving(
        _ transport: ExpositionTransport, _ body: (UInt16) async throws -> Void
    ) async throws {
        let task = Task { try await transport.run() }
        await eventually("it listens") { await transport.port > 0 }
        try await body(UInt16(clamping: await transport.port))
        task.cancel()
        _ = await task.result
    }

    private func fetch(_ port: UInt16, _ path: String = "/metrics", headers: [String] = []) -> String {
        let head = (["GET \(path) HTTP/1.1", "Host: t", "Connection: close"] + headers).joined(separator: "\r\n")
        return ask(port, head + "\r\n\r\n")
    }

    @Test("what was delivered stands on the page, and only there")
    func page() async throws {
        let transport = try Self.transport()
        try await serving(transport) { port in
            #expect(await send(transport, "m,a=b v=1\nm,a=c v=2\n") == .delivered)
            let reply = fetch(port)
            #expect(reply.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(reply.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
            #expect(reply.contains("\nm_v{a=\"b\"} 1\nm_v{a=\"c\"} 2\n"))
            #expect(reply.contains("\ngodwit_exposition_series 2\n"))
            #expect(fetch(port, "/").contains("<a href=\"/metrics\">"))
            #expect(fetch(port, "/m").hasPrefix("HTTP/1.1 404 "))
        }
    }

    @Test("a backlog that nobody could see any more is acknowledged and not shown")
    func history() async throws {
        let transport = try Self.transport()
        try await serving(transport) { port in
            #expect(await send(transport, "m v=1\n", age: 3_600) == .delivered)
            #expect(!fetch(port).contains("m_v"))
        }
    }

    @Test("series beyond the limit and lines that are none are rejected by number")
    func refused() async throws {
        let transport = try Self.transport { $0.table.seriesLimit = 1 }
        let outcome = await send(transport, "m v=1\nm,a=1 v=1\nm,a=2 v=1\n")
        #expect(outcome == .partial(rejected: 2, reason: "the page holds max_series (1) series"))
        let damaged = await send(transport, "m v=1\nbad\n")
        #expect(damaged.outcomeClass == .partial)
    }

    @Test("user and password are asked for, and read again when the file changes")
    func password() async throws {
        let path = "/tmp/godwit-basic-\(getpid())"
        defer { unlink(path) }
        func write(_ text: String) {
            unlink(path)
            let file = godwit_open(path, O_WRONLY | O_CREAT, 0o600)
            _ = Array(text.utf8).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            close(file)
        }
        write("open sesame\n")
        let transport = try Self.transport {
            $0.username = "Aladdin"
            $0.password = .file(path: path)
        }
        try await serving(transport) { port in
            let right = "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
            let none = fetch(port)
            #expect(none.hasPrefix("HTTP/1.1 401 ") && none.contains("WWW-Authenticate: Basic"))
            #expect(fetch(port, headers: [right]).hasPrefix("HTTP/1.1 200 "))
            for wrong in [
                "Basic", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=", "Basic x", "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            ] {
                #expect(fetch(port, headers: ["Authorization: \(wrong)"]).hasPrefix("HTTP/1.1 401 "), "\(wrong)")
            }
            write("changed")
            #expect(fetch(port, headers: [right]).hasPrefix("HTTP/1.1 401 "))
            unlink(path)
            #expect(fetch(port, headers: [right]).hasPrefix("HTTP/1.1 503 "))
        }
    }

    @Test("only the networks that may ask get an answer")
    func networks() async throws {
        let other = try Self.transport { $0.allowed = [AddressRange("192.0.2.0/24")].compactMap(\.self) }
        try await serving(other) { port in #expect(fetch(port).hasPrefix("HTTP/1.1 403 ")) }
        let own = try Self.transport { $0.allowed = [AddressRange("127.0.0.0/8")].compactMap(\.self) }
        try await serving(own) { port in #expect(fetch(port).hasPrefix("HTTP/1.1 200 ")) }
    }

    @Test("while another one holds the port batches stay pending, afterwards they are taken")
    func portInUse() async throws {
        let first = try Self.transport()
        let task = Task { try await first.run() }
        await eventually("it listens") { await first.port > 0 }
        let second = try Self.transport(port: await first.port)
        let waiting = Task { try await second.run() }
        await eventually("the port is refused") {
            await !second.probe(deadline: DeliveryEdge.clock.now + .seconds(1)).isGood
        }
        let outcome = await send(second, "m v=1\n")
        #expect(outcome.outcomeClass == .unavailable)
        #expect(outcome.reason.contains("cannot listen on 127.0.0.1:"), "\(outcome)")
        task.cancel()
        _ = await task.result
        await eventually("the port is had") {
            await second.probe(deadline: DeliveryEdge.clock.now + .seconds(1)).isGood
        }
        #expect(await send(second, "m v=1\n") == .delivered)
        waiting.cancel()
        _ = await waiting.result
    }
}

/// Sends `request` to a loopback port and returns all that comes until the server closes.
private func ask(_ port: UInt16, _ request: String) -> String {
    let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(client) }
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let connected = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            connect(client, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    guard connected == 0 else { return "" }
    _ = Array(request.utf8).withUnsafeBytes { Glibc.write(client, $0.baseAddress, $0.count) }
    var reply: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = Glibc.read(client, &chunk, chunk.count)
        guard count > 0 else { return String(decoding: reply, as: UTF8.self) }
        reply += chunk[..<count]
    }
}
