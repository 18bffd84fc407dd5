import Pipeline

/// Reads all that the input `procstat` tells of one process, and makes its tags and fields.
///
/// Owned by one collector; a call of `read` leaves tags and fields for `append`.
/// Cost: up to seven files a process: stat, status, io, cmdline, fd, smaps_rollup, limits.
final class ProcessReader {
    /// What is kept of a process for the next tick.
    struct Before {
        var startTicks: UInt64
        var cpuTicks: UInt64
        var at: Instant
    }

    private let host: any Host
    private let prefix: String
    private let fixedName: String?
    private let properties: Set<String>
    private let tagged: Set<String>
    private let isSolaris: Bool
    private var users = PasswdFile()
    private var totalBytes: UInt64 = 0
    /// Seconds since 1970; nil = not known yet.
    private var bootTime: Int64?
    private var cpuCount = 1
    private var buffer: [UInt8] = []
    private var row = FieldRow()
    private(set) var tags: [Tag] = []

    init(_ options: OptionValues, host: any Host) {
        self.host = host
        prefix = options.string("prefix").isEmpty ? "" : options.string("prefix") + "_"
        fixedName = options.string("process_name").isEmpty ? nil : options.string("process_name")
        let wanted = options.strings("properties")
        properties = Set(wanted.isEmpty ? ["cpu", "limits", "memory", "mmap"] : wanted)
        tagged = Set(
            options.strings("tag_with") + (options.bool("cmdline_tag") ? ["cmdline"] : [])
                + (options.bool("pid_tag") ? ["pid"] : []))
        isSolaris = options.string("mode").lowercased() == "solaris"
    }

    /// Begins a tick: reads what is the same for all processes.
    func begin(_ users: PasswdFile) {
        self.users = users
        if properties.contains("memory"), read(.proc, "meminfo") {
            do throws(ParseError) { totalBytes = try ProcMeminfo.parse(buffer).bytes(.memTotal) } catch { return }
        }
        if bootTime == nil, read(.proc, "stat") {
            cpuCount = max(1, ProcStat.cpuCount(buffer))
            do throws(ParseError) { bootTime = try ProcStatCounters.parse(buffer).bootTime } catch { return }
        }
    }

    /// Reads a process; nil when there is none, or when it ended meanwhile.
    func read(_ pid: Int32, _ before: Before?, _ now: Instant) -> Before? {
        guard read(.proc, "\(pid)/stat"), let stat = parsedStat() else { return nil }
        guard read(.proc, "\(pid)/status") else { return nil }
        let status = ProcessStatus.parse(buffer)
        row.begin()
        tags = []
        addIdentity(stat, status)
        addBasics(stat, status)
        let same = before.flatMap { $0.startTicks == stat.startTicks ? $0 : nil }
        let cpuTicks = stat.userTicks.addingSaturated(stat.systemTicks)
        if properties.contains("cpu") { addCPU(stat, cpuTicks, same, now) }
        if properties.contains("memory") { addMemory(stat) }
        if properties.contains("mmap") { addMemoryMap(stat) }
        addDescriptors(stat.pid)
        if properties.contains("limits") { addLimits(stat, status) }
        return Before(startTicks: stat.startTicks, cpuTicks: cpuTicks, at: now)
    }

    /// Appends the process that was read last.
    func append(_ series: Series, at time: Timestamp, to samples: inout SampleSet) {
        row.append(series, at: time, to: &samples)
    }

    private func parsedStat() -> ProcessStat? {
        do throws(ParseError) { return try ProcessStat.parse(buffer) } catch { return nil }
    }

    private func read(_ root: HostRoot, _ path: String) -> Bool {
        do throws(HostError) { try host.read(HostFile(root, path, isKept: false), into: &buffer) } catch {
            return false
        }
        return true
    }

    /// A field's key. Why no interpolation: without a prefix the name is a constant, and costs nothing.
    private func key(_ name: String) -> String { prefix.isEmpty ? name : prefix + name }

    private var wholeTicksPerSecond: UInt64 { UInt64(max(1, min(1e6, host.ticksPerSecond))) }

    private func seconds(_ ticks: UInt64) -> Double { Double(ticks) / host.ticksPerSecond }

    // MARK: Groups of fields

    private func addIdentity(_ stat: ProcessStat, _ status: ProcessStatus) {
        let pid = stat.pid
        let arguments = read(.proc, "\(pid)/cmdline") ? buffer : nil
        let name = String(decoding: stat.fullName(commandLine: arguments ?? []), as: UTF8.self)
        tags.append(Tag("process_name", fixedName ?? name))
        let line = arguments.map { String(decoding: ProcessCommandLine.text($0), as: UTF8.self) }
        let user = status.realUser.flatMap { users.names[$0] }
        for (name, value) in [("cmdline", line), ("status", stat.stateName), ("user", user)] {
            guard let value else { continue }
            if tagged.contains(name) { tags.append(Tag(name, value)) } else { row.string(key(name), value) }
        }
        if tagged.contains("ppid") {
            tags.append(Tag("ppid", "\(stat.parent)"))
        } else {
            row.int(key("ppid"), Int64(stat.parent))
        }
        // The only field that takes no prefix.
        if tagged.contains("pid") { tags.append(Tag("pid", "\(pid)")) } else { row.int("pid", Int64(pid)) }
    }

    private func addBasics(_ stat: ProcessStat, _ status: ProcessStatus) {
        row.int(key("num_threads"), stat.threads)
        row.int(key("voluntary_context_switches"), status.voluntarySwitches)
        row.int(key("involuntary_context_switches"), status.involuntarySwitches)
        row.uint(key("minor_faults"), stat.minorFaults)
        row.uint(key("major_faults"), stat.majorFaults)
        row.uint(key("child_minor_faults"), stat.childMinorFaults)
        row.uint(key("child_major_faults"), stat.childMajorFaults)
        if let bootTime {
            // In whole milliseconds, which is what the field has always had.
            let milliseconds = Int64(clamping: stat.startTicks.multipliedSaturated(by: 1000) / wholeTicksPerSecond)
            row.int(
                key("created_at"),
                bootTime.multipliedSaturated(by: 1000).addingSaturated(milliseconds).multipliedSaturated(by: 1_000_000))
        }
        guard read(.proc, "\(stat.pid)/io") else { return }
        do throws(ParseError) {
            let io = try ProcessIO.parse(buffer)
            row.uint(key("read_count"), io.readCalls)
            row.uint(key("write_count"), io.writeCalls)
            row.uint(key("read_bytes"), io.readBytes)
            row.uint(key("write_bytes"), io.writeBytes)
            row.uint(key("disk_read_bytes"), io.diskReadBytes)
            row.uint(key("disk_write_bytes"), io.diskWriteBytes)
        } catch {
            return
        }
    }

    private func addCPU(_ stat: ProcessStat, _ ticks: UInt64, _ before: Before?, _ now: Instant) {
        row.float(key("cpu_time_user"), seconds(stat.userTicks))
        row.float(key("cpu_time_system"), seconds(stat.systemTicks))
        row.float(key("cpu_time_iowait"), seconds(stat.blockedTicks))
        guard let before, now > before.at else { return }
        let usage = 100 * seconds(ticks.subtractingSaturated(before.cpuTicks)) / (now - before.at).inSeconds
        row.float(key("cpu_usage"), isSolaris ? usage / Double(cpuCount) : usage)
    }

    private func residentBytes(_ stat: ProcessStat) -> UInt64 {
        stat.residentPages.multipliedSaturated(by: host.pageSize)
    }

    private func addMemory(_ stat: ProcessStat) {
        addSize(stat)
        if totalBytes > 0 { row.float(key("memory_usage"), 100 * Double(residentBytes(stat)) / Double(totalBytes)) }
    }

    private func addSize(_ stat: ProcessStat) {
        row.uint(key("memory_rss"), residentBytes(stat))
        row.uint(key("memory_vms"), stat.virtualBytes)
    }

    private func addMemoryMap(_ stat: ProcessStat) {
        // Kernels before 4.14 have only the long file.
        guard read(.proc, "\(stat.pid)/smaps_rollup") || read(.proc, "\(stat.pid)/smaps"),
            let map = ProcessMemoryMap.parse(buffer)
        else { return }
        row.uint(key("memory_size"), stat.virtualBytes / 1024)
        for (name, value) in zip(ProcessMemoryMap.keys, map.values) { row.uint(key(name.0), value) }
    }

    private func addDescriptors(_ pid: Int32) {
        do throws(HostError) {
            let count = try host.count(in: .proc, "\(pid)/fd")
            // Beside the limits it is of their type.
            if properties.contains("limits") {
                row.uint(key("num_fds"), UInt64(count))
            } else {
                row.int(key("num_fds"), Int64(count))
            }
        } catch {
            return
        }
    }

    private func addLimits(_ stat: ProcessStat, _ status: ProcessStatus) {
        guard read(.proc, "\(stat.pid)/limits") else { return }
        for (name, limit) in zip(ProcessLimits.names, ProcessLimits.parse(buffer).values) {
            row.uint(key("rlimit_\(name.0)_soft"), limit?.soft)
            row.uint(key("rlimit_\(name.0)_hard"), limit?.hard)
        }
        row.uint(key("cpu_time"), stat.userTicks.addingSaturated(stat.systemTicks) / wholeTicksPerSecond)
        if !properties.contains("memory") { addSize(stat) }
        row.uint(key("memory_data"), status.dataBytes)
        row.uint(key("memory_stack"), status.stackBytes)
        row.uint(key("memory_locked"), status.lockedBytes)
        row.uint(key("signals_pending"), status.pendingSignals)
        // What getpriority(2) returns: 20 is neither nice nor greedy.
        row.uint(key("nice_priority"), UInt64(clamping: Int64(20).subtractingSaturated(stat.nice)))
        row.uint(key("realtime_priority"), stat.realtimePriority)
    }
}
