import CLinux
import Glibc
import Pipeline

/// Where a password or token comes from.
public enum SecretSource: Sendable, Hashable {
    case none
    case literal(Secret)
    /// A file that holds nothing else; white space at its end does not count.
    case file(path: String)
}

/// Why a secret cannot be had.
public struct SecretError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
}

/// Reads a secret again whenever its file changes, so that a rotation needs no restart.
///
/// Bounds: 64 KiB. Cost: one `stat` a call, a read only after a change.
public struct SecretReader: Sendable {
    private static let sizeLimit = 64 * 1024
    private let source: SecretSource
    /// Bits of the mode that refuse a file.
    private let forbiddenMode: mode_t
    /// Whether the file may have several lines.
    private let allowsLines: Bool
    private var cached: (stamp: FileStamp, secret: Secret)?

    /// The file as it was at the last look, readable or not; nil when it was not there.
    private var seen: FileStamp?
    private var wasRead = false

    /// `credentials` is where systemd keeps the secrets of its service, `$CREDENTIALS_DIRECTORY`. Newer versions grant
    /// access to the files there by an access list, whose mask the mode shows as the group's right; the folder is
    /// closed to everybody else.
    public init(
        _ source: SecretSource, allowsLines: Bool = false,
        credentials: String? = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
    ) {
        self.allowsLines = allowsLines
        self.source = source
        if case .file(let path) = source, let credentials, !credentials.isEmpty, path.hasPrefix(credentials + "/") {
            forbiddenMode = 0o037
        } else {
            forbiddenMode = 0o077
        }
    }

    /// The secret as it is now; `Secret.none` without a source.
    ///
    /// Errors: the file is missing, is no regular file, belongs to a stranger, or can be read by group or others.
    public mutating func current() throws(SecretError) -> Secret {
        switch source {
        case .none: return .none
        case .literal(let secret): return secret
        case .file(let path): return try read(path)
        }
    }

    /// Whether the file is another one than `current` saw last: a new secret may be worth a new try.
    public var isStale: Bool {
        guard case .file(let path) = source, wasRead else { return false }
        var status = stat()
        return (stat(path, &status) == 0 ? FileStamp(status) : nil) != seen
    }

    /// Whether a change would be seen at all.
    public var isWatchable: Bool {
        if case .file = source { return true }
        return false
    }

    private mutating func read(_ path: String) throws(SecretError) -> Secret {
        var status = stat()
        wasRead = true
        seen = stat(path, &status) == 0 ? FileStamp(status) : nil
        if let cached, seen == cached.stamp { return cached.secret }
        // O_NONBLOCK: a planted FIFO must not hang us.
        let descriptor = godwit_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)
        guard descriptor >= 0 else {
            throw SecretError(description: "cannot open \(path): \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw SecretError(description: "\(path) is no regular file")
        }
        guard status.st_mode & forbiddenMode == 0 else {
            throw SecretError(description: "\(path) can be read by group or others; give it mode 0600")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw SecretError(description: "\(path) belongs to user \(status.st_uid), not to us or root")
        }
        guard status.st_size <= Self.sizeLimit else {
            throw SecretError(description: "\(path) is longer than \(Self.sizeLimit) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: Self.sizeLimit)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else {
            throw SecretError(description: "cannot read \(path): \(String(cString: strerror(errno)))")
        }
        bytes.removeSubrange(count...)
        while let last = bytes.last, last <= 0x20 { bytes.removeLast() }
        // A raw control character inside would end up in a header.
        let allowsLines = allowsLines
        let isText = bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F || allowsLines && ($0 == 0x0A || $0 == 0x0D) }
        guard !bytes.isEmpty, isText else {
            throw SecretError(description: "\(path) holds no single line of text")
        }
        let secret = Secret(String(decoding: bytes, as: UTF8.self))
        cached = (FileStamp(status), secret)
        return secret
    }
}
