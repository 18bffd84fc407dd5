import Pipeline

/// Input `linux_sysctl_fs`: what the kernel counts of files, inodes and directory entries, from /proc/sys/fs.
///
/// A file that does not exist is left out; one that cannot be read is an error of its own, the others flow on.
public actor SysctlFSCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "linux_sysctl_fs", summary: "Open files, inodes and directory entries, from /proc/sys/fs.",
            options: [],
            metrics: [
                MetricSpec(
                    "linux_sysctl_fs",
                    fields: sources.flatMap { source in
                        source.fields.compactMap { $0.map { ($0, source.name) } }.map { name, file in
                            MetricSpec.Field(
                                name, .uint, name == "dentry-age-limit" ? .seconds : .count, "/proc/sys/fs/\(file)")
                        }
                    })
            ])
    }

    /// A file, and what its numbers are called; nil for those that nobody asks for.
    private static let sources: [(name: String, fields: [String?])] = [
        ("aio-nr", ["aio-nr"]), ("aio-max-nr", ["aio-max-nr"]), ("dquot-nr", ["dquot-nr"]),
        ("dquot-max", ["dquot-max"]), ("super-nr", ["super-nr"]), ("super-max", ["super-max"]),
        ("inode-state", ["inode-nr", "inode-free-nr", "inode-preshrink-nr"]),
        ("dentry-state", ["dentry-nr", "dentry-unused-nr", "dentry-age-limit", "dentry-want-pages"]),
        ("file-nr", ["file-nr", nil, "file-max"]),
    ]

    private let host: any Host
    private let series = Series("linux_sysctl_fs")
    private let files = SysctlFSCollector.sources.map { HostFile(.proc, "sys/fs/\($0.name)") }
    private var buffer: [UInt8] = []
    private var row = FieldRow()

    public init(host: any Host) { self.host = host }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        row.begin()
        for (source, file) in zip(SysctlFSCollector.sources, files) {
            do throws(HostError) { try host.read(file, into: &buffer) } catch {
                if !error.isMissing { gather.errors.append("\(error)") }
                continue
            }
            do throws(ParseError) {
                let values = try NumberFile.list(buffer, limit: source.fields.count, source: "sys/fs/\(source.name)")
                for case (let name?, let value) in zip(source.fields, values) { row.uint(name, value) }
            } catch {
                gather.errors.append("\(error)")
            }
        }
        row.append(series, at: time, to: &gather.samples)
        return gather
    }
}
