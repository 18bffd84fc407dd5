import CLinux
import Glibc
import Pipeline

/// Where and how long `[[outputs.file]]` keeps its files.
public struct FileSettings: Sendable, Hashable {
    public var directory: String
    /// The current file is closed before it would grow beyond.
    public var rotationBytes: Int64 = 16 << 20
    public var rotationInterval = Duration.seconds(3600)
    /// All files together, the current one included.
    public var filesLimit = 8
    public var ageLimit = Duration.seconds(24 * 3600)

    public init(directory: String) { self.directory = directory }
}

/// Appends line protocol to rotating files: `metrics.lp` is the current one, `metrics-20260131T090500Z.lp` an older.
///
/// Owns: the directory (0700) and its files (0600). Receives: `send`, `probe`. Runs on the disk loop, since it blocks.
/// Promise: a batch is in the file whole when it is acknowledged, and may stand there twice after a crash; it is
/// written, not synced. What a crash or a full disk cut in half is cut off before the next batch.
public actor FileTransport: Transport {
    private static let currentName = "metrics.lp"

    private nonisolated let loop: WorkLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let settings: FileSettings
    private let clock: any Clock
    private var descriptor: Int32 = -1
    private var size: Int64 = 0
    private var openedAt = Instant.zero
    private var prunedAt: Instant?

    public init(settings: FileSettings, loop: WorkLoop, clock: any Clock) {
        self.settings = settings
        self.loop = loop
        self.clock = clock
    }

    public func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome {
        guard let lines = PayloadCoding.lines(of: batch) else {
            return .data(reason: "payload cannot be decompressed", isExplained: true)
        }
        do throws(SystemFailure) {
            try prepare(adding: Int64(lines.count))
            try append(lines)
            return .delivered
        } catch {
            closeCurrent()
            return .unavailable(reason: error.description)
        }
    }

    /// Good when the current file can be opened.
    public func probe(deadline: Instant) async -> ProbeOutcome {
        do throws(SystemFailure) {
            try prepare(adding: 0)
            return .good
        } catch {
            closeCurrent()
            return .bad(reason: error.description)
        }
    }

    /// Closes the current file; the next batch opens it again.
    public func close() { closeCurrent() }

    // MARK: The current file

    private var currentPath: String { "\(settings.directory)/\(Self.currentName)" }

    /// Opens, rotates and prunes as due, so that the current file takes `count` bytes more.
    private func prepare(adding count: Int64) throws(SystemFailure) {
        try open()
        let isFull = size > 0 && size.addingSaturated(count) > settings.rotationBytes
        let isOld = size > 0 && clock.now - openedAt >= settings.rotationInterval
        if isFull || isOld {
            try rotate()
            try open()
        }
        if prunedAt.map({ clock.now - $0 >= .seconds(60) }) ?? true { prune() }
    }

    private func open() throws(SystemFailure) {
        if descriptor >= 0 {
            // Somebody moved or removed the file: what we write would be lost to them.
            var ours = stat()
            var named = stat()
            if fstat(descriptor, &ours) == 0, lstat(currentPath, &named) == 0, ours.st_ino == named.st_ino,
                ours.st_dev == named.st_dev
            {
                return
            }
            closeCurrent()
        }
        try makeDirectory()
        let flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        let opened = godwit_open(currentPath, flags, 0o600)
        guard opened >= 0 else { throw SystemFailure("open", currentPath) }
        var status = stat()
        guard fstat(opened, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            Glibc.close(opened)
            throw SystemFailure(description: "\(currentPath) is no regular file")
        }
        descriptor = opened
        size = Int64(status.st_size)
        openedAt = clock.now
        cutTornLine()
    }

    private func makeDirectory() throws(SystemFailure) {
        var path = ""
        for component in settings.directory.split(separator: "/", omittingEmptySubsequences: false) {
            if component.isEmpty {
                if path.isEmpty { path = "/" }
                continue
            }
            path += path.isEmpty || path.hasSuffix("/") ? String(component) : "/\(component)"
            guard mkdir(path, 0o700) == 0 || errno == EEXIST || errno == EROFS || errno == EACCES else {
                throw SystemFailure("mkdir", path)
            }
        }
    }

    /// A crash in the middle of a write leaves a line without its end: it was never acknowledged and comes again.
    private func cutTornLine() {
        var block = [UInt8](repeating: 0, count: 64 * 1024)
        var end = size
        while end > 0 {
            let start = max(0, end - Int64(block.count))
            let count = pread(descriptor, &block, Int(end - start), off_t(start))
            guard count > 0 else { return }
            if let last = block[..<count].lastIndex(of: 0x0A) {
                end = start + Int64(last) + 1
                break
            }
            end = start
        }
        if end < size, ftruncate(descriptor, off_t(end)) == 0 { size = end }
    }

    private func append(_ lines: [UInt8]) throws(SystemFailure) {
        var written = 0
        while written < lines.count {
            let count = lines[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                written += count
            } else if count == 0 || errno != EINTR {
                let failure = SystemFailure("write", currentPath)
                _ = ftruncate(descriptor, off_t(size))
                throw failure
            }
        }
        size = size.addingSaturated(Int64(written))
    }

    private func rotate() throws(SystemFailure) {
        closeCurrent()
        let stamp = UTCTime(clock.wall).stamp
        // Two rotations within a second get a number; a name that exists is never replaced.
        for number in 0..<1000 {
            let suffix = number == 0 ? "" : ".\(number)"
            let target = "\(settings.directory)/metrics-\(stamp)\(suffix).lp"
            if access(target, F_OK) == 0 { continue }
            guard rename(currentPath, target) == 0 else { throw SystemFailure("rename", currentPath) }
            prunedAt = nil
            return
        }
        throw SystemFailure(description: "no free name for \(currentPath)")
    }

    private func closeCurrent() {
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }

    // MARK: Old files

    /// Removes what is too old or too many. Only our own names, never through a link.
    private func prune() {
        prunedAt = clock.now
        guard let directory = opendir(settings.directory) else { return }
        defer { closedir(directory) }
        var old: [(modified: Timestamp, path: String)] = []
        while let entry = readdir(directory), old.count < 100_000 {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix("metrics-"), name.hasSuffix(".lp") else { continue }
            let path = "\(settings.directory)/\(name)"
            var status = stat()
            guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
            let nanoseconds = Int64(status.st_mtim.tv_sec).multipliedSaturated(by: 1_000_000_000)
            old.append((Timestamp(nanoseconds: nanoseconds.addingSaturated(Int64(status.st_mtim.tv_nsec))), path))
        }
        old.sort { ($0.modified, $0.path) < ($1.modified, $1.path) }
        let excess = max(0, old.count - max(0, settings.filesLimit - 1))
        for (index, file) in old.enumerated() {
            if index < excess || clock.wall - file.modified > settings.ageLimit { unlink(file.path) }
        }
    }
}

/// A system call that failed, in words.
struct SystemFailure: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String

    init(description: String) { self.description = description }

    /// With the words of `errno`.
    init(_ call: String, _ path: String) {
        description = "\(call) \(path): \(String(cString: strerror(errno)))"
    }
}
