/// Which mounts the input `disk` reports, and under which path it asks for them.
///
/// Order of the filters: mount options, mount points, type; then HOST_MOUNT_PREFIX. A plain prefix test decides whether
/// a path lies below the prefix, so `/host` also covers `/hostfs`.
public struct MountSelection: Sendable, Hashable {
    public struct Selected: Sendable, Hashable {
        public var mount: Mount
        /// The path for statfs(2).
        public var statPath: [UInt8]
        /// The path as the tag shows it: without the prefix, at least `/`.
        public var shownPath: [UInt8]
    }

    private let mountPoints: Set<[UInt8]>
    private let ignoredTypes: Set<String>
    private let ignoredOptions: Set<String>

    /// `mountPoints` empty = all.
    public init(mountPoints: [String], ignoredTypes: [String], ignoredOptions: [String]) {
        self.mountPoints = Set(mountPoints.map { Array($0.utf8) })
        // autofs always: asking would mount.
        self.ignoredTypes = Set(ignoredTypes).union(["autofs"])
        self.ignoredOptions = Set(ignoredOptions)
    }

    /// The mounts to report, in the order of the table. `mountPrefix` empty = none.
    public func select(_ mounts: [Mount], mountPrefix: String) -> [Selected] {
        let prefix = Array(mountPrefix.utf8)
        let listed = prefix.isEmpty ? [] : Set(mounts.map(\.mountPoint))
        return mounts.compactMap { mount in
            guard ignoredOptions.isDisjoint(with: mount.options),
                mountPoints.isEmpty || mountPoints.contains(mount.mountPoint),
                !ignoredTypes.contains(mount.fileSystem)
            else { return nil }
            var selected = Selected(mount: mount, statPath: mount.mountPoint, shownPath: mount.mountPoint)
            if !prefix.isEmpty {
                if mount.mountPoint.starts(with: prefix) {
                    selected.shownPath = Array(mount.mountPoint.dropFirst(prefix.count))
                } else {
                    selected.statPath = MountSelection.clean(prefix + [UInt8(ascii: "/")] + mount.mountPoint)
                    if listed.contains(selected.statPath) { return nil }
                }
            }
            selected.shownPath = MountSelection.clean([UInt8(ascii: "/")] + selected.shownPath)
            return selected
        }
    }

    /// The tag `device`: every `/dev/` removed; the type when there is no device.
    public static func shownDevice(_ device: String, _ fileSystem: String) -> String {
        if device.isEmpty || device == "none" { return fileSystem }
        let pattern = Array("/dev/".utf8)
        let bytes = Array(device.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index...].starts(with: pattern) {
                index += pattern.count
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Whether asking a file system of this type may hang: it answers over a network or from another process.
    public static func mayHang(_ type: String) -> Bool {
        if type == "fusectl" { return false }
        return remoteTypes.contains(type) || type.hasPrefix("nfs") || type.hasPrefix("fuse") || type.hasPrefix("smb")
            || type.hasPrefix("afs") || type.hasPrefix("pvfs")
    }

    private static let remoteTypes: Set<String> = [
        "9p", "acfs", "beegfs", "ceph", "cifs", "coda", "davfs", "glusterfs", "gfs", "gfs2", "gpfs", "kafs", "lustre",
        "mfs", "ncp", "ncpfs", "ocfs2", "orangefs", "panfs", "prl_fs", "shfs", "sshfs", "vboxsf", "virtiofs", "vmhgfs",
    ]

    /// An absolute path without empty parts, `.` and `..`.
    public static func clean(_ path: [UInt8]) -> [UInt8] {
        var parts: [ArraySlice<UInt8>] = []
        for part in path.split(separator: UInt8(ascii: "/")) {
            if part.elementsEqual([UInt8(ascii: ".")]) { continue }
            if part.elementsEqual([UInt8(ascii: "."), UInt8(ascii: ".")]) {
                _ = parts.popLast()
            } else {
                parts.append(part)
            }
        }
        guard !parts.isEmpty else { return [UInt8(ascii: "/")] }
        return parts.flatMap { [UInt8(ascii: "/")] + $0 }
    }
}
