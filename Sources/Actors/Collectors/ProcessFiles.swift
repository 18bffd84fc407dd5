import Glibc
import Pipeline

/// The files /proc/PID/stat between two passes: the open folder, and the open files of processes that were there the
/// last time. Owned by one collector.
///
/// Why kept: opening and closing costs as much as the reading itself. Each kept file pins a page in the kernel, so there
/// are at most `keptLimit`; further processes are opened each time.
public final class ProcessFiles {
    /// Bounds: descriptors, and pages of kernel memory.
    static let keptLimit = 256

    /// The folder /proc; nil = not open.
    fileprivate var folder: OpaquePointer?
    /// Ascending by process, as the kernel lists them.
    fileprivate var kept: [(pid: Int32, descriptor: Int32)] = []
    fileprivate var next: [(pid: Int32, descriptor: Int32)] = []
    fileprivate var buffer: [UInt8] = []

    public init() {}

    deinit { close() }

    fileprivate func close() {
        if let folder { closedir(folder) }
        folder = nil
        for (_, descriptor) in kept + next { SystemError.close(descriptor) }
        kept = []
        next = []
    }
}

extension Host {
    /// The slow way, for hosts that are folders: by names and whole files.
    public func readProcesses(_ files: ProcessFiles, _ body: ([UInt8]) -> Void) throws(HostError) {
        var buffer: [UInt8] = []
        for name in names(in: .proc, "") where name.utf8.first.map({ $0 &- UInt8(ascii: "0") < 10 }) ?? false {
            do throws(HostError) {
                try read(HostFile(.proc, "\(name)/stat", isKept: false), into: &buffer)
            } catch {
                if error.isMissing || error.code == ESRCH { continue }
                throw error
            }
            body(buffer)
        }
    }
}

extension LinuxHost {
    /// A line of stat has some 300 bytes; the longest possible one 700.
    private static let statBytes = 1024

    public func readProcesses(_ files: ProcessFiles, _ body: ([UInt8]) -> Void) throws(HostError) {
        if files.folder == nil {
            files.folder = withPath(.proc, [], { opendir($0) })
            guard files.folder != nil else { throw HostError(code: errno, operation: "open the folder of processes") }
        } else if let folder = files.folder {
            rewinddir(folder)
        }
        guard let folder = files.folder else { return }
        var index = 0
        defer {
            while index < files.kept.count {
                SystemError.close(files.kept[index].descriptor)
                index += 1
            }
            swap(&files.kept, &files.next)
            files.next.removeAll(keepingCapacity: true)
        }
        while let entry = readdir(folder) {
            guard let pid = LinuxHost.pid(&entry.pointee.d_name) else { continue }
            while index < files.kept.count, files.kept[index].pid < pid {
                SystemError.close(files.kept[index].descriptor)
                index += 1
            }
            var descriptor: Int32 = -1
            if index < files.kept.count, files.kept[index].pid == pid {
                descriptor = files.kept[index].descriptor
                index += 1
            }
            try LinuxHost.readStat(of: pid, descriptor, in: dirfd(folder), files, body)
        }
    }

    /// Reads one file, through `descriptor` if it is still that of a process, else anew.
    private static func readStat(
        of pid: Int32, _ kept: Int32, in folder: Int32, _ files: ProcessFiles, _ body: ([UInt8]) -> Void
    ) throws(HostError) {
        var descriptor = kept
        var code: Int32 = ESRCH
        if descriptor >= 0 {
            code = fill(&files.buffer, from: descriptor)
            if code != 0 { SystemError.close(descriptor) }
        }
        // None is kept, or the process is gone and another one may have its number.
        if code == ESRCH {
            descriptor = openStat(of: pid, in: folder)
            code = descriptor >= 0 ? fill(&files.buffer, from: descriptor) : errno
            if code != 0 { SystemError.close(descriptor) }
        }
        switch code {
        case 0: body(files.buffer)
        case ENOENT, ESRCH: return
        default: throw HostError(code: code, operation: "read \(pid)/stat")
        }
        if files.next.count < ProcessFiles.keptLimit {
            files.next.append((pid, descriptor))
        } else {
            SystemError.close(descriptor)
        }
    }

    /// Returns 0 or errno.
    @inline(__always)
    private static func fill(_ buffer: inout [UInt8], from descriptor: Int32) -> Int32 {
        buffer.removeAll(keepingCapacity: true)
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: statBytes) { piece in
            let count = pread(descriptor, piece.baseAddress, piece.count, 0)
            guard count >= 0 else { return errno }
            buffer.append(contentsOf: UnsafeBufferPointer(rebasing: piece[..<count]))
            return 0
        }
    }

    /// Opens `PID/stat` below the folder; -1 with errno.
    private static func openStat(of pid: Int32, in folder: Int32) -> Int32 {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 24) { path in
            var digits = 1
            var scale: Int32 = 1
            while pid / scale >= 10 {
                scale *= 10
                digits += 1
            }
            for position in 0..<digits {
                path[position] = CChar(pid / scale % 10) + 48
                scale = max(1, scale / 10)
            }
            for (offset, byte) in "/stat".utf8.enumerated() { path[digits + offset] = CChar(byte) }
            path[digits + 5] = 0
            guard let start = path.baseAddress else { return -1 }
            return openat(folder, start, O_RDONLY | O_CLOEXEC)
        }
    }

    /// The number that is a name in /proc; nil for other names.
    @inline(__always)
    private static func pid<Name>(_ name: inout Name) -> Int32? {
        withUnsafeBytes(of: &name) { bytes in
            var value: Int32 = 0
            var position = 0
            while position < bytes.count, bytes[position] != 0 {
                let digit = bytes[position] &- UInt8(ascii: "0")
                // Process numbers end at 2^22.
                guard digit < 10, value < 100_000_000 else { return nil }
                value = value * 10 + Int32(digit)
                position += 1
            }
            return position > 0 && bytes[0] != UInt8(ascii: "0") ? value : nil
        }
    }
}
