/// Where the reading of files has come to, as it is kept over a restart.
///
/// Shape: `{"files":[{"path":"/a","device":1,"inode":2,"offset":3}]}`. What cannot be read counts as nothing kept.
public struct TailState: Sendable, Hashable {
    public struct Mark: Sendable, Hashable {
        public var device: UInt64
        public var inode: UInt64
        /// Bytes that need not be read again.
        public var offset: UInt64

        public init(device: UInt64, inode: UInt64, offset: UInt64) {
            self.device = device
            self.inode = inode
            self.offset = offset
        }
    }

    public static let filesLimit = 1_000
    public var marks: [String: Mark] = [:]

    public init() {}

    public init(_ text: [UInt8]) {
        guard let root = try? JSONValue.parse(text, bytesLimit: 1 << 20) else { return }
        for file in (root["files"]?.array ?? []).prefix(TailState.filesLimit) {
            guard let path = file["path"]?.string, let device = file["device"]?.uint64,
                let inode = file["inode"]?.uint64, let offset = file["offset"]?.uint64, offset <= UInt64(Int64.max)
            else { continue }
            marks[path] = Mark(device: device, inode: inode, offset: offset)
        }
    }

    public var encoded: [UInt8] {
        let files = marks.sorted { $0.key < $1.key }.map { path, mark -> JSONValue in
            [
                "path": .string(path), "device": JSONValue(exactly: mark.device),
                "inode": JSONValue(exactly: mark.inode),
                "offset": JSONValue(exactly: mark.offset),
            ]
        }
        let root: JSONValue = ["files": .array(files)]
        return root.encoded() + [UInt8(ascii: "\n")]
    }

    /// Where to begin in a file that is found now: a mark counts for that very file, unless it has become shorter. A
    /// file that took the place of the marked one is read from its beginning.
    public static func start(
        mark: Mark?, device: UInt64, inode: UInt64, size: UInt64, withoutMark: UInt64
    ) -> UInt64 {
        guard let mark else { return withoutMark }
        guard mark.device == device, mark.inode == inode, mark.offset <= size else { return 0 }
        return mark.offset
    }
}
