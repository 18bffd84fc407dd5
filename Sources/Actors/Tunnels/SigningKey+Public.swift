import CCrypto
import Glibc
import Pipeline

extension SigningKey {
    /// What a key is and the ways in which it can sign.
    static func describe(_ key: OpaquePointer) throws(SSHKeyError) -> (Kind, [Method]) {
        switch EVP_PKEY_get_id(key) {
        case EVP_PKEY_ED25519:
            var point = [UInt8](repeating: 0, count: 32)
            var length = point.count
            guard EVP_PKEY_get_raw_public_key(key, &point, &length) == 1, length == 32 else { break }
            return (.ed25519, [method("ssh-ed25519", [point])])
        case EVP_PKEY_RSA:
            guard let modulus = number(key, "n"), let exponent = number(key, "e") else { break }
            // The server maps the name of the signature to its RSA keys.
            return (
                .rsa,
                ["rsa-sha2-512", "rsa-sha2-256"].map { name in
                    var writer = SSHWriter()
                    writer.string(name.utf8)
                    writer.number(exponent)
                    writer.number(modulus)
                    return Method(algorithm: name, publicKey: writer.bytes)
                }
            )
        case EVP_PKEY_EC:
            let curves = ["prime256v1": "nistp256", "secp384r1": "nistp384", "secp521r1": "nistp521"]
            var name = [CChar](repeating: 0, count: 32)
            var length = 0
            guard EVP_PKEY_get_utf8_string_param(key, "group", &name, name.count, &length) == 1 else { break }
            let group = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            var point = [UInt8](repeating: 0, count: 200)
            guard let curve = curves[group],
                EVP_PKEY_get_octet_string_param(key, "pub", &point, point.count, &length) == 1, length <= point.count
            else { break }
            return (.ecdsa, [method("ecdsa-sha2-\(curve)", [Array(curve.utf8), Array(point[..<length])])])
        default: break
        }
        throw SSHKeyError(.unsupported, "keys of this type are not supported; use ed25519, ecdsa or rsa")
    }

    private static func method(_ algorithm: String, _ parts: [[UInt8]]) -> Method {
        var writer = SSHWriter()
        writer.string(algorithm.utf8)
        for part in parts { writer.string(part) }
        return Method(algorithm: algorithm, publicKey: writer.bytes)
    }

    private static func number(_ key: OpaquePointer, _ name: String) -> [UInt8]? {
        var number: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, name, &number) == 1, let number else { return nil }
        defer { BN_free(number) }
        return bytes(of: number)
    }

    /// The fingerprint of the public key as `ssh-add -l` prints it.
    var fingerprint: String {
        guard let method = methods.first else { return "" }
        // An RSA key is called ssh-rsa there, whatever it signs with.
        guard kind == .rsa else { return SSHDigests.system.fingerprint(of: method.publicKey) }
        var writer = SSHWriter()
        writer.string("ssh-rsa".utf8)
        return SSHDigests.system.fingerprint(
            of: writer.bytes + method.publicKey.dropFirst(4 + method.algorithm.utf8.count))
    }
}

/// Makes libcrypto's key of the numbers of a key file.
enum KeyBuilder {
    /// `numbers` by libcrypto's names, most significant byte first; `octets` are texts and points. nil when refused.
    static func key(_ type: String, numbers: [String: [UInt8]], octets: [String: [UInt8]] = [:]) -> OpaquePointer? {
        guard let builder = OSSL_PARAM_BLD_new() else { return nil }
        // The builder refers to names, octets and numbers until the parameters are made.
        var kept: [UnsafeMutablePointer<CChar>] = []
        var secrets: [OpaquePointer] = []
        defer {
            OSSL_PARAM_BLD_free(builder)
            for copy in kept { free(copy) }
            for secret in secrets { BN_clear_free(secret) }
        }
        func keep(_ bytes: [UInt8]) -> UnsafeMutablePointer<CChar>? {
            guard let copy = calloc(bytes.count + 1, 1) else { return nil }
            copy.copyMemory(from: bytes, byteCount: bytes.count)
            kept.append(copy.assumingMemoryBound(to: CChar.self))
            return kept.last
        }
        for (name, bytes) in octets {
            guard let key = keep(Array(name.utf8)), let value = keep(bytes) else { return nil }
            let isPushed =
                name == "group"
                ? OSSL_PARAM_BLD_push_utf8_string(builder, key, value, 0)
                : OSSL_PARAM_BLD_push_octet_string(builder, key, value, bytes.count)
            guard isPushed == 1 else { return nil }
        }
        for (name, bytes) in numbers {
            guard let key = keep(Array(name.utf8)),
                let number = BN_bin2bn(bytes, Int32(clamping: bytes.count), nil)
            else { return nil }
            secrets.append(number)
            guard OSSL_PARAM_BLD_push_BN(builder, key, number) == 1 else { return nil }
        }
        guard let parameters = OSSL_PARAM_BLD_to_param(builder) else { return nil }
        defer { OSSL_PARAM_free(parameters) }
        guard let context = EVP_PKEY_CTX_new_from_name(nil, type, nil) else { return nil }
        defer { EVP_PKEY_CTX_free(context) }
        var key: OpaquePointer?
        // EVP_PKEY_KEYPAIR, a macro of macros: private and public part and all parameters.
        let keyPair: Int32 = 0x87
        guard EVP_PKEY_fromdata_init(context) == 1,
            EVP_PKEY_fromdata(context, &key, keyPair, parameters) == 1
        else { return nil }
        return key
    }
}
