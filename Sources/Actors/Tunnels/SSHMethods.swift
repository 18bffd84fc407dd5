import CSSH2

/// The algorithms that a server is offered, the best first.
///
/// Left out on purpose: group exchange, whose prime the server chooses, so that one could keep the loop at work for
/// minutes; the group of 8,192 bits, which takes half a second; ciphers in CBC mode and with blocks of other sizes than
/// 16 bytes, for which `SSHFraming` does not hold; SHA-1 and MD5 for keys.
enum SSHMethods {
    static let keyExchange = [
        "curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521", "diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256",
    ]
    /// Kinds of host keys; RSA would be checked with SHA-1.
    static let hostKeys = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
    static let ciphers = ["aes128-ctr", "aes192-ctr", "aes256-ctr"]
    static let macs = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha1"]

    /// Makes a new session offer them.
    static func offer(on session: OpaquePointer) {
        for (kind, names) in [
            (LIBSSH2_METHOD_KEX, keyExchange), (LIBSSH2_METHOD_HOSTKEY, hostKeys), (LIBSSH2_METHOD_CRYPT_CS, ciphers),
            (LIBSSH2_METHOD_CRYPT_SC, ciphers), (LIBSSH2_METHOD_MAC_CS, macs), (LIBSSH2_METHOD_MAC_SC, macs),
        ] {
            _ = libssh2_session_method_pref(session, kind, names.joined(separator: ","))
        }
    }

    /// The bytes of the MAC behind each packet of the server.
    static func macLength(of session: OpaquePointer) -> Int {
        guard let name = libssh2_session_methods(session, LIBSSH2_METHOD_MAC_SC) else { return 0 }
        switch String(cString: name) {
        case "hmac-sha2-256": return 32
        case "hmac-sha2-512": return 64
        default: return 20
        }
    }
}
