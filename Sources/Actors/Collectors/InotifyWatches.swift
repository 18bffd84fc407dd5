import Glibc
import Pipeline

/// The kernel's notes about files and folders that change; without one, nothing is noted and nothing fails.
///
/// Bounds: the kernel's own limit of watches. Events that overflow count as a change of everything.
struct InotifyWatches {
    private(set) var descriptor: Int32 = -1
    private var folders: [String: Int32] = [:]
    private var changed = false

    var isOpen: Bool { descriptor >= 0 }

    /// Whether something has come to a folder since this was asked last.
    var folderChanged: Bool {
        mutating get {
            defer { changed = false }
            return changed
        }
    }

    mutating func open() { descriptor = inotify_init1(Int32(IN_CLOEXEC | IN_NONBLOCK)) }

    mutating func close() {
        SystemError.close(descriptor)
        descriptor = -1
        folders = [:]
    }

    mutating func add(folder: String) {
        guard isOpen, folders[folder] == nil else { return }
        let mask = UInt32(IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)
        let watch = inotify_add_watch(descriptor, folder, mask)
        if watch >= 0 { folders[folder] = watch }
    }

    func add(file: String) {
        guard isOpen else { return }
        _ = inotify_add_watch(descriptor, file, UInt32(IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF | IN_ATTRIB))
    }

    /// Reads all events that wait.
    mutating func drain() {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while isOpen {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return }
            var at = 0
            while at + 16 <= count {
                let (mask, length) = buffer.withUnsafeBytes {
                    (
                        $0.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self),
                        $0.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self)
                    )
                }
                if mask & UInt32(IN_CREATE | IN_MOVED_TO | IN_Q_OVERFLOW) != 0 { changed = true }
                at += 16 + Int(length)
            }
        }
    }
}

/// Files below a folder whose paths match a pattern in which `**` crosses folders.
///
/// Bounds: 100,000 entries, 32 folders deep. Symbolic links to folders are not followed.
enum FileWalk {
    private static let entriesLimit = 100_000
    private static let depthLimit = 32

    /// The folder before the first part of a path that has a wildcard, or that the path ends in.
    static func folder(of path: String) -> String {
        let fixed = path.prefix { !"*?[{".contains($0) }
        guard let slash = fixed.lastIndex(of: "/"), slash > fixed.startIndex else { return "/" }
        return String(fixed[..<slash])
    }

    static func paths(matching pattern: String) -> [String] {
        guard let glob = try? Glob(pattern, separators: "/") else { return [] }
        var found: [String] = []
        var waiting = [(folder(of: pattern), 0)]
        var entries = 0
        while let (folder, depth) = waiting.popLast() {
            guard let stream = opendir(folder) else { continue }
            defer { closedir(stream) }
            while let entry = readdir(stream), entries < entriesLimit {
                entries += 1
                let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                guard name != ".", name != ".." else { continue }
                let path = folder == "/" ? "/" + name : folder + "/" + name
                var status = stat()
                guard lstat(path, &status) == 0 else { continue }
                switch status.st_mode & S_IFMT {
                case S_IFDIR: if depth < depthLimit { waiting.append((path, depth + 1)) }
                case S_IFREG: if glob.matches(path) { found.append(path) }
                default: break
                }
            }
        }
        return found.sorted()
    }
}
