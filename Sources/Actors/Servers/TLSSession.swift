import CCrypto
import NIOCore
import Pipeline

/// A session of OpenSSL between two buffers in memory. Server side.
final class TLSSession {
    let session: OpaquePointer
    /// Owned by the session.
    private let incoming: OpaquePointer
    private let outgoing: OpaquePointer
    /// The certificate of the peer that OpenSSL refused and threw away.
    fileprivate(set) var refused: TLSPeer?

    /// Errors: nil without memory.
    init?(_ tls: ServerTLS) {
        guard let session = tls.makeSession() else { return nil }
        guard let incoming = BIO_new(BIO_s_mem()) else {
            SSL_free(session)
            return nil
        }
        guard let outgoing = BIO_new(BIO_s_mem()) else {
            BIO_free(incoming)
            SSL_free(session)
            return nil
        }
        SSL_set_bio(session, incoming, outgoing)
        SSL_set_accept_state(session)
        (self.session, self.incoming, self.outgoing) = (session, incoming, outgoing)
        SSL_set_ex_data(session, 0, Unmanaged.passUnretained(self).toOpaque())
    }

    deinit { SSL_free(session) }

    /// Takes what came from the peer: memory takes all of it. A read is at most 64 KiB.
    func put(_ buffer: ByteBuffer) {
        buffer.withUnsafeReadableBytes { bytes in
            _ = BIO_write(incoming, bytes.baseAddress, Int32(clamping: bytes.count))
        }
    }

    /// Whether there is something to send.
    var hasRecords: Bool { BIO_ctrl_pending(outgoing) > 0 }

    /// What is to be sent.
    func takeRecords(_ allocator: ByteBufferAllocator) -> ByteBuffer {
        let size = Int(BIO_ctrl_pending(outgoing))
        var records = allocator.buffer(capacity: size)
        records.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { bytes in
            max(0, Int(BIO_read(outgoing, bytes.baseAddress, Int32(clamping: size))))
        }
        return records
    }

    /// Called by OpenSSL for each certificate of a chain: keeps the one that is refused.
    static let noteCertificate: @convention(c) (Int32, OpaquePointer?) -> Int32 = { isGood, store in
        guard isGood == 0, let store,
            let session = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let owner = SSL_get_ex_data(OpaquePointer(session), 0),
            let certificate = X509_STORE_CTX_get0_cert(store)
        else { return isGood }
        Unmanaged<TLSSession>.fromOpaque(owner).takeUnretainedValue().refused = TLSPeer(certificate: certificate)
        return isGood
    }
}
