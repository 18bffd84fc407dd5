import CLinux
import Glibc

/// The lock on a directory of ours, of the spill or of all state: one process at a time. Held until `release` or the end
/// of the process.
///
/// Why flock: the kernel gives it up when the holder dies, so a stale file never blocks a start.
public final class DirectoryLock: Sendable {
    /// Why the lock cannot be had.
    public enum Failure: Error, Sendable, Hashable, CustomStringConvertible {
        /// Another process has it; its number when it could be read.
        case held(directory: String, pid: Int32?)
        case disk(DiskError)

        public var description: String {
            switch self {
            case .held(let directory, let pid):
                "\(directory) is in use by " + (pid.map { "process \($0)" } ?? "another process")
            case .disk(let error): error.description
            }
        }
    }

    private let descriptor: Int32

    /// The file in a spill directory, as the manual of the backlog names it.
    public static let spillFile = "lock"
    /// The file in a state directory, which may be a spill directory too.
    public static let stateFile = "agent.lock"

    /// Makes `directory` where it is missing, and locks it by `file` in it.
    public init(directory: String, file: String) throws(Failure) {
        do throws(DiskError) {
            try LinuxDisk().makeDirectory(directory)
        } catch {
            throw .disk(error)
        }
        let path = directory + "/" + file
        let descriptor = godwit_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .disk(DiskError("open", path, errno)) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            let holder = Self.holder(descriptor)
            close(descriptor)
            if code == EWOULDBLOCK { throw .held(directory: directory, pid: holder) }
            throw .disk(DiskError("lock", path, code))
        }
        let text = Array("\(getpid())\n".utf8)
        _ = ftruncate(descriptor, 0)
        // For people only: the lock itself is the promise, so a full disk is no reason to fail.
        _ = text.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        self.descriptor = descriptor
    }

    /// Gives the lock up.
    public func release() { flock(descriptor, LOCK_UN) }

    deinit { close(descriptor) }

    private static func holder(_ descriptor: Int32) -> Int32? {
        var bytes = [UInt8](repeating: 0, count: 16)
        let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, 0) }
        guard count > 0 else { return nil }
        let digits = bytes.prefix(count).prefix { $0 >= 0x30 && $0 <= 0x39 }
        return Int32(String(decoding: digits, as: UTF8.self))
    }
}
