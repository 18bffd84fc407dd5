/// The names that node_exporter gives to what our inputs collect, so that dashboards made for it work.
///
/// Source: node_exporter 1.5's page. What an input does not collect, or collects by other rules, is left out.
enum NodeNames {
    /// One metric that a field becomes.
    struct Name: Sendable, Hashable {
        var metric: String
        var label = ""
        var scale = ExpositionColumn.Scale.none
        /// A field whose value is taken off.
        var minus: String?

        init(_ metric: String, label: String = "", scale: ExpositionColumn.Scale = .none, minus: String? = nil) {
            self.metric = metric
            self.label = label
            self.scale = scale
            self.minus = minus
        }
    }

    // MARK: Series

    /// Under which name the fields of a series are looked up, and its labels; nil for measurements that have none of
    /// these names. An empty name: the series has none, though its measurement has.
    static func series(_ series: Series) -> (key: String, tags: [Tag])? {
        func tag(_ key: String) -> String { series.tags.first { $0.key == key }?.value ?? "" }
        var used: Set<String> = ["host"]
        var tags: [Tag] = []
        var key = series.measurement
        switch series.measurement {
        case "mem", "system", "kernel", "linux_sysctl_fs", "kernel_vmstat": break
        case "cpu":
            let number = tag("cpu")
            if number == "cpu-total" { key = "" }
            tags = [Tag("cpu", number.hasPrefix("cpu") ? String(number.dropFirst(3)) : number)]
            used.formUnion(["cpu", "core_id", "physical_id"])
        case "disk":
            let (device, type) = (tag("device"), tag("fstype"))
            tags = [
                Tag("device", fullDevice(device, type)), Tag("fstype", type), Tag("mountpoint", tag("path")),
            ]
            used.formUnion(["device", "fstype", "path", "mode", "label"])
        case "diskio":
            tags = [Tag("device", tag("name"))]
            used.formUnion(["name", "wwid", "serial"])
        case "net":
            let name = tag("interface")
            if name == "all" { key = "" }
            tags = [Tag("device", name)]
            used.insert("interface")
        case "nstat": used.insert("name")
        case "conntrack":
            let number = tag("cpu")
            if !number.isEmpty { key = number == "all" ? "conntrack/all" : "" }
            used.insert("cpu")
        case "processes": break
        case "systemd_units":
            tags = [Tag("name", tag("name"))]
            used.formUnion(["name", "load", "active", "sub", "user", "state", "preset"])
        case let own where own.hasPrefix("node_"): break
        case "pressure":
            key = "pressure/\(tag("resource"))/\(tag("type"))"
            used.formUnion(["resource", "type"])
        default: return nil
        }
        return (key, tags + series.tags.filter { !used.contains($0.key) })
    }

    /// The device as the mount table has it, without which the tag is shown. File systems without a device have their
    /// own name there, or one without a path.
    private static func fullDevice(_ device: String, _ type: String) -> String {
        guard !device.hasPrefix("/"), device != type, !device.contains(":") else { return device }
        let hasDevice: Set<String> = [
            "ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "exfat", "f2fs", "jfs", "reiserfs", "iso9660", "udf",
            "squashfs", "erofs", "ntfs", "ntfs3", "fuseblk", "bcachefs", "nilfs2", "gfs2", "ocfs2", "hfsplus", "msdos",
        ]
        return hasDevice.contains(type) ? "/dev/" + device : device
    }

    // MARK: Fields

    static func names(_ key: String, _ field: String) -> [Name] {
        switch key {
        case "nstat": return network(field).map { [Name($0)] } ?? []
        case "kernel_vmstat":
            let isShown = field == "oom_kill" || field.hasPrefix("pgpg") || field.hasPrefix("pswp")
            let isFault = field.hasPrefix("pg") && field.dropFirst(2).firstRange(of: "fault") != nil
            return isShown || isFault ? [Name("node_vmstat_" + field)] : []
        case let own where own.hasPrefix("node_"): return [Name(own + "_" + field)]
        default: return table[key]?[field] ?? []
        }
    }

    private static let milliseconds = ExpositionColumn.Scale.times(0.001)

    private static let table: [String: [String: [Name]]] = [
        "cpu": processors, "mem": memory, "disk": fileSystems, "diskio": disks, "net": interfaces,
        "system": ["load1": [Name("node_load1")], "load5": [Name("node_load5")], "load15": [Name("node_load15")]],
        "kernel": [
            "boot_time": [Name("node_boot_time_seconds")], "context_switches": [Name("node_context_switches_total")],
            "interrupts": [Name("node_intr_total")], "processes_forked": [Name("node_forks_total")],
            "entropy_avail": [Name("node_entropy_available_bits")],
        ],
        "linux_sysctl_fs": [
            "file-nr": [Name("node_filefd_allocated")], "file-max": [Name("node_filefd_maximum")],
        ],
        "conntrack": [
            "ip_conntrack_count": [Name("node_nf_conntrack_entries")],
            "ip_conntrack_max": [Name("node_nf_conntrack_entries_limit")],
        ],
        "conntrack/all": Dictionary(
            uniqueKeysWithValues: [
                "found", "invalid", "ignore", "insert", "insert_failed", "drop", "early_drop", "search_restart",
            ].map { ($0, [Name("node_nf_conntrack_stat_" + $0)]) }),
        "processes": processes, "systemd_units": ["active_code": unitStates],
        "pressure/cpu/some": pressure("cpu_waiting"), "pressure/io/some": pressure("io_waiting"),
        "pressure/io/full": pressure("io_stalled"), "pressure/memory/some": pressure("memory_waiting"),
        "pressure/memory/full": pressure("memory_stalled"),
    ]

    private static func pressure(_ name: String) -> [String: [Name]] {
        ["total": [Name("node_pressure_\(name)_seconds_total", scale: .microseconds)]]
    }

    private static let processors: [String: [Name]] = {
        var names: [String: [Name]] = [:]
        for mode in ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] {
            names["time_" + mode] = [Name("node_cpu_seconds_total", label: "mode=\"\(mode)\"")]
        }
        for (field, mode) in [("guest", "user"), ("guest_nice", "nice")] {
            names["time_" + field] = [Name("node_cpu_guest_seconds_total", label: "mode=\"\(mode)\"")]
        }
        return names
    }()

    private static let processes: [String: [Name]] = {
        var names = ["total": [Name("node_processes_pids")], "total_threads": [Name("node_processes_threads")]]
        for (field, state) in [
            ("blocked", "D"), ("dead", "X"), ("idle", "I"), ("running", "R"), ("sleeping", "S"), ("stopped", "T"),
            ("zombies", "Z"),
        ] {
            names[field] = [Name("node_processes_state", label: "state=\"\(state)\"")]
        }
        return names
    }()

    /// A sample a state, as systemd_units numbers them: 1 for that of the unit, 0 for the others.
    private static let unitStates: [Name] = [
        ("active", 0), ("inactive", 2), ("failed", 3), ("activating", 4), ("deactivating", 5),
    ].map { Name("node_systemd_unit_state", label: "state=\"\($0.0)\"", scale: .isCode($0.1)) }

    private static let memory: [String: [Name]] = {
        var names: [String: [Name]] = [
            "cached": [Name("node_memory_Cached_bytes", minus: "sreclaimable")],
            "huge_pages_total": [Name("node_memory_HugePages_Total")],
            "huge_pages_free": [Name("node_memory_HugePages_Free")],
        ]
        for (field, name) in [
            ("total", "MemTotal"), ("available", "MemAvailable"), ("free", "MemFree"), ("buffered", "Buffers"),
            ("active", "Active"), ("inactive", "Inactive"), ("shared", "Shmem"), ("slab", "Slab"),
            ("sreclaimable", "SReclaimable"), ("sunreclaim", "SUnreclaim"), ("page_tables", "PageTables"),
            ("mapped", "Mapped"), ("dirty", "Dirty"), ("write_back", "Writeback"),
            ("write_back_tmp", "WritebackTmp"), ("commit_limit", "CommitLimit"), ("committed_as", "Committed_AS"),
            ("swap_total", "SwapTotal"), ("swap_free", "SwapFree"), ("swap_cached", "SwapCached"),
            ("huge_page_size", "Hugepagesize"), ("vmalloc_total", "VmallocTotal"), ("vmalloc_used", "VmallocUsed"),
            ("vmalloc_chunk", "VmallocChunk"), ("active_file", "Active_file"), ("inactive_file", "Inactive_file"),
            ("active_anon", "Active_anon"), ("inactive_anon", "Inactive_anon"), ("unevictable", "Unevictable"),
            ("percpu", "Percpu"),
        ] {
            names[field] = [Name("node_memory_\(name)_bytes")]
        }
        return names
    }()

    private static let fileSystems: [String: [Name]] = [
        "total": [
            Name("node_filesystem_size_bytes"), Name("node_filesystem_free_bytes", minus: "used"),
            // What cannot be asked is not there at all.
            Name("node_filesystem_device_error", scale: .factor(0)),
        ],
        "free": [Name("node_filesystem_avail_bytes")], "inodes_total": [Name("node_filesystem_files")],
        "inodes_free": [Name("node_filesystem_files_free")], "read_only": [Name("node_filesystem_readonly")],
    ]

    private static let disks: [String: [Name]] = [
        "reads": [Name("node_disk_reads_completed_total")], "writes": [Name("node_disk_writes_completed_total")],
        "merged_reads": [Name("node_disk_reads_merged_total")],
        "merged_writes": [Name("node_disk_writes_merged_total")],
        "read_bytes": [Name("node_disk_read_bytes_total")], "write_bytes": [Name("node_disk_written_bytes_total")],
        "read_time": [Name("node_disk_read_time_seconds_total", scale: milliseconds)],
        "write_time": [Name("node_disk_write_time_seconds_total", scale: milliseconds)],
        "iops_in_progress": [Name("node_disk_io_now")],
        "io_time": [Name("node_disk_io_time_seconds_total", scale: milliseconds)],
        "weighted_io_time": [Name("node_disk_io_time_weighted_seconds_total", scale: milliseconds)],
    ]

    private static let interfaces: [String: [Name]] = [
        "bytes_recv": [Name("node_network_receive_bytes_total")],
        "packets_recv": [Name("node_network_receive_packets_total")],
        "err_in": [Name("node_network_receive_errs_total")], "drop_in": [Name("node_network_receive_drop_total")],
        "bytes_sent": [Name("node_network_transmit_bytes_total")],
        "packets_sent": [Name("node_network_transmit_packets_total")],
        "err_out": [Name("node_network_transmit_errs_total")], "drop_out": [Name("node_network_transmit_drop_total")],
        "speed": [Name("node_network_speed_bytes", scale: .times(125_000))],
    ]

    // MARK: Counters of the network

    private static let protocols = [
        "MPTcpExt", "UdpLite6", "UdpLite", "IcmpMsg", "TcpExt", "IpExt", "Icmp6", "Udp6", "Icmp", "Ip6", "Tcp", "Udp",
        "Ip",
    ]

    /// `TcpActiveOpens` is `node_netstat_Tcp_ActiveOpens`; nil for what node_exporter does not show by default.
    private static func network(_ field: String) -> String? {
        guard let known = protocols.first(where: field.hasPrefix), field.count > known.count else { return nil }
        let counter = String(field.dropFirst(known.count))
        let isShown: Bool
        switch known {
        case "Ip": isShown = counter == "Forwarding"
        case "Ip6", "IpExt": isShown = ["InOctets", "OutOctets"].contains(counter)
        case "Icmp", "Icmp6": isShown = ["InMsgs", "OutMsgs"].contains(counter)
        case "TcpExt":
            isShown =
                counter.hasPrefix("Listen") || counter.hasPrefix("Syncookies")
                || ["TCPSynRetrans", "TCPTimeouts", "TCPOFOQueue", "TCPRcvQDrop"].contains(counter)
        case "Tcp":
            isShown = [
                "ActiveOpens", "InSegs", "OutSegs", "OutRsts", "PassiveOpens", "RetransSegs", "CurrEstab",
            ].contains(counter)
        case "Udp", "Udp6":
            isShown = ["InDatagrams", "OutDatagrams", "NoPorts", "RcvbufErrors", "SndbufErrors"].contains(counter)
        default: isShown = false
        }
        guard isShown || counter == "InErrors" || counter == "InErrs" else { return nil }
        return "node_netstat_\(known)_\(counter)"
    }
}
