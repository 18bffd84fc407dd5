import CLinux
import Glibc

/// Why a socket file cannot be had.
public struct SocketError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Code: Sendable, Hashable {
        /// Somebody answers there: another instance runs.
        case inUse
        /// Something that is not a socket is in the way; it is left alone.
        case notASocket
        /// The path is too long for the kernel (107 bytes).
        case tooLong
        /// A system call failed.
        case system(Int32)
    }

    public var code: Code
    public var message: String
    public var description: String { message }
}

/// A listening unix socket and its file: mode 0660, in a directory of mode 0750 that is made when missing.
struct UnixSocketFile {
    let path: String
    let descriptor: Int32
    private let device: dev_t
    private let inode: ino_t

    /// Takes the path over. A socket file that nobody answers is a leftover of a killed process and is replaced.
    ///
    /// Errors: `SocketError`; nothing has changed on disk then, but for a leftover that is gone.
    static func claim(_ path: String, group: UInt32?) throws(SocketError) -> UnixSocketFile {
        try makeDirectory(of: path, group: group)
        try removeLeftover(path)
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | cloexec, 0)
        guard descriptor >= 0 else { throw failed("socket", path) }
        do throws(SocketError) {
            let bound = try withAddress(path) { bind(descriptor, $0, $1) }
            guard bound == 0 else { throw failed("bind", path) }
            // Between bind and listen nobody can connect, so the mode is never wider than it should be.
            guard chmod(path, 0o660) == 0 else { throw failed("chmod", path) }
            // Without the right to give files away the socket stays with our own group: narrower, never wider.
            if let group { _ = chown(path, uid_t.max, group) }
            guard listen(descriptor, 64) == 0 else { throw failed("listen", path) }
            var status = stat()
            guard lstat(path, &status) == 0 else { throw failed("stat", path) }
            return UnixSocketFile(
                path: path, descriptor: descriptor, device: status.st_dev, inode: status.st_ino)
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Removes the file, if it is still the one that was made.
    func remove() {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_dev == device, status.st_ino == inode else { return }
        unlink(path)
    }

    private static func makeDirectory(of path: String, group: UInt32?) throws(SocketError) {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return }
        let directory = String(path[..<slash])
        guard mkdir(directory, 0o750) == 0 else {
            guard errno == EEXIST else { throw failed("mkdir", directory) }
            return
        }
        if let group { _ = chown(directory, uid_t.max, group) }
        // The umask may have taken the group's part away.
        chmod(directory, 0o750)
    }

    private static func removeLeftover(_ path: String) throws(SocketError) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw SocketError(code: .notASocket, message: "\(path) is not a socket; remove it or choose another path")
        }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | cloexec | nonblock, 0)
        guard probe >= 0 else { throw failed("socket", path) }
        defer { close(probe) }
        let answer = try withAddress(path) { connect(probe, $0, $1) }
        // EAGAIN is a full queue: somebody listens, if slowly. Any other failure but "refused" tells nothing.
        guard answer != 0, errno == ECONNREFUSED else {
            throw SocketError(code: .inUse, message: "another instance answers at \(path)")
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw failed("unlink", path) }
    }

    private static let cloexec = Int32(SOCK_CLOEXEC.rawValue)
    private static let nonblock = Int32(SOCK_NONBLOCK.rawValue)

    private static func failed(_ call: String, _ path: String) -> SocketError {
        let code = errno
        return SocketError(code: .system(code), message: "\(call) \(path): \(String(cString: strerror(code)))")
    }

    private static func withAddress(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) throws(SocketError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SocketError(code: .tooLong, message: "the path of the socket is longer than 107 bytes: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}
