import CLinux
import Glibc
import Pipeline

/// Asks an agent for one signature without blocking: libssh2's own agent code blocks, and signs RSA with SHA-1.
///
/// Shape: 32 bit length, type 13, string key, string data, uint32 flags (2 or 4 for RSA with SHA-2); the answer is type
/// 14 and the signature. Bounds: an answer of 16 KiB; the session's set-up deadline ends the wait.
final class SSHAgentRequest {
    enum Answer {
        case waiting
        case failed
        case signed([UInt8])
    }

    private let key: [UInt8]
    private let algorithm: String
    private let loop: WorkLoop
    private weak var link: SSHLink?
    private var descriptor: Int32
    private var answer = Answer.waiting
    private var hasAsked = false
    private var received: [UInt8] = []

    init(socket path: String, key: [UInt8], algorithm: String, link: SSHLink) {
        self.key = key
        self.algorithm = algorithm
        self.link = link
        loop = link.loop
        descriptor = KernelAddress.unix(path)?.connectedSocket() ?? -1
        if descriptor < 0 { answer = .failed }
    }

    /// The signature of `data`: the first call asks, later ones tell what came.
    func sign(_ data: [UInt8]) -> Answer {
        guard descriptor >= 0, !hasAsked else { return answer }
        hasAsked = true
        var body = SSHWriter()
        body.byte(13)
        body.string(key)
        body.string(data)
        body.uint32(algorithm == "rsa-sha2-512" ? 4 : algorithm == "rsa-sha2-256" ? 2 : 0)
        var message = SSHWriter()
        message.string(body.bytes)
        // A request is far smaller than the socket's buffer.
        guard send(descriptor, message.bytes, message.bytes.count, Int32(MSG_NOSIGNAL)) == message.bytes.count
        else {
            finish(.failed)
            return answer
        }
        loop.watch(descriptor, for: EPOLLIN.rawValue) { [self] _ in readMore() }
        return .waiting
    }

    private func readMore() {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EAGAIN { return }
        if count <= 0 {
            finish(.failed)
        } else {
            received += buffer[..<count]
            guard let reply = SSHAgentReply.body(received) else {
                if received.count > 16 * 1024 { finish(.failed) }
                return
            }
            finish(SSHAgentReply.signature(reply).map(Answer.signed) ?? .failed)
        }
        link?.turn()
    }

    private func finish(_ answer: Answer) {
        self.answer = answer
        close()
    }

    func close() {
        guard descriptor >= 0 else { return }
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
    }
}
