import CCrypto
import Glibc
import Logging
import Pipeline
import Synchronization

/// Why a listener cannot speak TLS: a file that cannot be used, with OpenSSL's words.
public struct ServerTLSError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String

    init(_ what: String, _ file: String) {
        let reason = ServerTLSError.reason()
        description = "\(what) \(file) cannot be used" + (reason.isEmpty ? "" : ": \(reason)")
    }

    init(_ text: String) { description = text }

    /// The last entry of OpenSSL's queue of errors, which is emptied.
    static func reason() -> String { lastError().text }

    /// The same with its number; 0 for none.
    static func lastError() -> (code: UInt, text: String) {
        let code = ERR_peek_last_error()
        ERR_clear_error()
        guard code != 0, let text = ERR_reason_error_string(code) else { return (code, "") }
        return (code, String(cString: text))
    }
}

/// The certificate of a listener and what it demands of clients, as an OpenSSL context that can be exchanged.
///
/// Sessions hold the context they began with, so that a reload disturbs no connection. Sessions are not resumed: a
/// client whose authority is gone after a reload does not come back by a ticket.
public final class ServerTLS: Sendable {
    public let settings: ServerTLSSettings
    private let log: Logger
    /// Owns one reference. As a number, since OpenSSL's contexts may be used by any thread and Swift's pointers may not.
    private struct Context: ~Copyable {
        let address: UInt
        init(_ pointer: OpaquePointer) { address = UInt(bitPattern: pointer) }
        var pointer: OpaquePointer? { OpaquePointer(bitPattern: address) }
        deinit { SSL_CTX_free(pointer) }
    }
    private let context: Mutex<Context>
    private let failures = Mutex<[HandshakeFailure: Int]>([:])
    let lane: HandshakeLane

    /// Errors: a file that is missing or bad. An authority file without an authority is bad: nobody is let in by mistake.
    public init(_ settings: ServerTLSSettings, log: Logger) throws(ServerTLSError) {
        self.settings = settings
        self.log = log
        lane = HandshakeLane(limit: settings.handshakes)
        context = Mutex(try ServerTLS.makeContext(settings))
    }

    /// Reads all files again; new connections get what they say. Errors: nothing has changed then.
    public func reload() throws(ServerTLSError) {
        try context.withLock { context throws(ServerTLSError) in context = try ServerTLS.makeContext(settings) }
    }

    /// A session of a new connection, which the caller frees; nil without memory.
    func makeSession() -> OpaquePointer? {
        OpaquePointer(bitPattern: context.withLock { UInt(bitPattern: SSL_new($0.pointer)) })
    }

    /// What it has done, and what it shows.
    public var figures: ServerTLSFigures {
        var figures = ServerTLSFigures()
        figures.failures = failures.withLock { $0 }
        (figures.handshakes, figures.waitingHandshakes) = lane.counts
        figures.certificateExpiry = expiry
        return figures
    }

    private var expiry: Int64? {
        context.withLock { context in
            guard let own = SSL_CTX_get0_certificate(context.pointer), let end = X509_get0_notAfter(own) else {
                return nil
            }
            var time = tm()
            return ASN1_TIME_to_tm(end, &time) == 1 ? Int64(timegm(&time)) : nil
        }
    }

    // MARK: Failures

    /// Counts it and says it: `text` is the reason in OpenSSL's words, `certificate` what the peer has shown. The log holds
    /// back what repeats.
    func failed(_ failure: HandshakeFailure, _ text: String, peer: String, certificate: TLSPeer? = nil) {
        failures.withLock { $0[failure, default: 0] += 1 }
        var details: Logger.Metadata = ["peer": "\(peer)"]
        if let certificate {
            details["serial"] = "\(certificate.serial)"
            details["names"] = "\(certificate.dnsNames.prefix(8).joined(separator: " "))"
        }
        log.warning("TLS handshake refused: \(text)", metadata: details)
    }

    // MARK: The context

    private static func makeContext(_ settings: ServerTLSSettings) throws(ServerTLSError) -> Context {
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_server_method()) else { throw ServerTLSError("no memory for TLS") }
        let owner = Context(context)
        try configure(context, settings)
        return owner
    }

    private static func configure(
        _ context: OpaquePointer, _ settings: ServerTLSSettings
    ) throws(ServerTLSError) {
        _ = godwit_ssl_set_min_version(context, settings.requiresTLS13 ? TLS1_3_VERSION : TLS1_2_VERSION)
        _ = SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20")
        let noTickets: UInt64 = 1 << 14
        let noRenegotiation: UInt64 = 1 << 30
        SSL_CTX_set_options(context, noTickets | noRenegotiation)
        _ = SSL_CTX_set_num_tickets(context, 0)
        _ = godwit_ssl_cache_off(context)
        // A waiting connection keeps no buffers.
        _ = godwit_ssl_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        SSL_CTX_set_alpn_select_cb(context, selectProtocol, nil)
        guard SSL_CTX_use_certificate_chain_file(context, settings.certificate) == 1 else {
            throw ServerTLSError("certificate", settings.certificate)
        }
        try useKey(settings.key, context)
        guard SSL_CTX_check_private_key(context) == 1 else {
            throw ServerTLSError("the key \(settings.key) is not that of the certificate \(settings.certificate)")
        }
        guard settings.clients != .none else { return }
        for file in settings.clientAuthorities {
            guard SSL_CTX_load_verify_file(context, file) == 1 else { throw ServerTLSError("authority", file) }
        }
        guard let names = OPENSSL_sk_new_null() else { throw ServerTLSError("no memory for TLS") }
        for file in settings.clientAuthorities { _ = SSL_add_file_cert_subjects_to_stack(names, file) }
        SSL_CTX_set_client_CA_list(context, names)
        try useRevocationLists(settings.revocationLists, context)
        let demand = settings.clients == .required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | demand | SSL_VERIFY_CLIENT_ONCE, TLSSession.noteCertificate)
    }

    /// From then on each client's certificate is looked up in the list of its authority; without a list of that authority,
    /// or with one that is out of date, nobody is let in.
    private static func useRevocationLists(_ file: String, _ context: OpaquePointer) throws(ServerTLSError) {
        guard !file.isEmpty else { return }
        guard let store = SSL_CTX_get_cert_store(context),
            let lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file())
        else { throw ServerTLSError("no memory for TLS") }
        guard X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) > 0 else {
            throw ServerTLSError("revocation list", file)
        }
        _ = X509_STORE_set_flags(store, UInt(X509_V_FLAG_CRL_CHECK))
    }

    private static func useKey(_ file: String, _ context: OpaquePointer) throws(ServerTLSError) {
        guard let input = BIO_new_file(file, "r") else { throw ServerTLSError("key", file) }
        defer { BIO_free(input) }
        // An empty passphrase for one that is encrypted: without any, OpenSSL would ask on the terminal.
        var passphrase: [CChar] = [0]
        let key = passphrase.withUnsafeMutableBytes { PEM_read_bio_PrivateKey(input, nil, nil, $0.baseAddress) }
        guard let key else { throw ServerTLSError("key", file) }
        defer { EVP_PKEY_free(key) }
        guard SSL_CTX_use_PrivateKey(context, key) == 1 else { throw ServerTLSError("key", file) }
    }
}

/// Chooses `http/1.1` from what a client offers (a list of length-prefixed names); without it nothing is said.
private func selectProtocol(
    _: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ chosenLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ length: UInt32,
    _: UnsafeMutableRawPointer?
) -> Int32 {
    guard let offered, let chosen, let chosenLength else { return SSL_TLSEXT_ERR_NOACK }
    let list = UnsafeBufferPointer(start: offered, count: Int(length))
    var index = 0
    while index < list.count {
        let end = index + 1 + Int(list[index])
        guard end <= list.count else { break }
        if list[(index + 1)..<end].elementsEqual("http/1.1".utf8) {
            chosen.pointee = offered + index + 1
            chosenLength.pointee = list[index]
            return SSL_TLSEXT_ERR_OK
        }
        index = end
    }
    return SSL_TLSEXT_ERR_NOACK
}
