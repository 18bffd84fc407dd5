import CSSH2
import Pipeline

/// A question to whoever is at the end of a channel: sends a request, reads the beginning of the answer, closes.
///
/// Errors: `probe-failed` when no answer came in time, what ended the session when that did. Bounds: the deadline; of the
/// answer 13 bytes are looked at.
final class SSHQuestion: SSHStep {
    private let channel: OpaquePointer
    /// At one address for as long as it is sent: libssh2 wants the same again.
    private let request: UnsafeMutableBufferPointer<CChar>
    private let deadline: Duration
    private var completion: ((Result<ProbeReply, TunnelFailure>) -> Void)?
    private var sent = 0
    private var received: [UInt8] = []
    private var timer: UInt64?
    private var isClosing = false
    private(set) var isFinished = false

    /// - Parameter channel: is closed at the end, whatever comes of it.
    init(
        _ channel: OpaquePointer, _ request: [UInt8], within deadline: Duration,
        _ completion: @escaping (Result<ProbeReply, TunnelFailure>) -> Void
    ) {
        self.channel = channel
        self.request = .allocate(capacity: request.count)
        _ = self.request.initialize(from: request.lazy.map { CChar(bitPattern: $0) })
        self.deadline = deadline
        self.completion = completion
    }

    deinit { request.deallocate() }

    func step(_ link: SSHLink) -> Bool {
        if timer == nil {
            timer = link.after(deadline) { [weak self] link in
                guard let self else { return }
                finish(.failure(TunnelFailure(.probeFailed, "the target did not answer in \(deadline.inSeconds) s")))
                isClosing = true
                link.turn()
            }
        }
        // Not while a packet of ours is half sent.
        if isClosing, !link.isHalfSent { return close(link) }
        return sent < request.count ? write(link) : read(link)
    }

    private func write(_ link: SSHLink) -> Bool {
        let count = libssh2_channel_write_ex(
            channel, 0, request.baseAddress?.advanced(by: sent), request.count - sent)
        if count > 0 {
            sent += count
            return true
        }
        if count == 0 || count == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(count) { return false }
        return settle(.incomplete)
    }

    private func read(_ link: SSHLink) -> Bool {
        let bytes = link.scratch.baseAddress?.assumingMemoryBound(to: CChar.self)
        let count = libssh2_channel_read_ex(channel, 0, bytes, 4_096)
        if count > 0 {
            received += link.scratch[..<min(count, 64)]
            let reply = ProbeReply(received)
            // 13 bytes decide.
            return reply == .incomplete ? true : settle(reply)
        }
        if count == 0, libssh2_channel_eof(channel) != 0 { return settle(ProbeReply(received)) }
        if count == 0 || count == Int(LIBSSH2_ERROR_EAGAIN) || link.isFatal(count) { return false }
        return settle(.incomplete)
    }

    private func settle(_ reply: ProbeReply) -> Bool {
        isClosing = true
        finish(.success(reply))
        return true
    }

    private func close(_ link: SSHLink) -> Bool {
        guard link.free(channel) else { return false }
        isFinished = true
        if let timer { link.cancel(timer: timer) }
        return true
    }

    private func finish(_ result: Result<ProbeReply, TunnelFailure>) {
        let completion = completion
        self.completion = nil
        completion?(result)
    }

    func abandon(_ failure: TunnelFailure) {
        isFinished = true
        finish(.failure(failure))
    }
}
