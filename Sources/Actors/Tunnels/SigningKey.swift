import CCrypto
import Pipeline

/// A user's private key, ready to sign: from a file of OpenSSH's format or PEM, with or without a passphrase.
///
/// Why not libssh2's own reading: it signs with RSA as of 1987 (SHA-1), which servers refuse. So keys are opened here
/// and sign through its callback.
final class SigningKey: Sendable {
    /// One way in which the key can sign, with the public key as this way wants it.
    struct Method: Sendable {
        let algorithm: String
        let publicKey: [UInt8]
    }

    enum Kind { case ed25519, ecdsa, rsa }

    /// In the order in which they are tried.
    let methods: [Method]
    let kind: Kind
    /// The address of libcrypto's key. It is only read from here on, so any thread may sign.
    private let address: UInt

    deinit { EVP_PKEY_free(OpaquePointer(bitPattern: address)) }

    /// Errors: `SSHKeyError`. Cost: up to seconds for an encrypted key; never on a loop.
    init(file: [UInt8], passphrase: Secret) throws(SSHKeyError) {
        let key =
            SSHKeyContainer.isOne(file)
            ? try Self.open(SSHKeyContainer(file), passphrase) : try Self.openPEM(file, passphrase)
        address = UInt(bitPattern: key)
        do throws(SSHKeyError) {
            (kind, methods) = try Self.describe(key)
        } catch {
            EVP_PKEY_free(key)
            throw error
        }
    }

    /// A signature in SSH's form, without its type and length; nil when libcrypto fails.
    func sign(_ data: UnsafeBufferPointer<UInt8>, algorithm: String) -> [UInt8]? {
        guard let key = OpaquePointer(bitPattern: address), let context = EVP_MD_CTX_new() else { return nil }
        defer { EVP_MD_CTX_free(context) }
        let digest: OpaquePointer?
        switch algorithm {
        case "ssh-ed25519": digest = nil
        case "rsa-sha2-512", "ecdsa-sha2-nistp521": digest = EVP_sha512()
        case "ecdsa-sha2-nistp384": digest = EVP_sha384()
        default: digest = EVP_sha256()
        }
        var length = 0
        guard EVP_DigestSignInit(context, nil, digest, nil, key) == 1,
            EVP_DigestSign(context, nil, &length, data.baseAddress, data.count) == 1
        else { return nil }
        var signature = [UInt8](repeating: 0, count: length)
        guard EVP_DigestSign(context, &signature, &length, data.baseAddress, data.count) == 1 else { return nil }
        signature.removeSubrange(min(length, signature.count)...)
        return kind == .ecdsa ? Self.pair(fromDER: signature) : signature
    }

    /// ECDSA's two numbers, from DER to SSH's form.
    private static func pair(fromDER der: [UInt8]) -> [UInt8]? {
        var writer = SSHWriter()
        let isRead = der.withUnsafeBufferPointer { buffer in
            var cursor = buffer.baseAddress
            guard let pair = d2i_ECDSA_SIG(nil, &cursor, buffer.count) else { return false }
            defer { ECDSA_SIG_free(pair) }
            writer.number(bytes(of: ECDSA_SIG_get0_r(pair)))
            writer.number(bytes(of: ECDSA_SIG_get0_s(pair)))
            return true
        }
        return isRead ? writer.bytes : nil
    }

    static func bytes(of number: OpaquePointer?) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, Int(BN_num_bits(number)) + 7) / 8)
        _ = BN_bn2bin(number, &bytes)
        return bytes
    }

    // MARK: Opening

    private static func openPEM(_ file: [UInt8], _ passphrase: Secret) throws(SSHKeyError) -> OpaquePointer {
        guard file.count <= SSHKeyContainer.sizeLimit, let memory = BIO_new_mem_buf(file, Int32(clamping: file.count))
        else { throw SSHKeyError(.malformed, "no private key in it") }
        defer { BIO_free(memory) }
        // Never nil: libcrypto would ask on the terminal.
        var secret = Array(passphrase.revealed.utf8CString)
        let key = secret.withUnsafeMutableBytes { PEM_read_bio_PrivateKey(memory, nil, nil, $0.baseAddress) }
        ERR_clear_error()
        if let key { return key }
        guard let text = String(validating: file, as: UTF8.self), text.contains("PRIVATE KEY") else {
            throw SSHKeyError(.malformed, "no private key in it")
        }
        guard text.contains("ENCRYPTED") else { throw SSHKeyError(.malformed, "the PEM key cannot be read") }
        throw passphrase.isEmpty
            ? SSHKeyError(.needsPassphrase, "the key needs a passphrase")
            : SSHKeyError(.wrongPassphrase, "the passphrase is wrong")
    }

    private static func open(_ container: SSHKeyContainer, _ passphrase: Secret) throws(SSHKeyError) -> OpaquePointer {
        var section = container.privateSection
        if container.isEncrypted {
            guard !passphrase.isEmpty else { throw SSHKeyError(.needsPassphrase, "the key needs a passphrase") }
            section = try decrypt(container, passphrase)
        }
        let key: OpaquePointer?
        switch try SSHPrivateKey(section: section, wasEncrypted: container.isEncrypted) {
        case .ed25519(let seed): key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)
        case .ecdsa(let curve, let point, let secret): key = ecdsa(curve, point, secret)
        case .rsa(let modulus, let exponent, let secret):
            key = KeyBuilder.key("RSA", numbers: ["n": modulus, "e": exponent, "d": secret])
        }
        guard let key else { throw SSHKeyError(.malformed, "libcrypto refuses the key") }
        return key
    }

    private static func decrypt(_ container: SSHKeyContainer, _ passphrase: Secret) throws(SSHKeyError) -> [UInt8] {
        let ciphers = [
            "aes128-ctr": ("AES-128-CTR", 16), "aes192-ctr": ("AES-192-CTR", 24), "aes256-ctr": ("AES-256-CTR", 32),
            "aes128-cbc": ("AES-128-CBC", 16), "aes192-cbc": ("AES-192-CBC", 24), "aes256-cbc": ("AES-256-CBC", 32),
        ]
        guard let (name, length) = ciphers[container.cipher], let cipher = EVP_get_cipherbyname(name) else {
            throw SSHKeyError(
                .unsupported, "its cipher is not supported; rewrite the key with ssh-keygen -p -Z aes256-ctr")
        }
        let material = BcryptKey.derive(
            passphrase: Array(passphrase.revealed.utf8), salt: container.salt, rounds: container.rounds,
            length: length + 16)
        guard let context = EVP_CIPHER_CTX_new() else { throw SSHKeyError(.malformed, "no memory") }
        defer { EVP_CIPHER_CTX_free(context) }
        var out = [UInt8](repeating: 0, count: container.privateSection.count + 32)
        var count: Int32 = 0
        guard EVP_DecryptInit_ex(context, cipher, nil, Array(material[..<length]), Array(material[length...])) == 1,
            EVP_CIPHER_CTX_set_padding(context, 0) == 1,
            EVP_DecryptUpdate(
                context, &out, &count, container.privateSection, Int32(clamping: container.privateSection.count)) == 1
        else { throw SSHKeyError(.malformed, "the private part of the key is cut") }
        return Array(out[..<Int(max(0, count))])
    }

    private static func ecdsa(_ curve: String, _ point: [UInt8], _ secret: [UInt8]) -> OpaquePointer? {
        let groups = ["nistp256": "prime256v1", "nistp384": "secp384r1", "nistp521": "secp521r1"]
        guard let group = groups[curve] else { return nil }
        return KeyBuilder.key("EC", numbers: ["priv": secret], octets: ["group": Array(group.utf8), "pub": point])
    }
}
