import Glibc
import Pipeline
import Testing

@testable import Actors

/// Key files as ssh-keygen makes them: each kind, format and protection.
@Suite("Key files")
struct SigningKeyTests {
    private let folder: String

    init() {
        var template = Array("/tmp/gw-keys-XXXXXX".utf8CString)
        folder = String(cString: mkdtemp(&template))
    }

    /// Runs a command; what it printed.
    private func shell(_ command: String) -> String {
        guard let pipe = popen(command, "r") else { return "" }
        defer { pclose(pipe) }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, pipe)], as: UTF8.self)
    }

    private static var hasKeygen: Bool { access("/usr/bin/ssh-keygen", X_OK) == 0 }

    @Test(
        "a key of ssh-keygen opens, has the fingerprint that ssh-keygen prints, and signs",
        .enabled(if: hasKeygen),
        arguments: [
            "-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521", "-t rsa -b 2048",
            "-t rsa -b 2048 -m PEM", "-t rsa -b 2048 -m PKCS8", "-t ecdsa -m PEM",
        ], ["", "open sesame"])
    func opens(_ kind: String, _ passphrase: String) throws {
        defer { _ = shell("rm -rf \(folder)") }
        let path = "\(folder)/key"
        _ = shell("ssh-keygen -q \(kind) -a 2 -N '\(passphrase)' -f \(path) </dev/null")
        let file = try PrivateFile.read(path)
        let key = try SigningKey(file: file, passphrase: Secret(passphrase))
        #expect(
            key.fingerprint
                == shell("ssh-keygen -lf \(path).pub").split(separator: " ").dropFirst().first.map(String.init))
        for method in key.methods {
            let data = Array("to be signed".utf8)
            let signature = data.withUnsafeBufferPointer { key.sign($0, algorithm: method.algorithm) }
            #expect(try #require(signature).count >= 64)
        }
        guard !passphrase.isEmpty else { return }
        for wrong in ["", "wrong"] {
            #expect(throws: SSHKeyError.self) { try SigningKey(file: file, passphrase: Secret(wrong)) }
        }
    }

    @Test("what Blowfish begins with is π")
    func pi() {
        let start = BcryptKey.blowfishStart()
        #expect(start.count == 1_042)
        #expect(Array(start.prefix(4)) == [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344])
        #expect(start.last == 0x3AC3_72E6)
    }

    @Test("a key that others can read, a folder, and a missing file are refused")
    func modes() {
        defer { _ = shell("rm -rf \(folder)") }
        _ = shell("touch \(folder)/key && chmod 644 \(folder)/key && mkfifo -m 600 \(folder)/fifo")
        for name in ["key", "", "missing", "fifo"] {
            #expect(throws: FileComplaint.self) { try PrivateFile.read("\(folder)/\(name)") }
        }
    }

    @Test("a key file cut anywhere is refused without a trap")
    func cut() throws {
        defer { _ = shell("rm -rf \(folder)") }
        _ = shell(
            "ssh-keygen -q -t ed25519 -N '' -f \(folder)/key; ssh-keygen -q -t rsa -m PEM -b 1024 -N '' -f \(folder)/pem"
        )
        for name in ["key", "pem"] {
            let file = try PrivateFile.read("\(folder)/\(name)")
            for length in stride(from: 0, to: file.count - 40, by: 7) {
                #expect(throws: SSHKeyError.self) { try SigningKey(file: Array(file[..<length]), passphrase: .none) }
            }
        }
    }

    @Test("hashed names and fingerprints agree with OpenSSH's", .enabled(if: hasKeygen))
    func knownHosts() throws {
        defer { _ = shell("rm -rf \(folder)") }
        _ = shell("ssh-keygen -q -t ed25519 -N '' -f \(folder)/key")
        _ = shell(
            "(printf '[h.example]:2222 '; cut -d' ' -f1,2 \(folder)/key.pub) >\(folder)/hosts; ssh-keygen -q -H -f \(folder)/hosts 2>&1"
        )
        let hosts = try KnownHosts(PrivateFile.read("\(folder)/hosts", mayBeReadByOthers: true))
        #expect(hosts.types(for: NetworkPlace("h.example", 2222), .system) == ["ssh-ed25519"])
        #expect(hosts.types(for: NetworkPlace("h.example", 22), .system) == [])
    }

}
