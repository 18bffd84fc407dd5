import CLinux
import Glibc
import Pipeline

/// Why a file operation failed: what, where, and the kernel's reason.
public struct DiskError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What recovery depends on.
    public enum Kind: Sendable, Hashable {
        /// No space, quota or inodes left: dropping old segments can help.
        case full
        /// Read-only, forbidden, or gone: only time or the operator can help.
        case unreachable
        /// The device failed, or anything else: a new file may help.
        case io
    }

    public var operation: String
    public var path: String
    public var code: Int32

    public init(_ operation: String, _ path: String, _ code: Int32) {
        self.operation = operation
        self.path = path
        self.code = code
    }

    /// The code of a full disk, for callers without Glibc.
    static let full: Int32 = ENOSPC

    public var kind: Kind {
        switch code {
        case ENOSPC, EDQUOT: .full
        case EROFS, EACCES, EPERM, ENOENT, ENOTDIR, ELOOP, EISDIR: .unreachable
        default: .io
        }
    }

    public var description: String { "cannot \(operation) \(path): \(String(cString: strerror(code)))" }
}

/// An entry of a directory. Symbolic links are never followed: they are `.other`.
public struct DiskEntry: Sendable, Hashable {
    public enum Kind: Sendable, Hashable { case file, directory, other }
    public var name: String
    public var kind: Kind
    public var size: Int

    public init(name: String, kind: Kind, size: Int) {
        self.name = name
        self.kind = kind
        self.size = size
    }
}

/// Free (for us) and total bytes of a file system.
public struct DiskSpace: Sendable, Hashable {
    public var free: UInt64
    public var total: UInt64

    public init(free: UInt64, total: UInt64) {
        self.free = free
        self.total = total
    }
}

/// The edge to the file system, so that tests can fail, shorten and forget what they like. All calls block.
public protocol Disk: Sendable {
    /// Makes `path` and its parents with mode 0700; fine when it is a directory already.
    func makeDirectory(_ path: String) throws(DiskError)
    func list(_ path: String) throws(DiskError) -> [DiskEntry]
    /// Opens a regular file to read; anything else is an error. Returns a descriptor.
    func openToRead(_ path: String) throws(DiskError) -> Int32
    /// Makes an empty file with mode 0600, or empties the one that is there, and opens it to write.
    func openToWrite(_ path: String) throws(DiskError) -> Int32
    /// Opens an existing regular file to repair it.
    func openToRepair(_ path: String) throws(DiskError) -> Int32
    /// Reads up to `buffer.count` bytes; fewer only at the end.
    func read(_ descriptor: Int32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(DiskError) -> Int
    /// Writes the parts one after the other with one system call; may write less than all.
    func write(_ descriptor: Int32, at offset: Int, _ parts: [[UInt8]]) throws(DiskError) -> Int
    /// Reserves room without changing the size.
    func allocate(_ descriptor: Int32, bytes: Int) throws(DiskError)
    func truncate(_ descriptor: Int32, to size: Int) throws(DiskError)
    func size(_ descriptor: Int32) throws(DiskError) -> Int
    func sync(_ descriptor: Int32) throws(DiskError)
    func syncDirectory(_ path: String) throws(DiskError)
    func rename(_ source: String, to target: String) throws(DiskError)
    /// Removes a file; fine when there is none.
    func remove(_ path: String) throws(DiskError)
    func exists(_ path: String) -> Bool
    func space(_ path: String) throws(DiskError) -> DiskSpace
    func close(_ descriptor: Int32)
}

extension Disk {
    /// Writes all parts, with as many calls as it takes.
    func writeAll(_ descriptor: Int32, at offset: Int, _ parts: [[UInt8]], path: String) throws(DiskError) {
        var offset = offset
        var rest = parts
        while true {
            rest.removeAll { $0.isEmpty }
            guard !rest.isEmpty else { return }
            var written = try write(descriptor, at: offset, rest)
            guard written > 0 else { throw DiskError("write", path, EIO) }
            offset += written
            for index in rest.indices where written > 0 {
                let taken = min(written, rest[index].count)
                rest[index] = taken == rest[index].count ? [] : Array(rest[index][taken...])
                written -= taken
            }
        }
    }

    /// The whole file, at most `limit` bytes of it.
    func contents(_ path: String, limit: Int) throws(DiskError) -> [UInt8] {
        let descriptor = try openToRead(path)
        defer { close(descriptor) }
        let size = min(limit, try size(descriptor))
        guard size > 0 else { return [] }
        var failure: DiskError?
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            do throws(DiskError) {
                count = try read(descriptor, at: 0, into: UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Replaces a file: temporary file, sync, rename, sync of the directory. Old or new, never half.
    func replace(_ path: String, with bytes: [UInt8], in folder: String) throws(DiskError) {
        let temporary = path + ".tmp"
        let descriptor = try openToWrite(temporary)
        do throws(DiskError) {
            try writeAll(descriptor, at: 0, [bytes], path: temporary)
            try sync(descriptor)
            close(descriptor)
        } catch {
            close(descriptor)
            try? remove(temporary)
            throw error
        }
        try rename(temporary, to: path)
        try syncDirectory(folder)
    }
}

/// The kernel's file system. Never follows a symbolic link in the last part of a path, never hangs on a FIFO.
public struct LinuxDisk: Disk {
    public init() {}

    public func makeDirectory(_ path: String) throws(DiskError) {
        guard mkdir(path, 0o700) != 0 else { return }
        let code = errno
        if code == ENOENT, let slash = path.lastIndex(of: "/"), slash > path.startIndex {
            try makeDirectory(String(path[..<slash]))
            guard mkdir(path, 0o700) != 0, errno != EEXIST else { return }
            throw DiskError("create", path, errno)
        }
        guard code == EEXIST else { throw DiskError("create", path, code) }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw DiskError("use as a directory", path, ENOTDIR)
        }
    }

    public func list(_ path: String) throws(DiskError) -> [DiskEntry] {
        guard let directory = opendir(path) else { throw DiskError("list", path, errno) }
        defer { closedir(directory) }
        var entries: [DiskEntry] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            var status = stat()
            guard lstat(path + "/" + name, &status) == 0 else { continue }
            let kind: DiskEntry.Kind =
                switch status.st_mode & S_IFMT {
                case S_IFREG: .file
                case S_IFDIR: .directory
                default: .other
                }
            entries.append(DiskEntry(name: name, kind: kind, size: Int(status.st_size)))
        }
        return entries
    }

    public func openToRead(_ path: String) throws(DiskError) -> Int32 {
        try openRegular(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    }

    public func openToRepair(_ path: String) throws(DiskError) -> Int32 {
        try openRegular(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    }

    public func openToWrite(_ path: String) throws(DiskError) -> Int32 {
        try openRegular(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    }

    private func openRegular(_ path: String, _ flags: Int32) throws(DiskError) -> Int32 {
        let descriptor = godwit_open(path, flags, 0o600)
        guard descriptor >= 0 else { throw DiskError("open", path, errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw DiskError("open as a file", path, EISDIR)
        }
        return descriptor
    }

    public func read(
        _ descriptor: Int32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DiskError) -> Int {
        var done = 0
        while done < buffer.count, let base = buffer.baseAddress {
            let count = pread(descriptor, base + done, buffer.count - done, offset + done)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw DiskError("read", "segment", errno) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    public func write(_ descriptor: Int32, at offset: Int, _ parts: [[UInt8]]) throws(DiskError) -> Int {
        var vectors: [iovec] = []
        let count = withParts(parts[...], &vectors) { pwritev(descriptor, $0, Int32(clamping: $0.count), offset) }
        if count < 0, errno == EINTR { return try write(descriptor, at: offset, parts) }
        guard count >= 0 else { throw DiskError("write", "segment", errno) }
        return count
    }

    /// Calls `body` with vectors that point into the arrays: nothing is copied.
    private func withParts(_ parts: ArraySlice<[UInt8]>, _ vectors: inout [iovec], _ body: ([iovec]) -> Int) -> Int {
        guard let first = parts.first else { return body(vectors) }
        return first.withUnsafeBytes { bytes in
            vectors.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count))
            return withParts(parts.dropFirst(), &vectors, body)
        }
    }

    public func allocate(_ descriptor: Int32, bytes: Int) throws(DiskError) {
        guard fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, bytes) != 0 else { return }
        // A file system that cannot reserve is no reason to do without it.
        guard errno == EOPNOTSUPP || errno == ENOSYS || errno == EINTR else {
            throw DiskError("reserve", "segment", errno)
        }
    }

    public func truncate(_ descriptor: Int32, to size: Int) throws(DiskError) {
        guard ftruncate(descriptor, size) == 0 else { throw DiskError("truncate", "segment", errno) }
    }

    public func size(_ descriptor: Int32) throws(DiskError) -> Int {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DiskError("look at", "segment", errno) }
        return Int(status.st_size)
    }

    public func sync(_ descriptor: Int32) throws(DiskError) {
        guard fdatasync(descriptor) == 0 else { throw DiskError("sync", "segment", errno) }
    }

    public func syncDirectory(_ path: String) throws(DiskError) {
        let descriptor = godwit_open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw DiskError("open", path, errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw DiskError("sync", path, errno) }
    }

    public func rename(_ source: String, to target: String) throws(DiskError) {
        guard Glibc.rename(source, target) == 0 else { throw DiskError("rename", source, errno) }
    }

    public func remove(_ path: String) throws(DiskError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw DiskError("remove", path, errno) }
    }

    public func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    public func space(_ path: String) throws(DiskError) -> DiskSpace {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { throw DiskError("look at", path, errno) }
        let unit = UInt64(status.f_frsize)
        return DiskSpace(
            free: UInt64(status.f_bavail).multipliedSaturated(by: unit),
            total: UInt64(status.f_blocks).multipliedSaturated(by: unit))
    }

    public func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }
}
