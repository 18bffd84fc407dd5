import CLinux
import Glibc

/// A client of a unix socket that says exactly what it is told to, for tests of servers.
final class RawClient {
    let descriptor: Int32

    /// Nil when nobody answers.
    init?(_ path: String) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes.prefix($0.count - 1)) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            close(descriptor)
            return nil
        }
    }

    deinit { close(descriptor) }

    /// False when the server has closed.
    @discardableResult
    func send(_ text: String) -> Bool { send(Array(text.utf8)) }

    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// What arrives until the server closes, `stop` is contained, or `seconds` have passed without a byte.
    func receive(until stop: String? = nil, seconds: Int = 10) -> String {
        var text = ""
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while stop.map({ !text.contains($0) }) ?? true {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, Int32(seconds * 1_000)) > 0 else { return text + "<time-out>" }
            let count = recv(descriptor, &chunk, chunk.count, 0)
            guard count > 0 else { return text }
            text += String(decoding: chunk[..<count], as: UTF8.self)
        }
        return text
    }

    /// One request, one reply.
    static func get(_ path: String, _ target: String, method: String = "GET") -> String {
        guard let client = RawClient(path) else { return "<nobody>" }
        client.send("\(method) \(target) HTTP/1.1\r\nHost: godwit\r\nConnection: close\r\n\r\n")
        return client.receive()
    }
}

/// A directory of its own for one test, removed with everything in it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/godwit-test-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "no temporary directory")
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                    String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { remove(path + "/" + name) }
            }
            closedir(directory)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
