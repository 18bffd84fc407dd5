import Testing

@testable import Pipeline

/// `[[tunnels]]` and `[[forwards]]`: what is taken, and how each mistake is told.
@Suite("Configuration of tunnels")
struct TunnelDecodingTests {
    private func decode(_ text: String) -> ConfigReport {
        let (tree, issues) = TOMLParser.parse(Array(text.utf8), file: "c.toml")
        return ConfigDecoder(inputs: []).decode(tree, issues: issues)
    }

    private func tunnel(_ name: String, _ more: String = "") -> String {
        """
        [[tunnels]]
        name = "\(name)"
        address = "192.0.2.1"
        user = "u"
        identity_file = "/k"
        known_hosts_file = "/h"
        \(more)

        """
    }

    private func forward(_ tunnel: String, _ more: String) -> String {
        "[[forwards]]\ntunnel = \"\(tunnel)\"\n\(more)\n"
    }

    private func complaints(_ text: String) -> [String] {
        decode(text).issues.filter { $0.severity == .error }.map { "\($0)" }
    }

    @Test("a relay needs neither inputs nor outputs")
    func relay() throws {
        let report = decode(
            tunnel("b")
                + forward("b", "kind = \"remote\"\nbind = \"172.31.25.194:12345\"\ntarget = \"10.127.40.251:30086\""))
        let config = try #require(report.config)
        #expect(config.tunnels.map(\.id) == ["b"])
        #expect(config.tunnels[0].spec.server == NetworkPlace("192.0.2.1", 22))
        #expect(config.tunnels[0].forwards.map(\.id) == ["remote 172.31.25.194:12345"])
    }

    @Test("tunnels come after those that they go through")
    func order() throws {
        let report = decode(
            tunnel("c", "jump = [\"a\", \"b\"]") + tunnel("b", "jump = [\"a\"]") + tunnel("a"))
        #expect(try #require(report.config).tunnels.map(\.id) == ["a", "b", "c"])
    }

    @Test("a jump to nowhere, in a circle, or that does not fit is refused with its line")
    func jumps() {
        #expect(
            complaints(tunnel("a", "jump = [\"aa\"]"))[0].contains("c.toml:7: tunnels.jump: there is no tunnel \"aa\""))
        #expect(complaints(tunnel("a", "jump = [\"a\"]"))[0].contains("go in a circle"))
        let circle = complaints(tunnel("a", "jump = [\"b\"]") + tunnel("b", "jump = [\"a\"]"))
        #expect(circle.count == 2 && circle.allSatisfy { $0.contains("circle") })
        #expect(
            complaints(tunnel("a") + tunnel("b") + tunnel("c", "jump = [\"a\", \"b\"]"))[0].contains("must itself jump")
        )
    }

    @Test("what a tunnel lacks is said")
    func lacks() {
        let bare = complaints("[[tunnels]]\n")
        for word in ["name", "user", "address", "identity_file", "known_hosts_file"] {
            #expect(bare.contains { $0.contains(word) }, "\(word)")
        }
        #expect(complaints(tunnel("a", "host_key_fingerprints = [\"SHA256:short\"]"))[0].contains("no fingerprint"))
        #expect(complaints(tunnel("a") + tunnel("a"))[0].contains("two tunnels"))
        #expect(complaints("[tunnels]\n")[0].contains("[[tunnels]]"))
        #expect(complaints(tunnel("a", "adress = \"x\""))[0].contains("nearest: \"address\""))
    }

    @Test("a forward of an unknown tunnel names the nearest one")
    func unknownTunnel() {
        let text = tunnel("proxy-b") + forward("proxy-c", "bind = \"127.0.0.1:1\"\ntarget = \"h:2\"")
        #expect(complaints(text).first?.contains("there is no tunnel \"proxy-c\" (nearest: \"proxy-b\")") ?? false)
    }

    @Test("places that are none, and two forwards at one place, are refused")
    func places() {
        let first = forward("a", "bind = \"127.0.0.1:1\"\ntarget = \"h:2\"")
        #expect(complaints(tunnel("a") + first + first.replacing("h:2", with: "h:3")).count == 1)
        #expect(complaints(tunnel("a") + first.replacing("h:2", with: "h")).first?.contains("forwards.target") ?? false)
        #expect(complaints(tunnel("a") + first.replacing("127.0.0.1:1", with: "127.0.0.1:0")).count == 1)
        let remote = forward("a", "kind = \"remote\"\nbind = \"/run/x.sock\"\ntarget = \"h:2\"")
        #expect(complaints(tunnel("a") + remote).first?.contains("host:port") ?? false)
        let any = forward("a", "kind = \"remote\"\nbind = \"127.0.0.1:0\"\ntarget = \"h:2\"")
        #expect(complaints(tunnel("a") + any) == [])
    }

    @Test("a change of forwards leaves the session alone")
    func difference() throws {
        let old = try #require(decode(tunnel("a") + tunnel("b")).config)
        let new = try #require(
            decode(
                tunnel("a") + tunnel("b", "probe_interval = \"5s\"") + forward("a", "bind = \"/s\"\ntarget = \"h:2\"")
            ).config)
        let diff = ConfigDiff(from: old, to: new)
        #expect(diff.tunnels.unchanged == ["a"] && diff.tunnels.changed == ["b"] && diff.forwardsChanged == ["a"])
        #expect(!diff.isEmpty && old.fingerprint != new.fingerprint)
        #expect(ConfigDiff(from: old, to: old).isEmpty)
    }

    @Test("secrets do not appear in summary and fingerprint text")
    func secrets() throws {
        let config = try #require(decode(tunnel("a", "passphrase = \"canary\"")).config)
        #expect(!config.summary.joined().contains("canary"))
        #expect(!config.tunnels[0].spec.line.contains("canary"))
    }
}
