/// Why a handshake of a listener came to nothing: a fixed set, so that its counters stay few whatever peers send.
public enum HandshakeFailure: String, Sendable, Hashable, CaseIterable {
    /// A request without TLS.
    case plainHTTP = "plain_http"
    /// The peer speaks only versions or ciphers that are too old.
    case version
    /// Records that are no TLS, or a handshake that is none.
    case malformed
    /// The peer was asked for a certificate and has shown none.
    case noCertificate = "no_certificate"
    case expired
    case notYetValid = "not_yet_valid"
    /// No authority of ours has signed it.
    case unknownAuthority = "unknown_authority"
    /// It is not for clients.
    case wrongUsage = "wrong_usage"
    case revoked
    /// The authority's revocation list is missing, expired or broken: nobody is let in by mistake.
    case revocationList = "revocation_list"
    /// It carries none of the names that are allowed.
    case wrongName = "wrong_name"
    /// Anything else about the certificate.
    case badCertificate = "bad_certificate"
    /// The peer does not want our certificate.
    case refusedByPeer = "refused_by_peer"
    /// The peer left in the middle.
    case left
    case timeout
    /// Too many shook hands at once, and its turn did not come.
    case crowded
}
