import Testing

@testable import Pipeline

/// How forwards are tried from end to end, and what is made of it.
@Suite("Probes of forwards")
struct ForwardProbeTests {
    private func moment(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    @Test("the request names path and target")
    func request() {
        let probe = ForwardProbe.http(path: "/ping?x=1", status: 204)
        let text = String(decoding: probe.request(to: .tcp(NetworkPlace("2001:db8::1", 8086))), as: UTF8.self)
        #expect(text.hasPrefix("GET /ping?x=1 HTTP/1.1\r\nHost: [2001:db8::1]:8086\r\n"))
        #expect(text.hasSuffix("Connection: close\r\n\r\n"))
        #expect(ForwardProbe.tcp.request(to: .unix("/s")).isEmpty && ForwardProbe.none.request(to: .unix("/s")).isEmpty)
    }

    @Test(
        "a path cannot smuggle anything into a request",
        arguments: [
            ("/", true), ("/ping?a=b&c", true), ("", false), ("ping", false), ("/a b", false), ("/a\r\nX: y", false),
            ("/\u{e9}", false), ("/\u{7f}", false),
        ])
    func path(_ text: String, _ isGood: Bool) { #expect(ForwardProbe.isPath(text) == isGood) }

    @Test(
        "the beginning of an answer tells its status",
        arguments: [
            ("HTTP/1.1 204 No Content\r\n", ProbeReply.status(204)), ("HTTP/1.0 503\r\n", .status(503)),
            ("HTTP/1.1 200\n", .status(200)), ("HTTP/1.1 204", .incomplete), ("", .incomplete), ("HT", .incomplete),
            ("HTTP/1.1  204 \r\n", .foreign), ("HTTP/2 204 \r\n", .foreign), ("SSH-2.0-OpenSSH", .foreign),
            ("HTTP/1.1 2040 \r\n", .foreign), ("HTTP/1.1 20x ", .foreign), ("http/1.1 204 ", .foreign),
        ])
    func reply(_ text: String, _ reply: ProbeReply) { #expect(ProbeReply(Array(text.utf8)) == reply) }

    @Test("an answer cut at any byte is incomplete until the status is whole")
    func cut() {
        let bytes = Array("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n".utf8)
        for length in 0...bytes.count {
            #expect(ProbeReply(Array(bytes[..<length])) == (length < 13 ? .incomplete : .status(204)))
        }
        for byte in UInt8.min...UInt8.max { _ = ProbeReply([UInt8](repeating: byte, count: 20)) }
    }

    @Test("only the expected status is well")
    func complaints() {
        let probe = ForwardProbe.http(path: "/ping", status: 204)
        #expect(probe.complaint(about: .status(204)) == nil)
        #expect(probe.complaint(about: .status(503))?.message == "GET /ping gave 503, expected 204")
        #expect(probe.complaint(about: .foreign)?.reason == .probeFailed)
        #expect(probe.complaint(about: .incomplete)?.reason == .probeFailed)
    }

    @Test("clients that get through do not hide what a probe has found")
    func clientsDoNotHide() {
        var tracker = StateTracker(now: moment(0))
        tracker.become(.up, now: moment(1))
        #expect(tracker.probed(TunnelFailure(.boundLoopback, "m"), now: moment(2)) == true)
        #expect(tracker.succeeded(now: moment(3)) == false)
        #expect(tracker.state == .degraded && tracker.reason == .boundLoopback && tracker.lastOK == nil)
        for _ in 0..<5 { #expect(tracker.failed(.targetRefused, "", now: moment(4)) == false) }
        #expect(tracker.reason == .boundLoopback)
        #expect(tracker.probed(nil, now: moment(5)) == true)
        #expect(tracker.state == .up && tracker.lastOK == moment(5))
    }

    @Test("a target that a probe found dead is well again with the first client that reaches it")
    func clientsHeal() {
        var tracker = StateTracker(now: moment(0))
        tracker.become(.up, now: moment(1))
        tracker.probed(TunnelFailure(.targetRefused, ""), now: moment(2))
        #expect(tracker.succeeded(now: moment(3)) == true)
        #expect(tracker.state == .up)
    }

    @Test("a probe that ends late says nothing of what is down")
    func lateProbe() {
        var tracker = StateTracker(now: moment(0))
        tracker.become(.down, .sessionLost, now: moment(1))
        #expect(tracker.probed(TunnelFailure(.targetRefused, ""), now: moment(2)) == false)
        #expect(tracker.probed(nil, now: moment(2)) == false)
        #expect(tracker.state == .down && tracker.reason == .sessionLost)
    }

    @Test("a new session forgets what the last one's probe found")
    func newSession() {
        var tracker = StateTracker(now: moment(0))
        tracker.become(.up, now: moment(1))
        tracker.probed(TunnelFailure(.boundLoopback, ""), now: moment(2))
        tracker.become(.down, .sessionLost, now: moment(3))
        tracker.become(.up, now: moment(4))
        #expect(tracker.succeeded(now: moment(5)) == false)
        #expect(tracker.lastOK == moment(5))
    }

    @Test("another probe leaves the forward what it is, anything else makes another one")
    func carriesOn() {
        let place = SocketPlace.tcp(NetworkPlace("127.0.0.1", 1))
        let forward = ForwardSpec(id: "a", kind: .local, bind: place, target: place)
        var other = forward
        other.probe = .none
        other.probeEvery = .seconds(1)
        #expect(other.carriesOn(forward) && forward.carriesOn(other) && other != forward)
        other.target = .unix("/s")
        #expect(!other.carriesOn(forward))
    }

    @Test("the far side is tried where it should listen, and where it listens when it masks that")
    func farSide() {
        func check(_ host: String, _ own: String, gives place: String, _ masked: String?) {
            let probe = FarSideProbe(NetworkPlace(host, 0), port: 9, serverAddress: own)
            #expect("\(probe.place)" == place && probe.masked.map { "\($0)" } == masked, "\(host) \(own)")
        }
        check("172.31.25.194", "", gives: "172.31.25.194:9", "127.0.0.1:9")
        check("127.0.0.1", "192.0.2.1", gives: "127.0.0.1:9", nil)
        check("localhost", "192.0.2.1", gives: "localhost:9", nil)
        check("0.0.0.0", "192.0.2.1", gives: "192.0.2.1:9", "127.0.0.1:9")
        check("0.0.0.0", "", gives: "127.0.0.1:9", nil)
        check("0.0.0.0", "127.0.0.1", gives: "127.0.0.1:9", nil)
        check("0.0.0.0", "2001:db8::1", gives: "127.0.0.1:9", nil)
        check("::", "2001:db8::1", gives: "[2001:db8::1]:9", "[::1]:9")
        check("::", "192.0.2.1", gives: "[::1]:9", nil)
        check("*", "2001:db8::1", gives: "[2001:db8::1]:9", "127.0.0.1:9")
    }
}
