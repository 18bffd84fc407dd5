extension NodeNames {
    /// Kind and help text of a metric of node_exporter's, as its page has them; nil for other metrics.
    static func note(_ metric: String) -> MetricNotes.Note? {
        if let note = notes[metric] { return note }
        func field(_ prefix: String) -> String? {
            metric.hasPrefix(prefix) ? String(metric.dropFirst(prefix.count)) : nil
        }
        if let name = field("node_memory_") { return .init(.gauge, help: "Memory information field \(name).") }
        if let name = field("node_vmstat_") {
            return .init(.untyped, help: "/proc/vmstat information field \(name).")
        }
        if let name = field("node_netstat_") {
            return .init(.untyped, help: "Statistic \(name.filter { $0 != "_" }).")
        }
        if let text = texts[metric] { return .init(kind(metric), help: text) }
        if let name = field("node_network_") {
            let words = name.hasSuffix("_total") ? String(name.dropLast(6)) : name
            let isProperty = !name.hasSuffix("_total") || name.hasPrefix("carrier")
            return .init(
                kind(metric),
                help: isProperty ? "Network device property: \(name)" : "Network device statistic \(words).")
        }
        if let name = field("node_sockstat_"), let mark = name.firstIndex(of: "_") {
            let state = name[name.index(after: mark)...]
            return .init(.gauge, help: "Number of \(name[..<mark]) sockets in state \(state).")
        }
        if let name = field("node_hwmon_") { return .init(kind(metric), help: sensorText(name)) }
        return nil
    }

    private static func kind(_ metric: String) -> ExpositionKind { metric.hasSuffix("_total") ? .counter : .gauge }

    private static let notes: [String: MetricNotes.Note] = [
        "node_cpu_seconds_total": .init(.counter, help: "Seconds the CPUs spent in each mode."),
        "node_cpu_guest_seconds_total": .init(
            .counter, help: "Seconds the CPUs spent in guests (VMs) for each mode."),
        "node_load1": .init(.gauge, help: "1m load average."),
        "node_load5": .init(.gauge, help: "5m load average."),
        "node_load15": .init(.gauge, help: "15m load average."),
        "node_boot_time_seconds": .init(.gauge, help: "Node boot time, in unixtime."),
        "node_context_switches_total": .init(.counter, help: "Total number of context switches."),
        "node_intr_total": .init(.counter, help: "Total number of interrupts serviced."),
        "node_forks_total": .init(.counter, help: "Total number of forks."),
        "node_entropy_available_bits": .init(.gauge, help: "Bits of available entropy."),
        "node_filefd_allocated": .init(.gauge, help: "File descriptor statistics: allocated."),
        "node_filefd_maximum": .init(.gauge, help: "File descriptor statistics: maximum."),
        "node_nf_conntrack_entries": .init(
            .gauge, help: "Number of currently allocated flow entries for connection tracking."),
        "node_nf_conntrack_entries_limit": .init(.gauge, help: "Maximum size of connection tracking table."),
        "node_pressure_cpu_waiting_seconds_total": .init(
            .counter, help: "Total time in seconds that processes have waited for CPU time"),
        "node_pressure_io_waiting_seconds_total": .init(
            .counter, help: "Total time in seconds that processes have waited due to IO congestion"),
        "node_pressure_io_stalled_seconds_total": .init(
            .counter, help: "Total time in seconds no process could make progress due to IO congestion"),
        "node_pressure_memory_waiting_seconds_total": .init(
            .counter, help: "Total time in seconds that processes have waited for memory"),
        "node_pressure_memory_stalled_seconds_total": .init(
            .counter, help: "Total time in seconds no process could make progress due to memory congestion"),
        "node_filesystem_size_bytes": .init(.gauge, help: "Filesystem size in bytes."),
        "node_filesystem_free_bytes": .init(.gauge, help: "Filesystem free space in bytes."),
        "node_filesystem_avail_bytes": .init(
            .gauge, help: "Filesystem space available to non-root users in bytes."),
        "node_filesystem_files": .init(.gauge, help: "Filesystem total file nodes."),
        "node_filesystem_files_free": .init(.gauge, help: "Filesystem total free file nodes."),
        "node_filesystem_readonly": .init(.gauge, help: "Filesystem read-only status."),
        "node_disk_reads_completed_total": .init(
            .counter, help: "The total number of reads completed successfully."),
        "node_disk_writes_completed_total": .init(
            .counter, help: "The total number of writes completed successfully."),
        "node_disk_reads_merged_total": .init(.counter, help: "The total number of reads merged."),
        "node_disk_writes_merged_total": .init(.counter, help: "The number of writes merged."),
        "node_disk_read_bytes_total": .init(.counter, help: "The total number of bytes read successfully."),
        "node_disk_written_bytes_total": .init(.counter, help: "The total number of bytes written successfully."),
        "node_disk_read_time_seconds_total": .init(
            .counter, help: "The total number of seconds spent by all reads."),
        "node_disk_write_time_seconds_total": .init(
            .counter, help: "This is the total number of seconds spent by all writes."),
        "node_network_speed_bytes": .init(.gauge, help: "Network device property: speed_bytes"),
        "node_disk_io_now": .init(.gauge, help: "The number of I/Os currently in progress."),
        "node_disk_io_time_seconds_total": .init(.counter, help: "Total seconds spent doing I/Os."),
        "node_disk_io_time_weighted_seconds_total": .init(
            .counter, help: "The weighted # of seconds spent doing I/Os."),
    ]
}
