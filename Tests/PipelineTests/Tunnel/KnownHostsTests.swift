import Testing

@testable import Pipeline

/// Host keys, key files and places: values in the form of text and bytes.
@Suite("Known hosts and key files")
struct KnownHostsTests {
    /// Digests that only tell inputs apart: what is tested here is who is asked for what.
    private let digests = SSHDigests(
        sha256: { Array($0.prefix(32)) },
        hmacSHA1: { key, data in Array((key + data + Array(repeating: 0, count: 20)).suffix(20)) })

    private func key(_ type: String, _ tail: [UInt8] = [1, 2, 3]) -> [UInt8] {
        var writer = SSHWriter()
        writer.string(type.utf8)
        writer.string(tail)
        return writer.bytes
    }

    private func line(_ names: String, _ key: [UInt8], _ type: String = "ssh-ed25519", marker: String = "") -> String {
        "\(marker)\(names) \(type) \(String(decoding: Base64.encoded(key), as: UTF8.self)) comment\n"
    }

    private func file(_ text: String) throws -> KnownHosts { try KnownHosts(Array(text.utf8)) }

    @Test("a key that stands there is known, another one of the host is a change, another host is unknown")
    func verdicts() throws {
        let right = key("ssh-ed25519")
        let hosts = try file("# comment\n\n" + line("proxy.example,192.0.2.1", right))
        #expect(hosts.verdict(for: NetworkPlace("proxy.example", 22), key: right, digests) == .known)
        #expect(hosts.verdict(for: NetworkPlace("PROXY.example", 22), key: right, digests) == .known)
        #expect(
            hosts.verdict(for: NetworkPlace("192.0.2.1", 22), key: key("ssh-ed25519", [9]), digests)
                == .changed(lines: [3])
        )
        #expect(hosts.verdict(for: NetworkPlace("192.0.2.2", 22), key: right, digests) == .unknown)
    }

    @Test("a port other than 22 is part of the name")
    func ports() throws {
        let right = key("ssh-ed25519")
        let hosts = try file(line("[h]:2222", right))
        #expect(hosts.verdict(for: NetworkPlace("h", 2222), key: right, digests) == .known)
        #expect(hosts.verdict(for: NetworkPlace("h", 22), key: right, digests) == .unknown)
    }

    @Test("patterns match with * and ?, and a ! takes back")
    func patterns() throws {
        let right = key("ssh-ed25519")
        let hosts = try file(line("*.example,!bad.example,10.0.0.?", right))
        #expect(hosts.verdict(for: NetworkPlace("a.example", 22), key: right, digests) == .known)
        #expect(hosts.verdict(for: NetworkPlace("bad.example", 22), key: right, digests) == .unknown)
        #expect(hosts.verdict(for: NetworkPlace("10.0.0.7", 22), key: right, digests) == .known)
        #expect(hosts.verdict(for: NetworkPlace("10.0.0.77", 22), key: right, digests) == .unknown)
        // Many stars do not take for ever.
        #expect(!KnownHosts.matches(Array(repeating: 0x61, count: 5_000), Array("*a*a*a*a*a*a*a*ab".utf8)))
    }

    @Test("a revoked key is refused even where it also stands as good")
    func revoked() throws {
        let right = key("ssh-ed25519")
        let hosts = try file(line("h", right) + line("*", right, marker: "@revoked "))
        #expect(hosts.verdict(for: NetworkPlace("h", 22), key: right, digests) == .revoked(line: 2))
        #expect(
            hosts.verdict(for: NetworkPlace("h", 22), key: key("ssh-ed25519", [4]), digests) == .changed(lines: [1]))
    }

    @Test("a certificate authority alone vouches for nothing")
    func authority() throws {
        let hosts = try file(line("*", key("ssh-ed25519"), marker: "@cert-authority "))
        #expect(hosts.verdict(for: NetworkPlace("h", 22), key: key("ssh-ed25519"), digests) == .authorityOnly(line: 1))
    }

    @Test("the kinds of keys that are known come in the order of the file")
    func types() throws {
        let hosts = try file(line("h", key("ssh-rsa"), "ssh-rsa") + line("h", key("ssh-ed25519")))
        #expect(hosts.types(for: NetworkPlace("h", 22), digests) == ["ssh-rsa", "ssh-ed25519"])
    }

    @Test("lines that are no entry are passed over and counted")
    func malformed() throws {
        let right = key("ssh-ed25519")
        let hosts = try file(
            "h\nh ssh-ed25519\nh ssh-ed25519 !!!\n@other h ssh-ed25519 AAAA\nh ssh-rsa "
                + String(decoding: Base64.encoded(right), as: UTF8.self) + "\n|1|x|y ssh-ed25519 AAAA\n"
                + line("h", right))
        #expect(hosts.malformedLines == [1, 2, 3, 4, 5, 6])
        #expect(hosts.verdict(for: NetworkPlace("h", 22), key: right, digests) == .known)
    }

    @Test("a file cut at any byte is read without a trap")
    func cut() throws {
        let text = Array(
            (line("|1|\(String(repeating: "A", count: 27))=|\(String(repeating: "B", count: 27))=", key("ssh-ed25519"))
                + line("a,b", key("ssh-rsa"), "ssh-rsa", marker: "@revoked ")).utf8)
        for length in 0...text.count {
            let hosts = try KnownHosts(Array(text[..<length]))
            _ = hosts.verdict(for: NetworkPlace("a", 22), key: [1], digests)
        }
    }

    @Test("the line that is kept for a new key is found again")
    func newLine() throws {
        let right = key("ecdsa-sha2-nistp256")
        let server = NetworkPlace("2001:db8::1", 2200)
        let hosts = try file(try #require(KnownHosts.line(for: server, key: right)))
        #expect(hosts.verdict(for: server, key: right, digests) == .known)
    }

    // MARK: Key containers

    private func container(_ edit: (inout SSHWriter) -> Void = { _ in }) -> [UInt8] {
        var section = SSHWriter()
        section.uint32(7)
        section.uint32(7)
        section.string("ssh-ed25519".utf8)
        section.string([UInt8](repeating: 1, count: 32))
        section.string([UInt8](repeating: 2, count: 64))
        var writer = SSHWriter()
        for byte in Array("openssh-key-v1\0".utf8) { writer.byte(byte) }
        edit(&writer)
        if writer.bytes.count == 15 {
            writer.string("none".utf8)
            writer.string("none".utf8)
            writer.string([])
            writer.uint32(1)
            writer.string(key("ssh-ed25519"))
            writer.string(section.bytes)
        }
        let body = String(decoding: Base64.encoded(writer.bytes), as: UTF8.self)
        return Array("-----BEGIN OPENSSH PRIVATE KEY-----\n\(body)\n-----END OPENSSH PRIVATE KEY-----\n".utf8)
    }

    @Test("an unencrypted ed25519 key gives its seed")
    func opens() throws {
        let read = try SSHKeyContainer(container())
        #expect(!read.isEncrypted)
        #expect(
            try SSHPrivateKey(section: read.privateSection, wasEncrypted: false)
                == .ed25519(seed: Array(repeating: 2, count: 32)))
    }

    @Test("check numbers that differ mean a wrong passphrase, but only in an encrypted key")
    func checkNumbers() {
        let section: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 2]
        #expect(throws: SSHKeyError(.wrongPassphrase, "the passphrase is wrong")) {
            try SSHPrivateKey(section: section, wasEncrypted: true)
        }
        #expect(throws: SSHKeyError.self) { try SSHPrivateKey(section: section, wasEncrypted: false) }
    }

    @Test("absurd rounds of the key derivation are refused, so that a file cannot stop us")
    func rounds() {
        let file = container { writer in
            var options = SSHWriter()
            options.string([UInt8](repeating: 1, count: 16))
            options.uint32(.max)
            writer.string("aes256-ctr".utf8)
            writer.string("bcrypt".utf8)
            writer.string(options.bytes)
            writer.uint32(1)
            writer.string(key("ssh-ed25519"))
            writer.string([UInt8](repeating: 0, count: 64))
        }
        #expect(throws: SSHKeyError.self) { try SSHKeyContainer(file) }
    }

    @Test("a key file cut at any byte is refused without a trap")
    func cutContainer() throws {
        let file = container()
        for length in 0..<(file.count - 1) {
            #expect(throws: SSHKeyError.self) { try SSHKeyContainer(Array(file[..<length])) }
        }
        let section = try SSHKeyContainer(file).privateSection
        for length in 0..<section.count - 0 {
            #expect(throws: SSHKeyError.self) {
                try SSHPrivateKey(section: Array(section[..<length]), wasEncrypted: false)
            }
        }
    }

    @Test("an answer of an agent cut at any byte is refused without a trap")
    func agent() {
        var body = SSHWriter()
        body.byte(12)
        body.uint32(1)
        body.string(key("ssh-ed25519"))
        body.string("comment".utf8)
        #expect(SSHAgentReply.keys(body.bytes) == [key("ssh-ed25519")])
        for length in 0..<body.bytes.count { #expect(SSHAgentReply.keys(Array(body.bytes[..<length])) == nil) }
        var inner = SSHWriter()
        inner.string("rsa-sha2-512".utf8)
        inner.string([5, 6])
        var signature = SSHWriter()
        signature.byte(14)
        signature.string(inner.bytes)
        #expect(SSHAgentReply.signature(signature.bytes) == [5, 6])
        for length in 0..<signature.bytes.count {
            #expect(SSHAgentReply.signature(Array(signature.bytes[..<length])) == nil)
        }
    }

    @Test(
        "base64 is read only as an encoder writes it",
        arguments: [
            ("", true), ("QQ==", true), ("QUI=", true), ("QUJD", true), ("Q", false), ("QQ=", false), ("QQ", false),
            ("Q=Q=", false), ("Q!==", false),
        ])
    func base64(_ text: String, _ isGood: Bool) {
        #expect((Base64.decode(text.utf8) != nil) == isGood)
    }

    // MARK: Places

    @Test(
        "places are hosts with ports or paths",
        arguments: [
            ("h:22", "h:22"), ("192.0.2.1:1", "192.0.2.1:1"), ("[2001:db8::1]:65535", "[2001:db8::1]:65535"),
            ("/run/x.sock", "unix:///run/x.sock"), ("unix:///run/x.sock", "unix:///run/x.sock"),
            ("h", nil), ("h:", nil), ("h:0", nil), ("h:65536", nil), (":22", nil), ("2001:db8::1:22", nil),
            ("[h:22", nil),
            ("h:22x", nil), ("a b:22", nil), ("u@h:22", nil), ("[]:22", nil), ("h:+22", nil), ("", nil),
        ] as [(String, String?)])
    func places(_ text: String, _ expected: String?) { #expect(SocketPlace(parsing: text).map { "\($0)" } == expected) }

    @Test("a server without a port has port 22, an IPv6 address too")
    func defaultPort() {
        #expect(NetworkPlace(parsing: "h", defaultPort: 22) == NetworkPlace("h", 22))
        #expect(NetworkPlace(parsing: "2001:db8::1", defaultPort: 22) == NetworkPlace("2001:db8::1", 22))
        #expect(NetworkPlace(parsing: "[::1]:23", defaultPort: 22) == NetworkPlace("::1", 23))
    }
}
