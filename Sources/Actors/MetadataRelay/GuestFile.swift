import CLinux
import Glibc
import Pipeline

/// Reads the guest table again whenever its file changes.
///
/// What it promises: the last table that was whole stays in force until another whole one is there. What it refuses: what
/// is no regular file, what belongs to a stranger or can be written by one, and what is larger than a configuration.
/// Cost: one `stat` a look, a read only after a change.
struct GuestFile {
    let path: String
    /// Why the file as it is now is not in force; nil when it is.
    private(set) var trouble: String?
    /// When the table in force was read.
    private(set) var read: Instant?
    private var seen: FileStamp?
    private var hasLooked = false

    init(path: String) { self.path = path }

    /// A new table, if the file has changed and holds a whole one.
    mutating func look(now: Instant) -> GuestTable? {
        var status = stat()
        let found = stat(path, &status) == 0 ? FileStamp(status) : nil
        guard found != seen || !hasLooked else { return nil }
        hasLooked = true
        seen = found
        switch GuestFile.content(path) {
        case .failure(let complaint):
            trouble = complaint.text
            // No descriptor left, a disk that fails: its cause does not show in the file, so it is tried again.
            hasLooked = false
            return nil
        case .success(let bytes):
            let (table, issues) = GuestTable.parse(bytes, file: path)
            guard let table else {
                let count = issues.count > 1 ? " (and \(issues.count - 1) more)" : ""
                trouble = (issues.first.map { "\($0)" } ?? "\(path) cannot be read") + count
                return nil
            }
            trouble = nil
            read = now
            return table
        }
    }

    private struct Complaint: Error {
        var text: String
    }

    private static func content(_ path: String) -> Result<[UInt8], Complaint> {
        // O_NONBLOCK: a planted FIFO must not hang us.
        let descriptor = godwit_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0)
        guard descriptor >= 0 else {
            return .failure(Complaint(text: "cannot open \(path): \(String(cString: strerror(errno)))"))
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            return .failure(Complaint(text: "\(path) is no regular file"))
        }
        guard status.st_mode & 0o022 == 0 else {
            return .failure(Complaint(text: "\(path) can be written by group or others; give it mode 0644 or less"))
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            return .failure(Complaint(text: "\(path) belongs to user \(status.st_uid), not to us or root"))
        }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= TOMLParser.sizeLimit {
            let length = Glibc.read(descriptor, &chunk, chunk.count)
            if length < 0, errno == EINTR { continue }
            guard length >= 0 else {
                return .failure(Complaint(text: "cannot read \(path): \(String(cString: strerror(errno)))"))
            }
            if length == 0 { break }
            bytes += chunk[..<length]
        }
        return .success(bytes)
    }
}
