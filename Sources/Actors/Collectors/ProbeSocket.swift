import CLinux
import Glibc
import Pipeline

/// A non-blocking socket of a probe; closed when it is let go.
///
/// Owned by one task. Waits go through the I/O loop, so no thread ever blocks in it.
final class ProbeSocket {
    let descriptor: Int32
    private let io: WorkLoop

    /// Errors: errno of socket(2).
    init(family: Int32, type: __socket_type, protocol number: Int = 0, io: WorkLoop) throws(HostError) {
        self.io = io
        let flags = Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = socket(family, Int32(type.rawValue) | flags, Int32(number))
        guard descriptor >= 0 else { throw HostError(code: errno, operation: "open a socket") }
    }

    deinit { SystemError.close(descriptor) }

    func set(_ level: Int, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, Int32(level), name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Connects: the moment when the connection stood, nil when it did not before `deadline`.
    /// Errors: `HostError` with why the other side, or the kernel, refused; `CancellationError`.
    func connect(to address: ProbeAddress, until deadline: Instant) async throws -> Instant? {
        let code = address.withPointer { Glibc.connect(descriptor, $0, $1) } == 0 ? 0 : errno
        if code == 0 { return KernelClock.monotonic() }
        guard code == EINPROGRESS || code == EINTR else { throw HostError(code: code, operation: "connect") }
        guard let ready = try await io.ready(descriptor, for: EPOLLOUT.rawValue, until: deadline) else { return nil }
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length)
        guard failure == 0 else { throw HostError(code: failure, operation: "connect") }
        return ready
    }

    /// Sends all of `bytes`: false at `deadline`. Errors: `HostError`, `CancellationError`.
    func send(_ bytes: [UInt8], until deadline: Instant) async throws -> Bool {
        var rest = bytes[...]
        repeat {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                guard try await io.ready(descriptor, for: EPOLLOUT.rawValue, until: deadline) != nil else {
                    return false
                }
            } else if errno != EINTR {
                throw HostError(code: errno, operation: "send")
            }
        } while !rest.isEmpty
        return true
    }

    /// What has come, and when, up to `room` bytes, empty at the end of the stream; nil at `deadline`.
    /// Errors: `HostError`, `CancellationError`.
    func receive(_ room: Int, until deadline: Instant) async throws -> (bytes: [UInt8], at: Instant)? {
        var piece = [UInt8](repeating: 0, count: room)
        while let ready = try await io.ready(descriptor, for: EPOLLIN.rawValue, until: deadline) {
            let count = recv(descriptor, &piece, piece.count, 0)
            if count >= 0 { return (Array(piece[..<count]), ready) }
            guard errno == EAGAIN || errno == EINTR else { throw HostError(code: errno, operation: "receive") }
        }
        return nil
    }

    /// The same with the control messages of the packet. What the network reports of an earlier packet is passed.
    func receivePacket(_ room: Int, until deadline: Instant) async throws -> Packet? {
        while let ready = try await io.ready(descriptor, for: EPOLLIN.rawValue, until: deadline) {
            if let (bytes, control) = take(room) { return Packet(bytes: bytes, control: control, at: ready) }
        }
        return nil
    }

    struct Packet: Sendable {
        var bytes: [UInt8]
        var control: [UInt8]
        var at: Instant
    }

    private func take(_ room: Int) -> (bytes: [UInt8], control: [UInt8])? {
        var bytes = [UInt8](repeating: 0, count: room)
        var control = [UInt8](repeating: 0, count: 256)
        var message = msghdr()
        let count = bytes.withUnsafeMutableBytes { bytes in
            control.withUnsafeMutableBytes { control in
                var vector = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
                return withUnsafeMutablePointer(to: &vector) { vector in
                    message.msg_iov = vector
                    message.msg_iovlen = 1
                    message.msg_control = control.baseAddress
                    message.msg_controllen = control.count
                    return recvmsg(descriptor, &message, 0)
                }
            }
        }
        guard count >= 0 else { return nil }
        return (Array(bytes[..<count]), Array(control[..<min(control.count, Int(message.msg_controllen))]))
    }
}
