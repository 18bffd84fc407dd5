/// One mounted file system.
public struct Mount: Sendable, Hashable {
    /// `major:minor`; empty when the source does not tell (`/proc/1/mounts`).
    public var number: String
    /// `/dev/sda1`, `nas:/vol1`, `tmpfs`; may be empty. Symlinks are not resolved here.
    public var device: String
    /// Octal escapes decoded. Bytes, since a path need not be UTF-8.
    public var mountPoint: [UInt8]
    public var fileSystem: String
    /// Effective options, with the pseudo option `bind`.
    public var options: [String]

    public init(number: String, device: String, mountPoint: [UInt8], fileSystem: String, options: [String]) {
        self.number = number
        self.device = device
        self.mountPoint = mountPoint
        self.fileSystem = fileSystem
        self.options = options
    }

    /// `rw` or `ro` as the options say, otherwise `unknown`.
    public var mode: String {
        if options.contains("rw") { return "rw" }
        return options.contains("ro") ? "ro" : "unknown"
    }

    /// `text` with `\040` and its like turned into the bytes they stand for.
    public static func decodingOctal(_ text: ArraySlice<UInt8>) -> [UInt8] {
        guard text.contains(UInt8(ascii: "\\")) else { return Array(text) }
        var out: [UInt8] = []
        var index = text.startIndex
        while index < text.endIndex {
            if text[index] == UInt8(ascii: "\\"), text.endIndex - index >= 4 {
                let digits = text[(index + 1)...(index + 3)].map { $0 &- UInt8(ascii: "0") }
                if digits.allSatisfy({ $0 < 8 }), digits[0] < 4 {
                    out.append(digits[0] << 6 | digits[1] << 3 | digits[2])
                    index += 4
                    continue
                }
            }
            out.append(text[index])
            index += 1
        }
        return out
    }
}

/// `/proc/PID/mountinfo`: what is mounted where.
///
/// Shape: `id parent maj:min root mountpoint options [fields...] - fstype source superoptions`.
/// Errors: a line without ` - `, with fewer than five fields before it or fewer than two after it fails the file.
/// Rules: mode `ro` if mount or superblock is read-only, `rw` if both say so; the device is the source if that begins
/// with `/` or the root is `/`, otherwise the root, and of lines with one maj:min the first decides; a mount of a part
/// of a device that is no btrfs subvolume gets the option `bind`.
/// Source: proc_pid_mountinfo(5).
public enum MountInfo {
    public static func parse(_ bytes: [UInt8], source: String = "mountinfo") throws(ParseError) -> [Mount] {
        var cursor = ByteCursor(bytes)
        var mounts: [Mount] = []
        var deviceOfNumber: [String: String] = [:]
        while cursor.nextLine() {
            var mount = try line(&cursor, source)
            if let first = deviceOfNumber[mount.number] {
                mount.device = first
            } else {
                deviceOfNumber[mount.number] = mount.device
            }
            mounts.append(mount)
        }
        return mounts
    }

    private static func line(_ cursor: inout ByteCursor, _ file: String) throws(ParseError) -> Mount {
        guard let separator = separator(cursor) else {
            throw ParseError(file, line: cursor.lineNumber, "no ' - ' in the line")
        }
        var head: [Range<Int>] = []
        while let word = cursor.word(), word.lowerBound < separator { head.append(word) }
        guard head.count >= 5 else {
            throw ParseError(file, line: cursor.lineNumber, "\(head.count) fields before ' - ', not 5 or more")
        }
        // The cursor has passed the hyphen itself.
        guard let fileSystem = cursor.word() else {
            throw ParseError(file, line: cursor.lineNumber, "nothing after ' - '")
        }
        let behind = cursor.rest
        guard !behind.isEmpty else { throw ParseError(file, line: cursor.lineNumber, "no source after the type") }
        var deviceSource = cursor.word() ?? behind.upperBound..<behind.upperBound
        var superOptions = cursor.word() ?? behind.upperBound..<behind.upperBound
        if superOptions.isEmpty, deviceSource.lowerBound - behind.lowerBound == 2 {
            // Two blanks and then one word: the source is the empty string, as `mount -t tmpfs "" DIR` makes it.
            superOptions = deviceSource
            deviceSource = behind.lowerBound..<behind.lowerBound
        }
        return mount(cursor, head, cursor.text(fileSystem), cursor.text(deviceSource), cursor.text(superOptions))
    }

    /// Position of the hyphen of the first ` - `.
    private static func separator(_ cursor: ByteCursor) -> Int? {
        let bytes = cursor.bytes
        var position = cursor.index + 1
        while position + 1 < cursor.lineEnd {
            if bytes[position] == UInt8(ascii: "-"), bytes[position - 1] == UInt8(ascii: " "),
                bytes[position + 1] == UInt8(ascii: " ")
            {
                return position
            }
            position += 1
        }
        return nil
    }

    private static func mount(
        _ cursor: ByteCursor, _ head: [Range<Int>], _ fileSystem: String, _ source: String, _ superText: String
    ) -> Mount {
        let root = cursor.text(head[3])
        let superOptions = superText.split(separator: ",").map(String.init)
        var options = head.count > 5 ? cursor.text(head[5]).split(separator: ",").map(String.init) : []
        if options.contains("ro") || superOptions.contains("ro") {
            options.removeAll { $0 == "rw" || $0 == "ro" }
            options.insert("ro", at: 0)
        }
        let isPath = source.utf8.first == UInt8(ascii: "/")
        let subvolume = superOptions.first { $0.hasPrefix("subvol=") }?.dropFirst("subvol=".count)
        if isPath, root != "/", subvolume.map(String.init) != root { options.append("bind") }
        return Mount(
            number: cursor.text(head[2]), device: isPath || root == "/" ? source : root,
            mountPoint: Mount.decodingOctal(cursor.bytes[head[4]]), fileSystem: fileSystem, options: options)
    }
}
