import CSSH2
import Glibc
import Pipeline

/// How much a session may take off its socket before others get a turn.
///
/// libssh2 reads for as long as there is something to read, within one call; a server that sends without end would have
/// the loop to itself. So it reads through us, and is told that nothing is there once it had its share.
struct SSHAllowance {
    /// It reads the server's first line byte by byte, so calls are bounded as well.
    var calls = 1_024
    var bytes = 4 << 20
}

extension SSHLink {
    /// What a server may send before it knows us: a banner and the key exchange take a few KiB.
    private static let strangersLimit = 1 << 20

    /// Makes libssh2 read through `receive`.
    func receiveWithinBounds() {
        libssh2_session_abstract(session).pointee = Unmanaged.passUnretained(self).toOpaque()
        let callback:
            @convention(c) (
                Int32, UnsafeMutableRawPointer?, Int, Int32, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            ) -> Int = { _, buffer, length, flags, abstract in
                guard let this = abstract?.pointee else { return -Int(EIO) }
                return Unmanaged<SSHLink>.fromOpaque(this).takeUnretainedValue().receive(buffer, length, flags)
            }
        _ = libssh2_session_callback_set(
            session, LIBSSH2_CALLBACK_RECV, unsafeBitCast(callback, to: UnsafeMutableRawPointer.self))
    }

    /// As `recv`, but an error is its negative number.
    private func receive(_ buffer: UnsafeMutableRawPointer?, _ length: Int, _ flags: Int32) -> Int {
        guard allowance.calls > 0, allowance.bytes > 0, !isPressed else { return -Int(EAGAIN) }
        if monitor.isSettingUp, strangersBytes > Self.strangersLimit {
            end(TunnelFailure(.handshakeFailed, "the server sends without end before it knows us"))
            return -Int(EIO)
        }
        let count = recv(descriptor, buffer, length, flags)
        guard count >= 0 else { return -Int(errno) }
        allowance.calls -= 1
        allowance.bytes -= count
        if monitor.isSettingUp { strangersBytes += count }
        return count
    }
}
