import CSSH2

/// libssh2 as a whole.
enum SSHLibrary {
    /// Once a process, before the first session.
    static let isReady = libssh2_init(0) == 0

    /// Whether a return code means that the session is of no use any more.
    static func isFatal(_ code: Int) -> Bool {
        switch Int32(clamping: code) {
        case LIBSSH2_ERROR_SOCKET_NONE, LIBSSH2_ERROR_BANNER_RECV, LIBSSH2_ERROR_BANNER_SEND, LIBSSH2_ERROR_INVALID_MAC,
            LIBSSH2_ERROR_SOCKET_SEND, LIBSSH2_ERROR_DECRYPT, LIBSSH2_ERROR_SOCKET_DISCONNECT, LIBSSH2_ERROR_PROTO,
            LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_ENCRYPT, LIBSSH2_ERROR_BAD_SOCKET, LIBSSH2_ERROR_ALLOC,
            LIBSSH2_ERROR_OUT_OF_BOUNDARY, LIBSSH2_ERROR_BAD_USE, LIBSSH2_ERROR_KEX_FAILURE,
            LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE:
            true
        default: false
        }
    }

    /// What a fault of the connection means, for which libssh2 has no words of its own.
    private static func meaning(of code: Int) -> String? {
        switch Int32(clamping: code) {
        case LIBSSH2_ERROR_INVALID_MAC: "the server sent a packet with a wrong checksum"
        case LIBSSH2_ERROR_DECRYPT: "the server sent a packet that cannot be right"
        case LIBSSH2_ERROR_OUT_OF_BOUNDARY: "the server sent a packet of an impossible length"
        case LIBSSH2_ERROR_ALLOC: "the server made the session need more memory than it may have"
        case LIBSSH2_ERROR_SOCKET_DISCONNECT: "the server ended the session"
        case LIBSSH2_ERROR_SOCKET_RECV, LIBSSH2_ERROR_SOCKET_SEND: "the connection broke"
        default: nil
        }
    }

    /// libssh2's words for its last error, printable and short.
    static func text(of session: OpaquePointer, code: Int) -> String {
        if let meaning = meaning(of: code) { return "\(meaning) (\(code))" }
        var message: UnsafeMutablePointer<CChar>?
        var length: Int32 = 0
        _ = libssh2_session_last_error(session, &message, &length, 0)
        let words = message.map { String(cString: $0) } ?? ""
        return words.isEmpty ? "libssh2 error \(code)" : "\(words) (\(code))"
    }
}
