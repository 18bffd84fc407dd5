import CLinux
import Glibc
import Pipeline

/// A listening socket on this machine: TCP, or a unix socket that only our own user may connect to.
///
/// Used on its loop only. Bounds: 16 connections a turn; without a free descriptor it pauses for a second.
final class LocalListener {
    private static let backlog: Int32 = 128
    private let loop: WorkLoop
    private let place: SocketPlace
    private let accepted: (Int32) -> Void
    private var descriptor: Int32 = -1
    private var pause: UInt64?
    /// The file that a unix socket was bound to.
    private var file: FileIdentity?

    /// The port that the kernel chose, or the one asked for.
    private(set) var port: UInt16?

    init(_ place: SocketPlace, loop: WorkLoop, accepted: @escaping (Int32) -> Void) {
        self.place = place
        self.loop = loop
        self.accepted = accepted
    }

    /// Errors: `listen-failed`, or `port-in-use`. The host of a TCP address must be numeric or `localhost`.
    func open() throws(TunnelFailure) {
        let address: KernelAddress?
        switch place {
        case .unix(let path):
            try clear(path)
            address = KernelAddress.unix(path)
        case .tcp(let place):
            let host = place.host == "localhost" ? "127.0.0.1" : place.host
            address = KernelAddress.resolve(NetworkPlace(host, place.port), isNumeric: true).first
        }
        guard let address else { throw TunnelFailure(.listenFailed, "\(place) is no address of this machine") }
        descriptor = address.listeningSocket(backlog: Self.backlog)
        let code = errno
        guard descriptor >= 0 else {
            throw TunnelFailure(
                code == EADDRINUSE ? .portInUse : .listenFailed,
                "cannot listen at \(place): \(String(cString: strerror(code)))")
        }
        port = KernelAddress.port(of: descriptor)
        if case .unix(let path) = place { file = FileIdentity(path) }
        watch()
    }

    /// Somebody took the file away that clients connect to, so that none can come any more.
    var isOrphaned: Bool {
        guard descriptor >= 0, case .unix(let path) = place else { return false }
        return FileIdentity(path) != file
    }

    private func clear(_ path: String) throws(TunnelFailure) {
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { mkdir(String(path[..<slash]), 0o700) }
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw TunnelFailure(.listenFailed, "\(path) is in the way and is no socket")
        }
        guard let address = KernelAddress.unix(path) else { return }
        let probe = address.makeSocket()
        defer { if probe >= 0 { close(probe) } }
        // Only what nobody listens at is left over. One whose queue is full (EAGAIN) is alive, and may be another's.
        guard probe >= 0, address.beginConnect(probe) == ECONNREFUSED else {
            throw TunnelFailure(.portInUse, "somebody else answers at \(path)")
        }
        unlink(path)
    }

    private func watch() {
        loop.watch(descriptor, for: EPOLLIN.rawValue) { [self] _ in acceptSome() }
    }

    private func acceptSome() {
        for _ in 0..<16 where descriptor >= 0 {
            let connection = godwit_accept(descriptor)
            guard connection < 0 else {
                accepted(connection)
                continue
            }
            if errno == EMFILE || errno == ENFILE || errno == ENOMEM {
                loop.unwatch(descriptor)
                pause = loop.schedule(at: loop.now + .seconds(1)) { [self] in
                    pause = nil
                    watch()
                }
            }
            return
        }
    }

    func close() {
        guard descriptor >= 0 else { return }
        if let pause { loop.cancelTimer(pause) }
        pause = nil
        loop.unwatch(descriptor)
        Glibc.close(descriptor)
        descriptor = -1
        // Another file under that name is another's.
        if case .unix(let path) = place, FileIdentity(path) == file { unlink(path) }
    }

    private func close(_ descriptor: Int32) { Glibc.close(descriptor) }
}

/// Which file a name stands for just now.
private struct FileIdentity: Equatable {
    private let device: dev_t
    private let number: ino_t

    /// nil when there is none.
    init?(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        device = status.st_dev
        number = status.st_ino
    }
}
