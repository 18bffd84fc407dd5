import Testing

@testable import Pipeline

@Suite("The section [metadata_relay]")
struct RelayDecodingTests {
    private func decode(_ text: String) -> (config: Config?, issues: [String]) {
        let (tree, syntax) = TOMLParser.parse(Array(text.utf8), file: "c.toml")
        let report = ConfigDecoder(inputs: []).decode(tree, issues: syntax)
        return (report.config, report.issues.map { "\($0)" })
    }

    @Test("it is enough for a configuration, and listens on loopback where nothing is said")
    func alone() throws {
        let (config, issues) = decode("[metadata_relay]\n")
        #expect(issues == [])
        let relay = try #require(config?.relay)
        #expect(relay.listeners.map(\.description) == ["127.0.0.1:8187"])
        #expect(relay.guestsFile == "/etc/godwit/guests.toml")
        #expect(config?.summary.contains { $0.hasPrefix("metadata_relay: on 127.0.0.1:8187") } == true)
    }

    @Test("mistakes are named with their lines")
    func mistakes() {
        let (config, issues) = decode(
            """
            [metadata_relay]
            listen = ["nowhere", "127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1@", "127.0.0.1:1@../x"]
            guests_file = ""
            urls = []
            max_memory = "2MiB"
            guest_requests_per_second = 0.0
            password = "x"
            password_file = "/y"
            tls_cert = "a"
            enforced_tags = [""]
            foreign_vm_ids = "reject"
            """)
        #expect(config == nil)
        for expected in [
            "c.toml:2: metadata_relay.listen: \"nowhere\" is no address",
            "c.toml:2: metadata_relay.listen: \"127.0.0.1:1\" stands",
            "\"127.0.0.1:1@\" is no address", "\"127.0.0.1:1@../x\" is no address",
            "c.toml:3: metadata_relay.guests_file", "c.toml:4: metadata_relay.urls",
            "c.toml:5: metadata_relay.max_memory",
            "c.toml:6: metadata_relay.guest_requests_per_second", "c.toml:8: metadata_relay.password_file",
            "c.toml:9: metadata_relay.tls_cert", "c.toml:10: metadata_relay.enforced_tags",
            "c.toml:11: metadata_relay.foreign_vm_ids: unknown option (nearest: \"foreign_vm_id\")",
        ] {
            #expect(issues.contains { $0.contains(expected) }, "\(expected)\n\(issues.joined(separator: "\n"))")
        }
        #expect(decode("metadata_relay = 1\n").issues.contains { $0.contains("expected a section [metadata_relay]") })
    }

    @Test("a change is seen, and which part it is of")
    func changes() throws {
        let first = try #require(decode("[metadata_relay]\n").config)
        let second = try #require(decode("[metadata_relay]\nurls = [\"http://h:1\"]\n").config)
        let third = try #require(decode("[metadata_relay]\nread_timeout = \"3s\"\n").config)
        #expect(ConfigDiff(from: first, to: second).relayChanged)
        #expect(!ConfigDiff(from: first, to: first).relayChanged)
        #expect(first.fingerprint != second.fingerprint)
        let (one, two, three) = (try #require(first.relay), try #require(second.relay), try #require(third.relay))
        #expect(one.isEqual(to: two, in: RelayConfig.listenerOptions))
        #expect(!one.isEqual(to: two, in: RelayConfig.upstreamOptions))
        #expect(!one.isEqual(to: three, in: RelayConfig.listenerOptions))
        let known = Set(RelaySpecs.section.map(\.name))
        #expect(known.isSuperset(of: RelayConfig.listenerOptions + RelayConfig.upstreamOptions))
    }
}
