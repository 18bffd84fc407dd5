import CCrypto
import Pipeline
import Synchronization

/// Who a client proved to be by its certificate, which an authority of the listener has signed.
public struct TLSPeer: Sendable, Hashable {
    /// The alternative names: what counts. A common name proves nothing.
    public var dnsNames: [String] = []
    public var addresses: [IPAddress] = []
    public var uris: [String] = []
    /// For the log: as OpenSSL writes it, at most 255 bytes.
    public var subject = ""
    /// For the log: hexadecimal.
    public var serial = ""

    public init() {}

    /// What the session's peer has shown; nil when it has shown nothing.
    init?(session: OpaquePointer?) {
        guard let certificate = SSL_get1_peer_certificate(session) else { return nil }
        defer { X509_free(certificate) }
        self.init(certificate: certificate)
    }

    init(certificate: OpaquePointer) {
        var text = [CChar](repeating: 0, count: 256)
        X509_NAME_oneline(X509_get_subject_name(certificate), &text, Int32(text.count))
        subject = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        serial = TLSPeer.serial(of: certificate)
        guard let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) else { return }
        let names = OpaquePointer(raw)
        defer { GENERAL_NAMES_free(names) }
        // Bounds: a certificate with thousands of names is somebody's joke.
        for index in 0..<min(OPENSSL_sk_num(names), 1_024) {
            guard let entry = OPENSSL_sk_value(names, index) else { continue }
            add(entry.assumingMemoryBound(to: GENERAL_NAME.self))
        }
    }

    private mutating func add(_ name: UnsafeMutablePointer<GENERAL_NAME>) {
        var kind: Int32 = 0
        guard let value = GENERAL_NAME_get0_value(name, &kind) else { return }
        guard kind == GEN_DNS || kind == GEN_URI || kind == GEN_IPADD else { return }
        let string = value.assumingMemoryBound(to: ASN1_STRING.self)
        guard let start = ASN1_STRING_get0_data(string) else { return }
        let bytes = Array(UnsafeBufferPointer(start: start, count: Int(max(0, ASN1_STRING_length(string)))))
        switch kind {
        case GEN_IPADD: if let address = IPAddress(bytes: bytes) { addresses.append(address) }
        // A NUL or a blank within a name is an attempt to be read in two ways.
        case _ where bytes.contains(where: { $0 <= 0x20 || $0 >= 0x7F }): break
        case GEN_DNS: dnsNames.append(String(decoding: bytes, as: UTF8.self))
        default: uris.append(String(decoding: bytes, as: UTF8.self))
        }
    }

    private static func serial(of certificate: OpaquePointer) -> String {
        guard let number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nil) else { return "" }
        defer { BN_free(number) }
        guard let text = BN_bn2hex(number) else { return "" }
        defer { godwit_ssl_free_string(text) }
        return String(cString: text)
    }
}

extension TLSPeer {
    /// Why its names are not enough where one of `allowed` is wanted; nil when they are.
    func mistake(for allowed: [String]) -> String? {
        let wanted = Set(allowed.map { $0.lowercased() })
        if wanted.isEmpty || dnsNames.contains(where: { wanted.contains($0.lowercased()) }) { return nil }
        let names = dnsNames.isEmpty ? "no DNS name" : "the names " + dnsNames.joined(separator: ", ")
        return "the client's certificate (serial \(serial)) has \(names)"
    }
}

extension TLSHandler {
    /// Where the rest of the connection finds who the peer is, once the handshake is done.
    final class PeerSlot: Sendable {
        private let peer = Mutex<TLSPeer?>(nil)
        var value: TLSPeer? { peer.withLock { $0 } }
        func set(_ value: TLSPeer?) { peer.withLock { $0 = value } }
    }
}

/// Why a connection with TLS ended otherwise than both sides wanted.
public enum TLSError: Error, Sendable, Hashable {
    /// The peer left without saying so: what it sent may be a part of what it wanted to send.
    case truncated
    /// The records of the peer are broken.
    case broken(String)
}
