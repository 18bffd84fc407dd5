import CCrypto
import Pipeline

/// Why a handshake came to nothing: for the counter, and in OpenSSL's words for the log.
struct TLSVerdict {
    var failure: HandshakeFailure
    var text: String

    /// Of a session whose handshake has just failed; empties OpenSSL's queue of errors.
    init(of session: OpaquePointer?) {
        let verdict = SSL_get_verify_result(session)
        let (code, words) = ServerTLSError.lastError()
        if verdict != X509_V_OK, let reason = X509_verify_cert_error_string(verdict) {
            failure = TLSVerdict.failure(ofCertificate: Int32(truncatingIfNeeded: verdict))
            text = "the client's certificate is refused: " + String(cString: reason)
        } else {
            failure = code == 0 ? .left : TLSVerdict.failure(ofHandshake: godwit_err_reason(code))
            text = words.isEmpty ? "the peer left" : words
        }
    }

    private static func failure(ofCertificate code: Int32) -> HandshakeFailure {
        switch code {
        case X509_V_ERR_CERT_HAS_EXPIRED: .expired
        case X509_V_ERR_CERT_NOT_YET_VALID: .notYetValid
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
            X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_CERT_SIGNATURE_FAILURE, X509_V_ERR_CERT_UNTRUSTED:
            .unknownAuthority
        case X509_V_ERR_INVALID_PURPOSE: .wrongUsage
        case X509_V_ERR_CERT_REVOKED: .revoked
        case X509_V_ERR_UNABLE_TO_GET_CRL, X509_V_ERR_CRL_HAS_EXPIRED, X509_V_ERR_CRL_NOT_YET_VALID,
            X509_V_ERR_CRL_SIGNATURE_FAILURE, X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
            .revocationList
        default: .badCertificate
        }
    }

    private static func failure(ofHandshake reason: Int32) -> HandshakeFailure {
        switch reason {
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: .noCertificate
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_NO_SHARED_CIPHER,
            SSL_R_NO_PROTOCOLS_AVAILABLE:
            .version
        case SSL_R_UNEXPECTED_EOF_WHILE_READING: .left
        // Alerts of the peer.
        case let alert where alert >= SSL_AD_REASON_OFFSET: .refusedByPeer
        default: .malformed
        }
    }
}
