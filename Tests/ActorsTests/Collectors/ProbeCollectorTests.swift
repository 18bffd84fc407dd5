import CLinux
import Glibc
import Pipeline
import Testing

@testable import Actors

/// A listening or bound socket of the loopback that a test answers from.
private final class LocalSocket: Sendable {
    let descriptor: Int32
    let port: UInt16

    init(_ type: __socket_type, _ address: String = "127.0.0.1") throws {
        let found = try ProbeAddress.lookUp(address, port: "0", family: AF_UNSPEC, isNumeric: true).get()
        let made = socket(found[0].family, Int32(type.rawValue), 0)
        let bound = found[0].withPointer { bind(made, $0, $1) }
        descriptor = made
        if type == SOCK_STREAM { listen(descriptor, 8) }
        var name = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let code = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(made, $0, &length) }
        }
        // The port stands at the same place in both kinds of addresses.
        port = UInt16(bigEndian: name.sin6_port)
        try #require(bound == 0 && code == 0)
    }

    deinit { close(descriptor) }

    /// Answers one connection on a thread: reads something, if asked to, and writes.
    func answerOnce(_ text: String, reads: Bool = false) {
        let work = Work { [self] in
            let peer = accept(descriptor, nil, nil)
            var room = [UInt8](repeating: 0, count: 64)
            if reads { _ = read(peer, &room, room.count) }
            if !text.isEmpty { _ = Array(text.utf8).withUnsafeBytes { write(peer, $0.baseAddress, $0.count) } }
            close(peer)
        }
        _ = work.start()
    }

    /// Answers one packet on a thread.
    func echoOnce(_ text: String) {
        let work = Work { [self] in
            var peer = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            var room = [UInt8](repeating: 0, count: 64)
            withUnsafeMutablePointer(to: &peer) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    _ = recvfrom(descriptor, &room, room.count, 0, address, &length)
                    let bytes = Array(text.utf8)
                    _ = sendto(descriptor, bytes, bytes.count, 0, address, length)
                }
            }
        }
        _ = work.start()
    }
}

@Suite("Inputs that probe servers: net_response, ping with native, name lookup")
struct ProbeCollectorTests {
    /// The only line of a gather that has ten minutes (a busy machine takes its time), without the time it took.
    private func line(_ plugin: String, _ options: [String: OptionValue]) async throws -> String {
        let input = try #require(InputRegistry.plugin(plugin))
        let collector = try input.make(
            OptionValues(input.spec.options, set: options), in: InputEnvironment(alone: MemoryHost()))
        let now = KernelClock.monotonic()
        let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(600))
        #expect(gather.errors.isEmpty)
        let lines = Bench.lines(gather.samples)
        #expect(lines.count == 1)
        return (lines.first ?? "").replacing(#/response_time=[0-9.e-]+/#, with: "response_time=T")
    }

    private func ask(_ address: String, _ set: [String: OptionValue] = [:]) async throws -> String {
        var options = set
        options["address"] = .string(address)
        options["protocol"] = options["protocol"] ?? .string("tcp")
        options["timeout"] = .duration(.seconds(60))
        options["read_timeout"] = options["read_timeout"] ?? .duration(.seconds(60))
        return try await line("net_response", options)
    }

    private func result(_ name: String, _ code: Int, _ port: UInt16, _ kind: String, found: Bool? = nil) -> String {
        let time = code == 1 || code == 2 || kind == "udp" && code == 3 ? "" : "response_time=T,"
        return "net_response,port=\(port),protocol=\(kind),result=\(name),server=127.0.0.1 \(time)"
            + "result_code=\(code)i,result_type=\"\(name)\"" + (found.map { ",string_found=\($0)" } ?? "")
    }

    @Test("a TCP server that listens is a success, over IPv4 and IPv6")
    func tcp() async throws {
        let server = try LocalSocket(SOCK_STREAM)
        #expect(try await ask("127.0.0.1:\(server.port)") == result("success", 0, server.port, "tcp"))
        guard let six = try? LocalSocket(SOCK_STREAM, "::1") else { return }
        #expect(try await ask("[::1]:\(six.port)").contains(",result=success,server=::1 "))
    }

    @Test("a port where nobody listens is connection_failed, a name that cannot be looked up too")
    func refused() async throws {
        let port = try LocalSocket(SOCK_DGRAM).port
        #expect(try await ask("127.0.0.1:\(port)") == result("connection_failed", 2, port, "tcp"))
        #expect(try await ask("no.such.host.invalid:1").contains("result=connection_failed"))
    }

    @Test("the first line of an answer is compared; silence is read_failed, another text string_mismatch")
    func expect() async throws {
        let server = try LocalSocket(SOCK_STREAM)
        let address = "127.0.0.1:\(server.port)"
        server.answerOnce("SSH-2.0-x\r\nmore", reads: true)
        let options: [String: OptionValue] = ["send": .string("hello"), "expect": .string("^SSH-\\d")]
        #expect(try await ask(address, options) == result("success", 0, server.port, "tcp", found: true))
        server.answerOnce("HTTP/1.1", reads: true)
        #expect(try await ask(address, options) == result("string_mismatch", 4, server.port, "tcp", found: false))
        server.answerOnce("", reads: true)
        #expect(try await ask(address, options) == result("read_failed", 3, server.port, "tcp", found: false))
        // Nobody takes the connection out of the queue: no answer.
        let silent = try LocalSocket(SOCK_STREAM)
        let short: [String: OptionValue] = ["expect": .string("x"), "read_timeout": .duration(.milliseconds(50))]
        #expect(
            try await ask("127.0.0.1:\(silent.port)", short)
                == result("read_failed", 3, silent.port, "tcp", found: false))
    }

    @Test("UDP: an echo is a success, an unreachable port and silence are read_failed")
    func udp() async throws {
        let server = try LocalSocket(SOCK_DGRAM)
        let options: [String: OptionValue] = [
            "protocol": .string("udp"), "send": .string("ping"), "expect": .string("pong"),
        ]
        server.echoOnce("pong!")
        #expect(
            try await ask("127.0.0.1:\(server.port)", options) == result("success", 0, server.port, "udp", found: true))
        server.echoOnce("other")
        #expect(
            try await ask("127.0.0.1:\(server.port)", options)
                == result("string_mismatch", 4, server.port, "udp", found: false))
        let unused = try LocalSocket(SOCK_STREAM).port
        #expect(
            try await ask("127.0.0.1:\(unused)", options) == result("read_failed", 3, unused, "udp", found: false))
    }

    @Test(
        "options that cannot work are refused",
        arguments: [
            ["protocol": "tcp", "address": ""], ["protocol": "", "address": "a:1"],
            ["protocol": "tcp", "address": "a"],
            ["protocol": "udp", "address": "a:1", "send": "x"], ["protocol": "udp", "address": "a:1", "expect": "x"],
            ["protocol": "tcp", "address": "a:1", "expect": "("],
        ])
    func refusedOptions(options: [String: String]) {
        #expect(throws: CollectorError.self) {
            try Bench("net_response", options.mapValues { OptionValue.string($0) })
        }
    }

    // MARK: ping

    private func ping(_ set: [String: OptionValue]) async throws -> [String] {
        let input = try #require(InputRegistry.plugin("ping"))
        var options = set
        options["method"] = .string("native")
        options["deadline"] = .duration(.seconds(300))
        let collector = try input.make(
            OptionValues(input.spec.options, set: options), in: InputEnvironment(alone: MemoryHost()))
        let now = KernelClock.monotonic()
        let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(600))
        if gather.errors.contains(where: { $0.contains("CAP_NET_RAW") }) { return [] }
        return Bench.lines(gather.samples) + gather.errors
    }

    @Test("native ping of both loopbacks, raw and not, where this machine allows it")
    func pingLoopback() async throws {
        for isRaw in [true, false] {
            let lines = try await ping([
                "urls": .strings(["127.0.0.1", "::1"]), "count": .integer(3), "privileged": .bool(isRaw),
                "ping_interval": .duration(.milliseconds(200)), "percentiles": .numbers([50, 99]),
            ])
            guard !lines.isEmpty else { continue }
            #expect(lines.count == 2)
            for line in lines {
                #expect(line.contains("packets_received=3i,packets_transmitted=3i,percent_packet_loss=0,"))
                #expect(line.contains("percentile50_ms=") && line.contains(",result_code=0i,"))
                #expect(line.hasSuffix("ttl=64i"))
            }
        }
    }

    @Test("a name without an address is code 1, one of the wrong family too; other hosts are asked all the same")
    func pingUnknown() async throws {
        let lines = try await ping(["urls": .strings(["no.such.host.invalid", "127.0.0.1"]), "ipv4": .bool(true)])
        guard !lines.isEmpty else { return }
        #expect(lines.contains("ping,url=no.such.host.invalid result_code=1i"))
        #expect(lines.contains { $0.hasPrefix("ping,url=127.0.0.1 ") && $0.contains("result_code=0i") })
        #expect(
            try await ping(["urls": .strings(["::1"]), "ipv4": .bool(true)]).contains("ping,url=::1 result_code=1i"))
    }

    // MARK: waits

    @Test("waiting for a descriptor ends with data, at the deadline, and when cancelled; the descriptor is free then")
    func ready() async throws {
        let loop = TestLoop.shared
        var pair: [Int32] = [0, 0]
        try #require(pipe2(&pair, O_NONBLOCK) == 0)
        let (source, target) = (pair[0], pair[1])
        defer {
            close(source)
            close(target)
        }
        let early = KernelClock.monotonic() + .milliseconds(10)
        #expect(try await loop.ready(source, for: EPOLLIN.rawValue, until: early) == nil)
        _ = write(target, "x", 1)
        let late = KernelClock.monotonic() + .seconds(60)
        #expect(try await loop.ready(source, for: EPOLLIN.rawValue, until: late) != nil)
        var byte: UInt8 = 0
        _ = read(source, &byte, 1)
        await #expect(throws: CancellationError.self) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await loop.ready(source, for: EPOLLIN.rawValue, until: late) }
                group.cancelAll()
                try await group.next()
            }
        }
        _ = write(target, "x", 1)
        #expect(try await loop.ready(source, for: EPOLLIN.rawValue, until: late) != nil)
    }

    @Test("numeric addresses need no thread; localhost is found; a deadline that has passed is a failure")
    func lookups() async throws {
        let names = NameLookup()
        let clock = TestLoop.shared
        let until = clock.now + .seconds(20)
        let numeric = try await names.addresses(of: "::1", port: "80", clock: clock, until: clock.now).get()
        #expect(numeric.map(\.family) == [AF_INET6])
        #expect(try await !names.addresses(of: "localhost", clock: clock, until: until).get().isEmpty)
        let failed = try await names.addresses(of: "no.such.host.invalid", clock: clock, until: until)
        #expect(throws: LookupFailure.self) { try failed.get() }
    }
}
