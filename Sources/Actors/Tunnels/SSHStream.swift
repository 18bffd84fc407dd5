import CLinux
import CSSH2
import Glibc
import Pipeline

/// What a connection counts, shared with its forward. Used on one loop only.
final class StreamCounters {
    var open = 0
    var connections: UInt64 = 0
    var failures: UInt64 = 0
    /// Towards the server, and from it.
    var sent: UInt64 = 0
    var received: UInt64 = 0
}

/// One forwarded connection: a channel of the session on one side, a local socket on the other.
///
/// Bounds: 32 KiB in each direction here, and the channel's window in libssh2. It reads from the channel only when what
/// it read before is gone, so a slow local side closes the window and stalls nobody else.
final class SSHStream: SSHStep {
    private enum Call { case read, write }

    private static let bufferSize = 32 * 1024
    /// The least size of packets that a server must take; every one must take 32 KiB.
    private static let leastPacket = 256

    private let channel: OpaquePointer
    private let descriptor: Int32
    private let link: SSHLink
    private let counters: StreamCounters
    private var flow = ConnectionFlow()
    private var toChannel = StreamBuffer(SSHStream.bufferSize)
    private var toLocal = StreamBuffer(SSHStream.bufferSize)
    private var isReadable = true
    private var isWritable = true
    private var watched: UInt32?
    private var sendsEOF = false
    /// The call whose packet is half sent: it comes first, whatever else has become possible or wanted meanwhile.
    private var halfSent: Call?
    private var isClosing = false
    private(set) var lastProgress: Instant
    private(set) var isFinished = false
    var didFinish: (() -> Void)?

    init(channel: SSHChannel, descriptor: Int32, counters: StreamCounters) {
        self.channel = channel.handle
        self.descriptor = descriptor
        link = channel.link
        self.counters = counters
        lastProgress = link.loop.now
        counters.open += 1
        counters.connections = counters.connections.addingSaturated(1)
    }

    var isHalfClosed: Bool { flow.isHalfClosed }

    /// Bytes of this connection that wait in memory, libssh2's included.
    var queuedBytes: Int {
        guard !isFinished else { return 0 }
        return SSHLink.queuedBytes(of: channel) + toChannel.count + toLocal.count
    }

    /// Ends it without waiting for either side.
    func breakOff() {
        flow.didBreak()
        link.turn()
    }

    // MARK: The step

    func step(_ link: SSHLink) -> Bool {
        guard !isFinished, resume() else { return false }
        if isClosing { return closeChannel() }
        var moved = false
        if readLocal() { moved = true }
        if flow.writesChannel, !toChannel.isEmpty, writeChannel() { moved = true }
        guard link.isAlive else { return moved }
        if halfSent == nil, flow.readsChannel, toLocal.isEmpty, readChannel() { moved = true }
        guard link.isAlive else { return moved }
        if writeLocal() { moved = true }
        if moved { lastProgress = link.loop.now }
        if halfSent == nil, act() { moved = true }
        if !isFinished { updateWatch() }
        return moved
    }

    /// Repeats the call whose packet is half sent. False when it still is, or the session is gone.
    private func resume() -> Bool {
        guard let call = halfSent else { return true }
        halfSent = nil
        switch call {
        case .write: _ = writeChannel()
        case .read:
            _ = writeLocal()
            if toLocal.isEmpty { _ = readChannel() } else { noteHalfSent(.read) }
        }
        return link.isAlive && halfSent == nil
    }

    private func noteHalfSent(_ call: Call) {
        if link.isAlive, link.isHalfSent { halfSent = call }
    }

    private func readLocal() -> Bool {
        guard isReadable, flow.readsLocal, toChannel.isEmpty else { return false }
        let count = toChannel.fill { recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count > 0 { return true }
        if count == 0 {
            flow.localDidEnd()
        } else if errno == EAGAIN || errno == EINTR {
            isReadable = false
            return false
        } else {
            flow.didBreak()
        }
        return true
    }

    private func writeChannel() -> Bool {
        let offered = toChannel.count
        let count = toChannel.drain {
            libssh2_channel_write_ex(channel, 0, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
        noteHalfSent(.write)
        if count >= 0, count < min(offered, SSHStream.leastPacket), isStingy {
            flow.didBreak()
            return true
        }
        if count > 0 {
            link.didCarry = true
            counters.sent = counters.sent.addingSaturated(UInt64(count))
            return true
        }
        if count == 0 || count == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(count) { return false }
        flow.didBreak()
        return true
    }

    /// Whether it was not the window that kept a packet small: then the server takes packets of nearly no size, and each
    /// byte would cost as much as a whole one.
    private var isStingy: Bool {
        Int(clamping: libssh2_channel_window_write_ex(channel, nil)) > SSHStream.leastPacket
    }

    private func readChannel() -> Bool {
        let count = toLocal.fill {
            libssh2_channel_read_ex(
                channel, 0, $0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count)
        }
        noteHalfSent(.read)
        if count > 0 {
            link.didCarry = true
            counters.received = counters.received.addingSaturated(UInt64(count))
            return true
        }
        if count == 0, libssh2_channel_eof(channel) != 0 {
            flow.remoteDidEnd()
            return true
        }
        if count == 0 || count == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(count) { return false }
        flow.didBreak()
        return true
    }

    private func writeLocal() -> Bool {
        guard isWritable, !toLocal.isEmpty else { return false }
        let count = toLocal.drain { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count > 0 { return true }
        if count < 0, errno == EAGAIN || errno == EINTR {
            isWritable = false
            return false
        }
        flow.didBreak()
        return true
    }

    /// Half-closes and closes as the flow says.
    private func act() -> Bool {
        if !flow.readsChannel, libssh2_channel_wait_closed(channel) == 0 { flow.remoteDidClose() }
        noteHalfSent(.read)
        guard halfSent == nil else { return false }
        if sendsEOF { return sendEOF() }
        switch flow.next(toChannel: toChannel.count, toLocal: toLocal.count) {
        case .sendEOF:
            sendsEOF = true
            return sendEOF()
        case .shutdownLocal:
            shutdown(descriptor, Int32(SHUT_WR))
            return true
        case .close:
            closeLocal()
            isClosing = true
            return closeChannel()
        case nil: return false
        }
    }

    private func sendEOF() -> Bool {
        guard link.canSendSmallPacket else { return false }
        let code = Int(libssh2_channel_send_eof(channel))
        if code == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(code) { return false }
        sendsEOF = false
        return true
    }

    private func closeChannel() -> Bool {
        guard link.free(channel) else { return false }
        finish()
        return true
    }

    // MARK: The local socket

    private func updateWatch() {
        guard !isClosing else { return }
        var wanted: UInt32 = 0
        if flow.readsLocal, toChannel.isEmpty { wanted |= EPOLLIN.rawValue }
        if !toLocal.isEmpty, !isWritable { wanted |= EPOLLOUT.rawValue }
        guard wanted != watched else { return }
        guard wanted != 0 else {
            // Not even an error is wanted now: it would be reported again and again. It shows at the next write.
            if watched != nil { link.loop.unwatch(descriptor) }
            watched = nil
            return
        }
        watched = wanted
        link.loop.watch(descriptor, for: wanted) { [self] events in
            if events & ~EPOLLOUT.rawValue != 0 { isReadable = true }
            if events & ~EPOLLIN.rawValue != 0 { isWritable = true }
            link.turnSoon()
        }
    }

    private func closeLocal() {
        if watched != nil { link.loop.unwatch(descriptor) }
        watched = nil
        close(descriptor)
    }

    private func finish() {
        guard !isFinished else { return }
        isFinished = true
        if !isClosing { closeLocal() }
        counters.open -= 1
        toChannel.deallocate()
        toLocal.deallocate()
        let done = didFinish
        didFinish = nil
        done?()
    }

    func abandon(_ failure: TunnelFailure) { finish() }
}

/// Bytes on their way through a connection, at one address for as long as they wait (libssh2 wants the same again).
struct StreamBuffer {
    private let memory: UnsafeMutableRawBufferPointer
    private var start = 0
    private(set) var count = 0

    init(_ size: Int) { memory = .allocate(byteCount: size, alignment: 16) }

    var isEmpty: Bool { count == 0 }

    /// Reads into the empty buffer; what `read` returns is returned.
    mutating func fill(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
        precondition(isEmpty, "BUG: a buffer is filled that is not empty")
        let result = read(memory)
        start = 0
        count = min(max(0, result), memory.count)
        return result
    }

    /// Writes from the buffer; what `write` took is gone.
    mutating func drain(_ write: (UnsafeRawBufferPointer) -> Int) -> Int {
        let result = write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[start..<(start + count)]))
        let taken = min(max(0, result), count)
        start += taken
        count -= taken
        return result
    }

    mutating func deallocate() {
        memory.deallocate()
        count = 0
    }
}
