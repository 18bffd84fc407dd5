import Testing

@testable import Pipeline

/// The platform's proxy endpoints and forwards as sections of ours.
@Suite("Import of the platform's forwards")
struct PlatformImportTests {
    private static let sample = """
        {
          "proxy_endpoints": [
            {"id": "e1", "name": "proxy-b", "user": "cloudroot", "host": "140.179.54.109", "port": 22,
             "private_key": "SECRET KEY", "intranet_ip_addr": "172.31.25.194", "metadata": {"x": {"y": 1}}},
            {"id": "e2", "name": "proxy c/1", "user": "root", "host": "c.example", "intranet_ip_addr": "fd00::5"}
          ],
          "proxy_agents": [{"id": "a1", "name": "proxyagent0", "bind_addr": "10.0.0.5", "advertise_addr": "10.0.0.5"}],
          "forwards": [
            {"id": "f1", "name": "influxdb proxy", "type": "remote", "proxy_endpoint_id": "e1", "proxy_agent_id": "a1",
             "remote_addr": "10.127.40.251", "remote_port": 30086, "bind_port_req": 0, "bind_port": 12345,
             "last_seen_timeout": 117, "opaque": "http://10.127.40.251:30086"},
            {"id": "f2", "type": "local", "proxy_endpoint_id": "e1", "proxy_agent_id": "a1",
             "remote_addr": "192.168.0.7", "remote_port": "22", "bind_port_req": 20022, "bind_port": null},
            {"id": "f3", "type": "remote", "proxy_endpoint": "proxy c/1", "remote_addr": "10.0.0.9", "remote_port": 8086,
             "bind_port": 20001}
          ]
        }
        """

    private func convert(_ text: String, bind: String = "") throws -> PlatformImport {
        var settings = PlatformImport.Settings()
        settings.localAddress = bind
        return PlatformImport(try PlatformRecords(Array(text.utf8), file: "x.json").records, settings)
    }

    private func decoded(_ result: PlatformImport) throws -> [TunnelConfig] {
        let (tree, issues) = TOMLParser.parse(Array(result.toml.utf8), file: "c.toml")
        var more = issues
        let substituted = tree.substituting(["HOME": "/evil", "X": "evil"], key: "", &more)
        let report = ConfigDecoder(inputs: []).decode(substituted, issues: more)
        #expect(report.issues == [])
        return try #require(report.config).tunnels
    }

    @Test("records become tunnels and forwards that read back")
    func whole() throws {
        let result = try convert(Self.sample)
        #expect(result.issues == [])
        let tunnels = try decoded(result)
        #expect(tunnels.map(\.id) == ["proxy-b", "proxy-c-1"])
        #expect(tunnels[0].spec.server == NetworkPlace("140.179.54.109", 22) && tunnels[0].spec.user == "cloudroot")
        #expect(tunnels[0].spec.identityFiles == ["/etc/godwit/keys/proxy-b"])
        let forwards = tunnels.flatMap(\.forwards)
        #expect(
            forwards.map { "\($0.kind) \($0.bind) \($0.target)" } == [
                "remote 172.31.25.194:12345 10.127.40.251:30086", "local 10.0.0.5:20022 192.168.0.7:22",
                "remote [fd00::5]:20001 10.0.0.9:8086",
            ])
        #expect(forwards[0].probe == .http(path: "/ping", status: 204) && forwards[1].probe == .tcp)
        #expect(result.forwards.map(\.origin.line) == [9, 12, 14])
    }

    @Test("no key is ever printed")
    func secrets() throws {
        let result = try convert(Self.sample)
        #expect(result.tunnels[0].key.revealed == "SECRET KEY")
        let shown = result.toml + String(decoding: result.json.encoded(), as: UTF8.self) + "\(result)"
        #expect(!shown.contains("SECRET"))
    }

    @Test("single objects, bare lists and the command line's data are taken too")
    func envelopes() throws {
        func kinds(_ text: String) throws -> [PlatformRecords.Kind] {
            try PlatformRecords(Array(text.utf8), file: "x").records.map(\.kind)
        }
        #expect(try kinds(#"{"forward": {"id": "f"}}"#) == [.forward])
        #expect(try kinds(#"[{"remote_addr": "x"}, {"intranet_ip_addr": "y"}]"#) == [.forward, .endpoint])
        #expect(try kinds(#"{"data": [{"proxy_endpoint_id": "x"}], "total": 1}"#) == [.forward])
        #expect(throws: ConfigIssue.self) { try kinds("{}") }
        #expect(throws: ConfigIssue.self) { try kinds("[]") }
    }

    @Test("text that is no JSON is told with its line")
    func noJSON() {
        do throws(ConfigIssue) {
            _ = try PlatformRecords(Array("{\n\n  x".utf8), file: "x.json")
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".hasPrefix("x.json:3: JSON syntax"))
        }
    }

    @Test(
        "what is wrong with a record is told at its line, and the others stay",
        arguments: [
            (#""type": "remote""#, #""type": "dynamic""#, "x.json:9: forward.type"),
            (#""remote_port": 30086"#, #""remote_port": 70000"#, "x.json:9: forward.remote_port"),
            (#""remote_port": 30086"#, #""remote_port": 0"#, "x.json:9: forward.remote_port"),
            (#""remote_addr": "10.127.40.251""#, #""remote_addr": "a b""#, "x.json:9: forward.remote_addr"),
            (#""bind_port": 12345"#, #""bind_port": -1"#, "x.json:9: forward.bind_port"),
            (#""bind_port_req": 20022"#, #""bind_port_req": 0"#, "x.json:12: forward.bind_port"),
            (#""proxy_endpoint": "proxy c/1""#, #""proxy_endpoint": "nobody""#, "x.json:14: forward.proxy_endpoint_id"),
            (#""host": "c.example""#, #""host": "-oProxyCommand=x""#, "x.json:5: proxy_endpoint.host"),
            (#""user": "root""#, #""user": "a\nb""#, "x.json:5: proxy_endpoint.user"),
            (
                #""intranet_ip_addr": "fd00::5""#, #""intranet_ip_addr": "x""#,
                "x.json:5: proxy_endpoint.intranet_ip_addr"
            ),
            (#""id": "e2""#, #""id": "e1""#, "x.json:5: proxy_endpoint.id"),
            (#""bind_addr": "10.0.0.5""#, #""bind_addr": "host""#, "x.json:12: forward.bind_addr"),
        ])
    func mistakes(_ right: String, _ wrong: String, _ complaint: String) throws {
        let result = try convert(Self.sample.replacing(right, with: wrong))
        #expect(result.issues.contains { "\($0)".hasPrefix(complaint) }, "\(result.issues)")
        #expect(result.tunnels.count >= 1 && !result.forwards.isEmpty)
        _ = try decoded(result)
    }

    @Test("two forwards at one place are told")
    func duplicates() throws {
        let twice = Self.sample.replacing(#""proxy_endpoint": "proxy c/1""#, with: #""proxy_endpoint_id": "e1""#)
            .replacing("20001", with: "12345")
        #expect(try convert(twice).issues.map(\.message) == ["another forward listens at 172.31.25.194:12345"])
    }

    @Test("ports that the server chooses may stand side by side")
    func chosenPorts() throws {
        let free = Self.sample.replacing(#""proxy_endpoint": "proxy c/1""#, with: #""proxy_endpoint_id": "e1""#)
            .replacing("20001", with: "0").replacing("12345", with: "0")
        let result = try convert(free)
        #expect(result.issues.map(\.severity) == [.warning, .warning])
        #expect(try decoded(result).flatMap(\.forwards).count == 3)
    }

    @Test("--bind says where local forwards listen")
    func bind() throws {
        let result = try convert(Self.sample, bind: "127.0.0.1")
        #expect(result.forwards[1].bind == NetworkPlace("127.0.0.1", 20022))
    }

    @Test(
        "names of strangers stay text",
        arguments: [
            "\"\\n[[tunnels]]\\nname = \\\"x\\\"", "a\"]\\n[agent]", "$HOME", "${X}", "${X:?gone}", "$$",
            "\\u001b[2J\\u202e",
            "tab\\tand \\u0000", "\\ud83d\\ude00", "'''", "# comment", "..", "/", "", " ", "route 10.0.0.1:8086",
        ])
    func hostileNames(_ name: String) throws {
        let quoted = name.replacing("\"\\n[[", with: "\\\"\\n[[").replacing("a\"]", with: "a\\\"]")
        let text = Self.sample.replacing("influxdb proxy", with: quoted).replacing("proxy-b", with: quoted)
        let result = try convert(text)
        let tunnels = try decoded(result)
        #expect(tunnels.count == 2)
        #expect(Set(tunnels.flatMap(\.forwards).map(\.id)) == Set(result.forwards.map(\.name)))
        #expect(!result.toml.utf8.contains { $0 < 0x20 && $0 != 0x0A || $0 == 0x7F })
        #expect(!result.toml.unicodeScalars.contains("\u{202e}"))
        for tunnel in result.tunnels {
            let file = tunnel.identityFile.dropFirst("/etc/godwit/keys/".count)
            #expect(!file.contains("/") && !file.hasPrefix(".") && !file.isEmpty)
        }
    }

    @Test("equal names are told apart, also many")
    func equalNames() throws {
        let endpoints = (0..<3_000).map {
            #"{"id": "i\#($0)", "name": "same", "user": "u", "host": "h", "intranet_ip_addr": "10.0.0.1"}"#
        }
        let result = try convert(#"{"proxy_endpoints": [\#(endpoints.joined(separator: ","))]}"#)
        #expect(Set(result.tunnels.map(\.name)).count == 3_000)
        #expect(Set(result.tunnels.map(\.identityFile)).count == 3_000)
    }

    @Test("a file cut at any byte is refused or read, never more")
    func cut() throws {
        let bytes = Array(Self.sample.utf8)
        for length in 0..<bytes.count {
            guard let records = try? PlatformRecords(Array(bytes[..<length]), file: "x") else { continue }
            _ = PlatformImport(records.records, PlatformImport.Settings()).toml
        }
    }
}
