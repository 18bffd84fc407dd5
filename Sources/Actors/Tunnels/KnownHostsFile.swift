import CLinux
import Glibc
import Pipeline

/// The file of host keys, where several daemons and several tunnels of one may keep new keys at the same time.
enum KnownHostsFile {
    /// How long another writer is waited for.
    private static let patienceSeconds = 5

    /// Keeps the key of a server of which nothing was known, unless somebody has kept it meanwhile. False when another
    /// key of the server was kept meanwhile: then this one is not to be trusted. The file is made with mode 0600.
    ///
    /// Bounds: waits 5 s for other writers. Errors: what the system says, a file that is not ours, a lock that is held.
    static func add(_ key: [UInt8], of server: NetworkPlace, to path: String) throws(FileComplaint) -> Bool {
        guard let line = KnownHosts.line(for: server, key: key) else { return false }
        let descriptor = try locked(path)
        defer { close(descriptor) }
        var content = try PrivateFile.read(
            from: descriptor, path, mayBeReadByOthers: true, limit: KnownHosts.sizeLimit)
        let verdict = (try? KnownHosts(content))?.verdict(for: server, key: key, .system)
        switch verdict {
        case .known: return true
        case .changed, .revoked: return false
        case .unknown, .authorityOnly, nil: break
        }
        let before = content.count
        // A line that was cut by a full disk must not swallow ours.
        content = content.last.map { $0 == UInt8(ascii: "\n") ? [] : [UInt8(ascii: "\n")] } ?? []
        content += line.utf8
        guard before + content.count <= KnownHosts.sizeLimit else {
            throw FileComplaint(description: "\(path) is longer than \(KnownHosts.sizeLimit) bytes")
        }
        guard write(descriptor, content, content.count) == content.count, fsync(descriptor) == 0 else {
            let complaint = PrivateFile.complaint("write", path)
            ftruncate(descriptor, before)
            throw complaint
        }
        return true
    }

    /// The file, opened for appending and locked against other daemons.
    private static func locked(_ path: String) throws(FileComplaint) -> Int32 {
        for _ in 0..<(patienceSeconds * 20) {
            let descriptor = godwit_open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0o600)
            guard descriptor >= 0 else { throw PrivateFile.complaint("open", path) }
            // It may have been replaced by another file under its name while we waited for the lock.
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0, isStill(descriptor, at: path) { return descriptor }
            close(descriptor)
            poll(nil, 0, 50)
        }
        throw FileComplaint(description: "\(path) is locked by another process")
    }

    private static func isStill(_ descriptor: Int32, at path: String) -> Bool {
        var opened = stat()
        var named = stat()
        return fstat(descriptor, &opened) == 0 && stat(path, &named) == 0 && opened.st_ino == named.st_ino
            && opened.st_dev == named.st_dev
    }
}
