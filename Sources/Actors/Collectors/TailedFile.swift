import CLinux
import Glibc
import Pipeline

/// One file that is followed: its descriptor, how far it was read, and its format's memory.
///
/// Used by the one actor that owns it.
final class TailedFile {
    static let lineLimit = 1 << 20
    private static let pieceBytes = 65_536

    /// What a file is on its disk.
    struct Identity: Equatable {
        var device: UInt64
        var inode: UInt64
    }

    let path: String
    var data: ForeignData
    let identity: Identity
    private(set) var offset: UInt64
    private let descriptor: Int32
    private var isPassing = false

    /// Opens the file; nil when it cannot be opened, or is no regular file.
    init?(_ path: String, _ data: ForeignData, start: (Identity, _ size: UInt64) -> UInt64) {
        // O_NONBLOCK: a FIFO in its place must not hang us.
        descriptor = godwit_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0)
        var status = stat()
        guard descriptor >= 0, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            SystemError.close(descriptor)
            return nil
        }
        self.path = path
        self.data = data
        identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        offset = start(identity, UInt64(clamping: status.st_size))
    }

    deinit { SystemError.close(descriptor) }

    /// Whether the path now leads to another file, or to none.
    enum Fate { case same, replaced, gone }

    var fate: Fate {
        var status = stat()
        guard stat(path, &status) == 0 else { return .gone }
        return Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)) == identity ? .same : .replaced
    }

    /// What comes next: whole lines, at most `count` of them, and where they end. nil when no whole line is there.
    /// `isOverlong` is set when a line was passed over because it has no end within the bound.
    func next(lines count: Int, isOverlong: inout Bool) -> (lines: [UInt8], end: UInt64)? {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        let size = UInt64(clamping: status.st_size)
        if size < offset {
            // Truncated: what is there now is new.
            offset = 0
            isPassing = false
        }
        var room = TailedFile.pieceBytes
        while offset < size {
            var piece = [UInt8](repeating: 0, count: room)
            let length = pread(descriptor, &piece, room, off_t(clamping: offset))
            guard length > 0 else { return nil }
            var bytes = piece[..<length]
            if isPassing {
                guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
                    offset = offset.addingSaturated(UInt64(length))
                    continue
                }
                isPassing = false
                offset = offset.addingSaturated(UInt64(end + 1))
                continue
            }
            if let end = TailedFile.end(of: bytes, lines: count) {
                bytes = bytes[...end]
                return (Array(bytes), offset.addingSaturated(UInt64(bytes.count)))
            }
            guard length == room else { return nil }
            if room >= TailedFile.lineLimit {
                isPassing = true
                isOverlong = true
            } else {
                room *= 4
            }
        }
        return nil
    }

    /// The lines up to there have been taken.
    func advance(to end: UInt64) { offset = end }

    /// The last line end, or that of line `lines`.
    private static func end(of bytes: ArraySlice<UInt8>, lines: Int) -> Int? {
        var found: Int?
        var count = 0
        for index in bytes.indices where bytes[index] == UInt8(ascii: "\n") {
            found = index
            count += 1
            if count == lines { break }
        }
        return found
    }
}
