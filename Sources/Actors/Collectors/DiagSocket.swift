import CLinux
import Glibc
import Pipeline

/// A socket to the kernel's sock_diag interface, kept between gathers. Owned by one collector.
public final class DiagSocket {
    fileprivate var descriptor: Int32 = -1
    fileprivate var buffer: [UInt8] = []

    public init() {}

    deinit { SystemError.close(descriptor) }

    fileprivate func close() {
        SystemError.close(descriptor)
        descriptor = -1
    }
}

extension Host {
    /// Hosts that are folders have no such interface.
    public func addSockets(
        _ table: SocketDiag.Table, _ socket: DiagSocket, to tally: inout SocketTally
    ) throws(HostError) {
        throw HostError(code: EPROTONOSUPPORT, operation: "sock_diag")
    }

    /// The whole file as one piece.
    public func readPieces(
        _ file: HostFile, _ buffer: inout [UInt8], _ body: ([UInt8], _ isFirst: Bool) -> Void
    ) throws(HostError) {
        try read(file, into: &buffer)
        body(buffer, true)
    }
}

extension LinuxHost {
    /// An answer comes in pieces of at most 32 KiB.
    private static let answerBytes = 64 * 1024
    private static let pieceBytes = 64 * 1024

    public func addSockets(
        _ table: SocketDiag.Table, _ socket: DiagSocket, to tally: inout SocketTally
    ) throws(HostError) {
        if socket.descriptor < 0 { try open(socket) }
        if socket.buffer.isEmpty { socket.buffer = [UInt8](repeating: 0, count: LinuxHost.answerBytes) }
        let request = SocketDiag.request(table)
        guard send(socket.descriptor, request, request.count, 0) == request.count else { throw failure(socket, errno) }
        while true {
            let count = recv(socket.descriptor, &socket.buffer, socket.buffer.count, Int32(MSG_TRUNC))
            if count < 0, errno == EINTR { continue }
            guard count > 0, count <= socket.buffer.count else { throw failure(socket, count < 0 ? errno : EMSGSIZE) }
            let progress = socket.buffer.withUnsafeBytes { bytes in
                SocketDiag.add(UnsafeRawBufferPointer(rebasing: bytes[..<count]), table, to: &tally)
            }
            switch progress {
            case .more: continue
            case .done: return
            case .failed(let code): throw failure(socket, code > 0 ? code : EPROTO)
            }
        }
    }

    private func open(_ diag: DiagSocket) throws(HostError) {
        let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        diag.descriptor = socket(AF_NETLINK, type, LinuxHost.sockDiagProtocol)
        guard diag.descriptor >= 0 else { throw HostError(code: errno, operation: "sock_diag") }
        // The kernel answers at once; should it not, nobody waits for long.
        var limit = timeval(tv_sec: 1, tv_usec: 0)
        setsockopt(diag.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    /// NETLINK_SOCK_DIAG.
    private static let sockDiagProtocol: Int32 = 4

    /// What is left of the answer must not meet the next request: the socket is opened anew.
    private func failure(_ socket: DiagSocket, _ code: Int32) -> HostError {
        socket.close()
        return HostError(code: code, operation: "sock_diag")
    }

    /// Why in pieces: with 200,000 sockets a table has 30 MB.
    public func readPieces(
        _ file: HostFile, _ buffer: inout [UInt8], _ body: ([UInt8], _ isFirst: Bool) -> Void
    ) throws(HostError) {
        let descriptor = withPath(file.root, file.path) { Glibc.open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw HostError(code: errno, operation: "open \(file.text)") }
        defer { SystemError.close(descriptor) }
        buffer.removeAll(keepingCapacity: true)
        var isFirst = true
        while true {
            var code: Int32 = 0
            let count = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: LinuxHost.pieceBytes) { piece in
                let count = Glibc.read(descriptor, piece.baseAddress, piece.count)
                code = errno
                if count > 0 { buffer.append(contentsOf: UnsafeBufferPointer(rebasing: piece[..<count])) }
                return count
            }
            if count < 0, code == EINTR { continue }
            guard count >= 0 else { throw HostError(code: code, operation: "read \(file.text)") }
            // What follows the last LF waits for its other half.
            let end = count == 0 ? buffer.count : (buffer.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)
            if end > 0 {
                let rest = Array(buffer[end...])
                buffer.removeLast(rest.count)
                body(buffer, isFirst)
                isFirst = false
                buffer.replaceSubrange(0..<buffer.count, with: rest)
            }
            if count == 0 { return }
        }
    }
}

extension HostFile {
    /// Root and path, for people.
    fileprivate var text: String { "\(root.rawValue)/" + String(decoding: path, as: UTF8.self) }
}
