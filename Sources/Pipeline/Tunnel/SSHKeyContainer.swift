/// Why a key file cannot be used. The text never repeats its content.
public struct SSHKeyError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable { case malformed, unsupported, needsPassphrase, wrongPassphrase }
    public var code: Code
    public var description: String

    public init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }
}

/// A private key in OpenSSH's own format, before it is decrypted.
///
/// Shape: `-----BEGIN OPENSSH PRIVATE KEY-----`, base64 of: `openssh-key-v1\0`, string cipher, string kdf, string kdf
/// options (string salt, uint32 rounds), uint32 number of keys (1), string public key, string private section.
/// Source: OpenSSH, PROTOCOL.key.
public struct SSHKeyContainer: Sendable, Hashable {
    public static let sizeLimit = 64 * 1024
    /// Rounds of the key derivation; each costs about 3 ms.
    public static let roundsLimit: UInt32 = 1_024
    private static let begin = Array("-----BEGIN OPENSSH PRIVATE KEY-----".utf8)
    private static let end = Array("-----END OPENSSH PRIVATE KEY-----".utf8)

    /// `none`, or the cipher's name.
    public var cipher: String
    public var salt: [UInt8]
    public var rounds: UInt32
    public var publicKey: [UInt8]
    /// Encrypted unless the cipher is `none`.
    public var privateSection: [UInt8]

    public var isEncrypted: Bool { cipher != "none" }

    /// Whether a file is of this format at all.
    public static func isOne(_ file: [UInt8]) -> Bool { file.trimmedBytes.starts(with: begin) }

    public init(_ file: [UInt8]) throws(SSHKeyError) {
        let text = file.trimmedBytes
        guard text.count <= Self.sizeLimit, text.starts(with: Self.begin), text.hasSuffix(Self.end),
            text.count >= Self.begin.count + Self.end.count
        else { throw SSHKeyError(.malformed, "no key of OpenSSH's format") }
        let body = text[Self.begin.count..<(text.count - Self.end.count)]
        guard let bytes = Base64.decode(body.filter { $0 > 0x20 }) else {
            throw SSHKeyError(.malformed, "the key is not in base64")
        }
        let magic = Array("openssh-key-v1\0".utf8)
        guard bytes.starts(with: magic) else { throw SSHKeyError(.malformed, "the key has another version") }
        var reader = SSHReader(bytes, from: magic.count)
        guard let cipher = reader.text(), let kdf = reader.text(), let options = reader.string(),
            let count = reader.uint32(), let publicKey = reader.string(), let section = reader.string()
        else { throw SSHKeyError(.malformed, "the key is cut") }
        guard count == 1 else { throw SSHKeyError(.unsupported, "the file holds \(count) keys, not one") }
        self.cipher = cipher
        self.publicKey = publicKey
        privateSection = section
        salt = []
        rounds = 0
        guard cipher != "none" || kdf == "none" else {
            throw SSHKeyError(.malformed, "a key derivation without cipher")
        }
        guard cipher != "none" else { return }
        guard kdf == "bcrypt" else { throw SSHKeyError(.unsupported, "the key derivation is not bcrypt") }
        var derivation = SSHReader(options)
        guard let salt = derivation.string(), let rounds = derivation.uint32(), (1...64).contains(salt.count),
            (1...Self.roundsLimit).contains(rounds)
        else { throw SSHKeyError(.malformed, "salt or rounds of the key derivation are out of bounds") }
        self.salt = salt
        self.rounds = rounds
    }
}

/// A private key as the decrypted section has it. Numbers have their most significant byte first.
public enum SSHPrivateKey: Sendable, Hashable {
    case ed25519(seed: [UInt8])
    /// `curve` is `nistp256`, `nistp384` or `nistp521`; `point` is uncompressed.
    case ecdsa(curve: String, point: [UInt8], secret: [UInt8])
    case rsa(modulus: [UInt8], exponent: [UInt8], secret: [UInt8])

    /// `section` is decrypted. Errors: `wrongPassphrase` when its check numbers differ.
    public init(section: [UInt8], wasEncrypted: Bool) throws(SSHKeyError) {
        var reader = SSHReader(section)
        guard let first = reader.uint32(), let second = reader.uint32() else { throw Self.cut }
        guard first == second else {
            throw wasEncrypted ? SSHKeyError(.wrongPassphrase, "the passphrase is wrong") : Self.cut
        }
        guard let type = reader.text() else { throw Self.cut }
        switch type {
        case "ssh-ed25519":
            guard reader.string()?.count == 32, let pair = reader.string(), pair.count == 64 else { throw Self.cut }
            self = .ed25519(seed: Array(pair[..<32]))
        case "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
            guard let curve = reader.text(), type.hasSuffix(curve), let point = reader.string(),
                let secret = reader.string(), point.count <= 133, secret.count <= 67
            else { throw Self.cut }
            self = .ecdsa(curve: curve, point: point, secret: secret)
        case "ssh-rsa":
            guard let modulus = reader.string(), let exponent = reader.string(), let secret = reader.string(),
                modulus.count <= 2_049, exponent.count <= 2_049, secret.count <= 2_049
            else { throw Self.cut }
            self = .rsa(modulus: modulus, exponent: exponent, secret: secret)
        default:
            throw SSHKeyError(.unsupported, "keys of this type are not supported; use ed25519, ecdsa or rsa")
        }
    }

    private static let cut = SSHKeyError(.malformed, "the private part of the key is cut")
}

extension [UInt8] {
    /// Without white space at both ends.
    var trimmedBytes: [UInt8] {
        let cursor = ByteCursor(self)
        return Array(self[cursor.trimmed(0..<count)])
    }

    func hasSuffix(_ other: [UInt8]) -> Bool {
        count >= other.count && self[(count - other.count)...].elementsEqual(other)
    }
}
