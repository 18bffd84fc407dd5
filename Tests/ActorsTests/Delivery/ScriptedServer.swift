import CLinux
import Glibc
import Synchronization

/// A request as the scripted server saw it.
struct SeenRequest: Sendable {
    var method: String
    var target: String
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]
}

/// What the scripted server does with a request.
enum ScriptedReply: Sendable {
    case reply(Int, headers: [String] = [], body: String = "")
    /// Reads the request and stays silent.
    case hang
    /// Closes with a reset before the body was read.
    case resetInBody
    /// Sends a 204 whose headers, or a 200 whose body, never end.
    case endlessHeaders, endlessBody
    /// Bytes that are no HTTP at all, or a reply that stops in the middle.
    case raw(String)
}

/// A tiny HTTP/1.1 server on loopback (or a unix socket) with a script: one thread a connection, one reply a request.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (_ number: Int, _ request: SeenRequest) -> ScriptedReply

    let port: UInt16
    private let listener: Int32
    private let script: Script
    private let seen = Mutex<[SeenRequest]>([])
    private let isStopped = Mutex(false)

    /// Every request so far, in order of arrival.
    var requests: [SeenRequest] { seen.withLock { $0 } }
    var writes: [SeenRequest] { requests.filter { $0.target.hasPrefix("/write") } }
    var url: String { "http://127.0.0.1:\(port)" }

    init(unixPath: String? = nil, _ script: @escaping Script) {
        self.script = script
        let listener: Int32
        if let unixPath {
            listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: unixPath.utf8.prefix(107)) }
            _ = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            port = 0
        } else {
            listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = bind(listener, $0, length)
                    _ = getsockname(listener, $0, &length)
                }
            }
            port = UInt16(bigEndian: address.sin_port)
        }
        listen(listener, 64)
        self.listener = listener
        Self.spawn { [self] in accepting() }
    }

    func stop() {
        guard
            !isStopped.withLock({ was in
                defer { was = true }
                return was
            })
        else { return }
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private static func spawn(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body)).toOpaque()
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, box)
        pthread_detach(thread)
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    private func accepting() {
        while true {
            let connection = accept(listener, nil, nil)
            if connection < 0 { return }
            Self.spawn { [self] in
                serve(connection)
                close(connection)
            }
        }
    }

    private func serve(_ connection: Int32) {
        var buffer: [UInt8] = []
        while let end = readHead(connection, &buffer) {
            var request = Self.parse(Array(buffer[..<end]))
            buffer.removeFirst(end + 4)
            let length = Int(request.headers["content-length"] ?? "0") ?? 0
            if request.headers["x-reset"] != nil { return reset(connection) }
            while buffer.count < length, receive(connection, &buffer) {}
            guard buffer.count >= length else { return }
            request.body = Array(buffer[..<length])
            buffer.removeFirst(length)
            let number = seen.withLock { seen in
                seen.append(request)
                return seen.count - 1
            }
            guard answer(connection, script(number, request)) else { return }
        }
    }

    private func answer(_ connection: Int32, _ reply: ScriptedReply) -> Bool {
        switch reply {
        case .reply(let status, let headers, let body):
            let lines = ["HTTP/1.1 \(status) Scripted", "Content-Length: \(body.utf8.count)"] + headers
            // 204 must not have a length.
            let kept = status == 204 ? lines.filter { !$0.hasPrefix("Content-Length") } : lines
            return send(connection, kept.joined(separator: "\r\n") + "\r\n\r\n" + (status == 204 ? "" : body))
        case .hang:
            var byte: [UInt8] = []
            while receive(connection, &byte) {}
            return false
        case .resetInBody:
            reset(connection)
            return false
        case .endlessHeaders:
            guard send(connection, "HTTP/1.1 204 No Content\r\n") else { return false }
            while send(connection, "X-Endless: \(String(repeating: "y", count: 1000))\r\n") {}
            return false
        case .endlessBody:
            guard send(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") else { return false }
            while send(connection, "3e8\r\n\(String(repeating: "z", count: 1000))\r\n") {}
            return false
        case .raw(let text):
            _ = send(connection, text)
            return false
        }
    }

    private func reset(_ connection: Int32) {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(connection, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }

    private func send(_ connection: Int32, _ text: String) -> Bool {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    private func receive(_ connection: Int32, _ buffer: inout [UInt8]) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(connection, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        buffer += chunk[..<count]
        return true
    }

    /// Reads until the empty line; gives its place.
    private func readHead(_ connection: Int32, _ buffer: inout [UInt8]) -> Int? {
        while true {
            if buffer.count >= 4 {
                for index in 0...(buffer.count - 4)
                where buffer[index] == 13 && buffer[index + 1] == 10
                    && buffer[index + 2] == 13 && buffer[index + 3] == 10
                {
                    return index
                }
            }
            guard receive(connection, &buffer) else { return nil }
        }
    }

    private static func parse(_ head: [UInt8]) -> SeenRequest {
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n", omittingEmptySubsequences: false)
        let first = (lines.first ?? "").split(separator: " ")
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            headers[line[..<colon].lowercased()] = String(value)
        }
        return SeenRequest(
            method: String(first.first ?? ""), target: first.count > 1 ? String(first[1]) : "", headers: headers,
            body: [])
    }
}
