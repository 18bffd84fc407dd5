import ArgumentParser
import CLinux
import Glibc

/// Why the daemon gave no answer, with what to do about it and the exit code.
struct StatusClientError: Error, CustomStringConvertible {
    var description: String
    var exitCode: ExitCode
}

/// Talks to the daemon over its unix socket, blocking, each wait with a deadline.
struct StatusClient {
    struct Reply {
        var status: Int
        var body: String
    }

    /// Longest reply that is taken into memory.
    static let replyBytesLimit = 16 << 20

    let path: String

    /// One request, one whole reply. `seconds` bounds every single wait.
    func request(_ method: String, _ target: String, seconds: Int32) throws -> Reply {
        let socket = try BlockingSocket(path: path, seconds: seconds)
        try socket.send("\(method) \(target) HTTP/1.1\r\nHost: godwit\r\nConnection: close\r\n\r\n")
        var head = try readHead(socket)
        while head.rest.count < min(head.length ?? Self.replyBytesLimit, Self.replyBytesLimit) {
            guard let more = try socket.receive() else { break }
            head.rest += more
        }
        if let length = head.length, head.rest.count < length {
            throw StatusClientError(
                description: "the daemon at \(path) broke off in mid-reply; try again",
                exitCode: ExitStatus.unavailable)
        }
        let reply = Reply(status: head.status, body: String(decoding: head.rest, as: UTF8.self))
        if reply.status == 403 { throw notAllowed(reply.body) }
        return reply
    }

    /// A reply without end: `take` gets the bytes as they come until it says false or the daemon ends.
    func stream(_ target: String, _ take: ([UInt8]) -> Bool) throws {
        let socket = try BlockingSocket(path: path, seconds: 10)
        try socket.send("GET \(target) HTTP/1.1\r\nHost: godwit\r\nConnection: close\r\n\r\n")
        var head = try readHead(socket)
        guard head.status == 200 else {
            while head.rest.count < 4_096, let more = try socket.receive() { head.rest += more }
            let text = String(decoding: head.rest, as: UTF8.self)
            if head.status == 403 { throw notAllowed(text) }
            throw StatusClientError(description: trimmed(text), exitCode: ExitCode(64))
        }
        // Nothing may happen for as long as it likes.
        socket.setTimeout(seconds: 0)
        var decoder = ChunkDecoder()
        var bytes = head.rest
        while true {
            guard let pieces = decoder.feed(bytes) else { return }
            if !pieces.isEmpty, !take(pieces) { return }
            guard let more = try socket.receive() else { return }
            bytes = more
        }
    }

    private struct Head {
        var status: Int
        var length: Int?
        var rest: [UInt8]
    }

    private func readHead(_ socket: BlockingSocket) throws -> Head {
        var bytes: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        while bytes.count < 16_384 {
            if let start = firstIndex(of: end, in: bytes) {
                let lines = String(decoding: bytes[..<start], as: UTF8.self).split(separator: "\r\n")
                let words = lines.first?.split(separator: " ") ?? []
                guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { break }
                let length = lines.lazy.compactMap { line -> Int? in
                    let sides = line.split(separator: ":", maxSplits: 1)
                    guard sides.count == 2, sides[0].lowercased() == "content-length" else { return nil }
                    return Int(sides[1].drop { $0 == " " })
                }.first
                return Head(status: status, length: length, rest: Array(bytes[(start + end.count)...]))
            }
            guard let more = try socket.receive() else { break }
            bytes += more
        }
        throw StatusClientError(
            description: "what answers at \(path) is not godwit, or it was stopping", exitCode: ExitStatus.unavailable)
    }

    private func notAllowed(_ text: String) -> StatusClientError {
        StatusClientError(
            description: "\(path): \(trimmed(text)) (looking is for root, the daemon's user and its group)",
            exitCode: ExitStatus.noPermission)
    }

    private func trimmed(_ text: String) -> String { text.split(separator: "\n").first.map(String.init) ?? text }

    private func firstIndex(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= pattern.count else { return nil }
        return (0...(bytes.count - pattern.count)).first { bytes[$0..<($0 + pattern.count)].elementsEqual(pattern) }
    }
}

/// Takes the chunk marks out of a chunked body.
private struct ChunkDecoder {
    private var line: [UInt8] = []
    /// Bytes of the present chunk still to come; nil while its size line is read.
    private var left: Int?

    /// The content in `bytes`; nil after the last chunk, or when this is no chunked body.
    mutating func feed(_ bytes: [UInt8]) -> [UInt8]? {
        var content: [UInt8] = []
        var rest = bytes[...]
        while let first = rest.first {
            if let count = left, count > 0 {
                content += rest.prefix(count)
                left = count - min(count, rest.count)
                rest = rest.dropFirst(count)
                continue
            }
            rest = rest.dropFirst()
            guard first == UInt8(ascii: "\n") else {
                if first != UInt8(ascii: "\r") { line.append(first) }
                if line.count > 64 { return nil }
                continue
            }
            if left == 0 {
                // The line end that closes a chunk.
                left = nil
            } else {
                guard let size = Int(String(decoding: line, as: UTF8.self), radix: 16), size > 0 else {
                    return content.isEmpty ? nil : content
                }
                left = size
            }
            line.removeAll()
        }
        return content
    }
}

/// A connected unix socket with a time-out on every call.
private final class BlockingSocket {
    private let descriptor: Int32

    init(path: String, seconds: Int32) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw StatusClientError(
                description: "the path of the socket is longer than 107 bytes", exitCode: ExitCode(64))
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else {
            throw StatusClientError(description: "no socket: \(Self.reason())", exitCode: ExitStatus.software)
        }
        setTimeout(seconds: seconds)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            let code = errno
            let reason = Self.reason()
            close(descriptor)
            throw Self.unreachable(path, code, reason)
        }
    }

    deinit { close(descriptor) }

    func setTimeout(seconds: Int32) {
        var time = timeval(tv_sec: Int(seconds), tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    /// A server that turned us away may have closed already; its answer is still there to be read, so no error.
    func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// What has arrived; nil when the daemon has closed.
    func receive() throws -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count > 0 { return Array(chunk[..<count]) }
            if count == 0 || errno == ECONNRESET { return nil }
            guard errno == EINTR else {
                throw StatusClientError(
                    description: "the daemon does not answer in time; its log may say why",
                    exitCode: ExitStatus.unavailable)
            }
        }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }

    private static func unreachable(_ path: String, _ code: Int32, _ reason: String) -> StatusClientError {
        if code == EACCES || code == EPERM {
            return StatusClientError(
                description: "no access to \(path): be root, the daemon's user or a member of its group",
                exitCode: ExitStatus.noPermission)
        }
        return StatusClientError(
            description: "no daemon answers at \(path) (\(reason)); start it with `systemctl start godwit` or "
                + "`godwit run`, or name its socket with --socket",
            exitCode: ExitStatus.unavailable)
    }
}
