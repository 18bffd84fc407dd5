import Testing

@testable import Pipeline

@Suite("Ping: the program's output, messages and figures")
struct PingTests {
    static let iputils = """
        PING localhost (127.0.0.1) 16(44) bytes of data.
        24 bytes from 127.0.0.1: icmp_seq=1 ttl=64 time=0.031 ms
        24 bytes from 127.0.0.1: icmp_seq=2 ttl=63 time=0.041 ms

        --- localhost ping statistics ---
        3 packets transmitted, 2 received, 33.3333% packet loss, time 2030ms
        rtt min/avg/max/mdev = 0.031/0.036/0.041/0.005 ms, pipe 2
        """
    static let busybox = """
        PING ::1 (::1): 16 data bytes
        24 bytes from ::1: seq=0 ttl=255 time=0.061 ms

        --- ::1 ping statistics ---
        1 packets transmitted, 1 packets received, 0% packet loss
        round-trip min/avg/max = 0.061/0.061/0.061 ms
        """

    private func parse(_ text: String) throws(ParseError) -> PingOutput { try PingOutput.parse(Array(text.utf8)) }

    @Test("iputils and busybox are understood")
    func programs() throws {
        let full = try parse(PingTests.iputils)
        #expect(full.transmitted == 3 && full.received == 2 && full.ttl == 64)
        #expect(full.times == [0.031, 0.036, 0.041, 0.005])
        let short = try parse(PingTests.busybox)
        #expect(short.transmitted == 1 && short.received == 1 && short.ttl == 255 && short.times.count == 3)
    }

    @Test("without an answer there are counts and no times; without counts it is an error")
    func losses() throws {
        let lost = try parse("1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms\n")
        #expect(lost.transmitted == 1 && lost.received == 0 && lost.ttl == nil && lost.times.isEmpty)
        #expect(throws: ParseError.self) { try parse("ping: unknown host") }
        #expect(throws: ParseError.self) { try parse("x packets transmitted, y received") }
        for text in [PingTests.iputils, PingTests.busybox] {
            let bytes = Array(text.utf8)
            for end in 0..<bytes.count { _ = try? PingOutput.parse(Array(bytes[..<end])) }
        }
    }

    @Test("a request has its type, numbers and a checksum that adds up; its echo is understood")
    func messages() {
        let message = EchoMessage(identifier: 0x1234, sequence: 0xFFFE, payload: Array(0..<57))
        let bytes = message.request(.ipv4)
        #expect(bytes[0] == 8 && bytes.count == 65 && EchoMessage.checksum(bytes) == 0)
        var reply = bytes
        reply[0] = 0
        #expect(EchoMessage.reply(reply[...], .ipv4) == message)
        let header: [UInt8] = [0x46] + [UInt8](repeating: 7, count: 23)
        #expect(EchoMessage.reply((header + reply)[...], .ipv4, hasHeader: true) == message)
        #expect(EchoMessage.reply(bytes[...], .ipv4) == nil)
        reply = message.request(.ipv6)
        #expect(reply[0] == 128)
        reply[0] = 129
        #expect(EchoMessage.reply(reply[...], .ipv6) == message)
        for end in 0..<(header.count + reply.count) {
            let cut = (header + reply)[..<end]
            _ = (EchoMessage.reply(cut, .ipv4, hasHeader: true), EchoMessage.reply(cut, .ipv6))
        }
    }

    @Test("hops are found among control messages, and hostile lengths end the search")
    func hops() {
        func message(_ length: UInt8, _ level: UInt8, _ type: UInt8, _ data: [UInt8]) -> [UInt8] {
            [length, 0, 0, 0, 0, 0, 0, 0, level, 0, 0, 0, type, 0, 0, 0] + data
        }
        let other = message(17, 1, 1, [9, 0, 0, 0, 0, 0, 0, 0])
        #expect(ControlMessages.hops(other + message(20, 0, 2, [64, 0, 0, 0])) == 64)
        #expect(ControlMessages.hops(message(20, 41, 52, [255, 0, 0, 0, 0, 0, 0, 0])) == 255)
        #expect(ControlMessages.hops(message(0, 0, 2, [1, 0, 0, 0])) == nil)
        #expect(ControlMessages.hops(message(255, 0, 2, [1, 0, 0, 0])) == nil)
        #expect(ControlMessages.hops([UInt8](repeating: 255, count: 64)) == nil)
        #expect(ControlMessages.hops([]) == nil)
    }

    @Test("figures of round trips")
    func figures() {
        var trips = RoundTrips()
        #expect(trips.average.isNaN && trips.percentile(50).isNaN)
        for milliseconds in [4, 1, 3, 2] { trips.add(.milliseconds(milliseconds)) }
        #expect(trips.minimum == 1 && trips.maximum == 4 && trips.average == 2.5)
        #expect(abs(trips.deviation - 1.118_034) < 0.000_01)
        #expect(trips.percentile(50) == 2.5 && trips.percentile(0) == 1 && trips.percentile(100) == 4)
        #expect(trips.percentile(-5) == 1 && trips.percentile(1_000) == 4)
        #expect(abs(trips.percentile(95) - 3.85) < 0.000_01)
    }
}

@Suite("HostPort")
struct HostPortTests {
    @Test("host and port, with and without brackets")
    func parts() throws {
        func parts(_ text: String) -> [String]? { HostPort(text).map { [$0.host, $0.port] } }
        #expect(parts("example.org:80") == ["example.org", "80"])
        #expect(parts("[::1]:http") == ["::1", "http"])
        #expect(parts(":22") == ["", "22"])
        for text in ["", "host", "host:", "::1:80", "[::1]", "[::1", "a b:1", "a:1\n", "[a]b:1"] {
            #expect(parts(text) == nil, "\(text)")
        }
    }
}
