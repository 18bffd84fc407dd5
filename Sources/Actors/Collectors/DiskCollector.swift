import Pipeline

/// Input `disk`: space and inodes of mounted file systems, from the mount table and statfs(2).
///
/// Keeps: the selected mounts with their `Series` until the mount table changes; labels and links for a minute.
/// File systems that may hang (network, FUSE) are asked through `Host.remoteUsage` with a limit of 5 s, or nine tenths
/// of the interval; one that does not answer is reported once and skipped until it does. autofs is never touched.
public actor DiskCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "disk", summary: "Space and inodes of mounted file systems.",
            options: [
                OptionSpec("mount_points", .strings([]), "Only these mount points, exactly; empty: all."),
                OptionSpec("ignore_fs", .strings([]), "File system types to leave out."),
                OptionSpec(
                    "ignore_mount_opts", .strings([]), "Leave out mounts with one of these options; `bind` works too."),
                OptionSpec("rates", .bool(true), "The field read_only, which Telegraf does not have."),
            ],
            metrics: [
                MetricSpec(
                    "disk", tags: ["path", "device", "fstype", "mode", "label"], fields: fields + [readOnlyField])
            ])
    }

    private static let fields: [MetricSpec.Field] = [
        .uint("total", .bytes, "statfs(2): f_blocks * f_bsize"),
        .uint("free", .bytes, "statfs(2): f_bavail * f_bsize, free for ordinary users"),
        .uint("used", .bytes, "statfs(2): (f_blocks - f_bfree) * f_bsize"),
        .float("used_percent", .percent, "used, of used and free"),
        .uint("inodes_total", .count, "statfs(2): f_files"),
        .uint("inodes_free", .count, "statfs(2): f_ffree"),
        .uint("inodes_used", .count, "statfs(2): f_files - f_ffree"),
        .float("inodes_used_percent", .percent, "inodes_used, of inodes_used and inodes_free"),
    ]
    private static let readOnlyField = MetricSpec.Field.int(
        "read_only", .none, "1 when the tag mode is ro, else 0; option rates")

    private struct Entry {
        /// For statfs(2).
        let path: [UInt8]
        let series: Series
        let isRemote: Bool
        /// As the tag `mode` has it.
        let isReadOnly: Bool
        /// What statfs said last; a change is not announced by the mount table when the kernel itself made it.
        var wasReadOnly: Bool?
        /// procfs, cgroupfs and the like: half of all mounts as a rule. Asked again with the next reading of the table.
        var hasNoSize = false
    }

    /// How long labels and links of devices are believed.
    private static let tableAge = Duration.seconds(60)
    private static let remoteLimit = Duration.seconds(5)

    private let host: any Host
    private let hasReadOnly: Bool
    private let schema: Schema
    private let selection: MountSelection
    private let files: [HostFile]
    private var fileIndex = 0
    private var table: [UInt8] = []
    private var entries: [Entry] = []
    private var isStale = true
    private var tableUntil = Instant.zero
    private var saysNotAsked = false
    private var buffer: [UInt8] = []

    public init(options: OptionValues, host: any Host) {
        self.host = host
        hasReadOnly = options.bool("rates")
        schema = Schema(declared: DiskCollector.fields + (hasReadOnly ? [DiskCollector.readOnlyField] : []))
        selection = MountSelection(
            mountPoints: options.strings("mount_points"), ignoredTypes: options.strings("ignore_fs"),
            ignoredOptions: options.strings("ignore_mount_opts"))
        files =
            host.isMoved(.mountTable)
            ? [HostFile(.mountTable, "mountinfo"), HostFile(.mountTable, "mounts")]
            : ["1/mountinfo", "1/mounts", "self/mountinfo", "self/mounts"].map { HostFile(.proc, $0) }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        do {
            try refreshTable(now)
        } catch {
            entries = []
            isStale = true
            return Gather(errors: ["\(error)"])
        }
        for index in entries.indices where !entries[index].isRemote && !entries[index].hasNoSize {
            // A path that cannot be asked (gone, forbidden, in another namespace) is no error in the reference either.
            do throws(HostError) { append(index, try host.usage(of: entries[index].path), time, &gather) } catch {}
        }
        let limit = min(DiskCollector.remoteLimit, (deadline - now) * 9 / 10)
        await gatherRemote(time, until: now + limit, &gather)
        return gather
    }

    // MARK: Rows

    private func append(_ index: Int, _ usage: FileSystemUsage, _ time: Timestamp, _ gather: inout Gather) {
        if let before = entries[index].wasReadOnly, before != usage.isReadOnly { isStale = true }
        entries[index].wasReadOnly = usage.isReadOnly
        let total = usage.blocks.multipliedSaturated(by: usage.blockSize)
        guard total > 0 else {
            entries[index].hasNoSize = true
            return
        }
        let free = usage.availableBlocks.multipliedSaturated(by: usage.blockSize)
        let used = usage.blocks.subtractingSaturated(usage.freeBlocks).multipliedSaturated(by: usage.blockSize)
        let inodesUsed = usage.inodes.subtractingSaturated(usage.freeInodes)
        gather.samples.append(entries[index].series, schema, at: time)
        gather.samples.uint(total)
        gather.samples.uint(free)
        gather.samples.uint(used)
        gather.samples.float(DiskCollector.percent(used, free))
        gather.samples.uint(usage.inodes)
        gather.samples.uint(usage.freeInodes)
        gather.samples.uint(inodesUsed)
        gather.samples.float(DiskCollector.percent(inodesUsed, usage.freeInodes))
        if hasReadOnly { gather.samples.int(entries[index].isReadOnly ? 1 : 0) }
    }

    private static func percent(_ used: UInt64, _ free: UInt64) -> Double {
        let sum = Double(used) + Double(free)
        return sum > 0 ? 100 * Double(used) / sum : 0
    }

    private func gatherRemote(_ time: Timestamp, until limit: Instant, _ gather: inout Gather) async {
        let asked = entries.indices.filter { entries[$0].isRemote && !entries[$0].hasNoSize }
        guard !asked.isEmpty else { return }
        let answers: [RemoteUsage]
        do {
            answers = try await host.remoteUsage(of: asked.map { entries[$0].path }, until: limit)
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return
        }
        var notAsked = 0
        for (index, answer) in zip(asked, answers) where index < entries.count {
            switch answer {
            case .answered(let usage): append(index, usage, time, &gather)
            case .failed, .stuck(isNew: false): break
            case .stuck(isNew: true):
                let path = String(decoding: entries[index].path, as: UTF8.self)
                gather.errors.append("\(path): statfs does not return; skipped until it does")
            case .notAsked: notAsked += 1
            }
        }
        if notAsked > 0, !saysNotAsked {
            gather.errors.append("\(notAsked) remote file systems not asked: too many others do not answer")
        }
        saysNotAsked = notAsked > 0
    }

    // MARK: The mount table

    /// Brings `entries` up to date. Errors: no table can be read, or it cannot be parsed.
    private func refreshTable(_ now: Instant) throws {
        let isOld = isStale || now >= tableUntil
        guard isOld || host.mayHaveChanged(files[fileIndex]) else { return }
        try readTable()
        guard isOld || buffer != table else { return }
        let name = String(decoding: files[fileIndex].path, as: UTF8.self)
        let mounts =
            name.hasSuffix("mountinfo")
            ? try MountInfo.parse(buffer, source: name) : try ProcMounts.parse(buffer, source: name)
        rebuild(mounts)
        swap(&table, &buffer)
        isStale = false
        tableUntil = now + DiskCollector.tableAge
    }

    /// Reads the first table that can be read; the one that worked last is tried first.
    private func readTable() throws(HostError) {
        do throws(HostError) {
            return try host.read(files[fileIndex], into: &buffer)
        } catch {
            isStale = true
        }
        var firstError: HostError?
        for (index, file) in files.enumerated() {
            do throws(HostError) {
                try host.read(file, into: &buffer)
                fileIndex = index
                return
            } catch {
                firstError = firstError ?? error
            }
        }
        fileIndex = 0
        throw firstError ?? HostError(code: 0, operation: "read mountinfo")
    }

    private func rebuild(_ mounts: [Mount]) {
        // What the batcher derives from a series is cached by its identity: the same tags keep the same object.
        let kept = Dictionary(entries.map { ($0.series.tags, $0.series) }, uniquingKeysWith: { first, _ in first })
        entries = selection.select(mounts, mountPrefix: host.mountPrefix).map { selected in
            let device = device(of: selected.mount)
            var tags = [
                Tag("path", String(decoding: selected.shownPath, as: UTF8.self)),
                Tag("device", MountSelection.shownDevice(device, selected.mount.fileSystem)),
                Tag("fstype", selected.mount.fileSystem), Tag("mode", selected.mount.mode),
            ]
            if let label = label(of: device), !label.isEmpty { tags.append(Tag("label", label)) }
            let normalized = Series.normalized(tags)
            return Entry(
                path: selected.statPath, series: kept[normalized] ?? Series("disk", tags: normalized),
                isRemote: MountSelection.mayHang(selected.mount.fileSystem), isReadOnly: selected.mount.mode == "ro")
        }
    }

    /// The device itself, where the table names a link to it.
    private func device(of mount: Mount) -> String {
        if mount.number.isEmpty { return mount.device }
        if mount.device.hasPrefix("/dev/mapper/"),
            let target = host.linkTarget(.dev, String(mount.device.dropFirst("/dev/".count)))
        {
            let path = target.hasPrefix("/") ? target : "/dev/mapper/" + target
            return String(decoding: MountSelection.clean(Array(path.utf8)), as: UTF8.self)
        }
        if mount.device == "/dev/root", let target = host.linkTarget(.sys, "dev/block/\(mount.number)"),
            let name = target.split(separator: "/").last
        {
            return "/dev/\(name)"
        }
        return mount.device
    }

    /// The device mapper's name, or the label of the file system in udev's record.
    private func label(of device: String) -> String? {
        let name = device.hasPrefix("/dev/") ? String(device.dropFirst("/dev/".count)) : device
        guard !name.isEmpty, !name.split(separator: "/").contains("..") else { return nil }
        if let mapped = host.text(.sys, "block/\(name)/dm/name") { return mapped }
        guard let number = host.deviceNumber(name) else { return nil }
        var record: [UInt8] = []
        do throws(HostError) {
            try host.read(HostFile(.run, "udev/data/b\(number)", isKept: false), into: &record)
        } catch {
            return nil
        }
        return UdevRecord.label(record)
    }
}
