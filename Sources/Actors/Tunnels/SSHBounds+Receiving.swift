import CSSH2
import Glibc
import Pipeline

/// How much a session may take off its socket in one round of the loop, however many turns it gets in it.
///
/// libssh2 reads for as long as there is something to read, within one call; a server that sends without end would have
/// the loop to itself. So it reads through us, and is told that nothing is there once it had its share.
struct SSHAllowance {
    /// Of the socket; the server's first line is read byte by byte, each packet by two or three.
    var calls: Int
    var bytes: Int

    /// - Parameter carries: whether the last turn moved bytes of connections. One that did not may take less than a
    ///   millisecond, so that dozens of servers that send for nothing leave the others a loop that answers.
    init(carries: Bool) {
        calls = carries ? 1_024 : 128
        bytes = carries ? 1 << 20 : 1 << 16
    }
}

extension SSHBounds {
    /// What a server may send before it knows us: a banner and the key exchange take a few KiB.
    private static let strangersLimit = 1 << 20
    /// Memory of a session that carries nothing: itself, its channels, a few answers.
    static let restingBytes = 2 << 20
    /// Blocks of a session that carries nothing; with connections twice as many as packets wait for them.
    private static let blocksLimit = 1 << 16

    /// Makes libssh2 read through `receive`.
    func readThroughBounds(_ session: OpaquePointer) {
        let callback:
            @convention(c) (
                Int32, UnsafeMutableRawPointer?, Int, Int32, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
            ) -> Int = { descriptor, buffer, length, flags, abstract in
                guard let bounds = SSHBounds.of(abstract), let buffer else { return -Int(EIO) }
                return bounds.receive(descriptor, UnsafeMutableRawBufferPointer(start: buffer, count: length), flags)
            }
        _ = libssh2_session_callback_set(
            session, LIBSSH2_CALLBACK_RECV, unsafeBitCast(callback, to: UnsafeMutableRawPointer.self))
    }

    /// As `recv`, but an error is its negative number.
    private func receive(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, _ flags: Int32) -> Int {
        // Once the session has ended libssh2 must not wait for anything.
        guard let link, link.isAlive else { return -Int(ECONNABORTED) }
        guard allowance.calls > 0, allowance.bytes > 0, !isResting, !link.isPressed, mayGrow(link) else {
            return -Int(EAGAIN)
        }
        if link.monitor.isSettingUp, strangersBytes > SSHBounds.strangersLimit {
            link.end(TunnelFailure(.handshakeFailed, "the server sends without end before it knows us"))
            return -Int(EIO)
        }
        let room = min(framing.room(for: buffer.count), buffer.count)
        guard room > 0 else {
            link.end(TunnelFailure(.sessionLost, "the server's packets cannot be told apart"))
            return -Int(EIO)
        }
        let count = recv(descriptor, buffer.baseAddress, room, flags)
        guard count >= 0 else { return -Int(errno) }
        framing.handed(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        allowance.calls -= 1
        allowance.bytes -= count
        if count > 0 { arrivals &+= 1 }
        if link.monitor.isSettingUp { strangersBytes += count }
        return count
    }

    /// Whether what libssh2 holds is in proportion to what waits for connections. If not, nothing more is read until
    /// that was counted anew.
    private func mayGrow(_ link: SSHLink) -> Bool {
        if isOvergrown { return false }
        // 16: a packet of eight bytes takes so much more for itself.
        guard
            bytes > SSHBounds.restingBytes.addingSaturated(queuedBytes.multipliedSaturated(by: 16))
                || blocks > SSHBounds.blocksLimit
        else { return true }
        isOvergrown = true
        link.after(.milliseconds(10)) { $0.judgeGrowth() }
        return false
    }
}
