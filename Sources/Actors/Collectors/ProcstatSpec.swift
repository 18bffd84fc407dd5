import Pipeline

extension ProcstatCollector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "procstat", summary: "CPU, memory and more of single processes.",
            options: selectors + [
                OptionSpec("process_name", .string(""), "The tag process_name instead of the name of the process."),
                OptionSpec("prefix", .string(""), "Text before the field names, with an underscore."),
                OptionSpec("cmdline_tag", .bool(false), "The old name of tag_with = [\"cmdline\"]."),
                OptionSpec("pid_tag", .bool(false), "The old name of tag_with = [\"pid\"]."),
                OptionSpec(
                    "mode", .string("irix"), "cpu_usage in percent of one CPU (irix), or of all together (solaris)."),
                OptionSpec(
                    "tag_with", .strings([]), "Fields that become tags; many series when processes live shortly.",
                    choices: ["cmdline", "pid", "ppid", "status", "user"]),
                OptionSpec(
                    "properties", .strings(["cpu", "limits", "memory", "mmap"]), "What to report besides the basics.",
                    choices: ["cpu", "limits", "memory", "mmap", "sockets"]),
                OptionSpec(
                    "socket_protocols", .strings(["all"]), "Sockets to report.",
                    ignoredBecause: "the property sockets is not available in this version"),
                OptionSpec(
                    "pid_finder", .string("pgrep"), "Whose rules for names of users count; no program is run.",
                    choices: ["", "pgrep", "native"]),
            ], metrics: metrics)
    }

    private static let selectors = [
        OptionSpec("pid_file", .string(""), "A file with the number of the process."),
        OptionSpec("exe", .string(""), "Processes whose name matches this regular expression."),
        OptionSpec("pattern", .string(""), "Processes whose command line matches this regular expression."),
        OptionSpec("user", .string(""), "Processes of this user, a name or a number."),
        OptionSpec("systemd_unit", .string(""), "The main process of this unit."),
        OptionSpec("include_systemd_children", .bool(false), "All processes of systemd_unit, which may have globs."),
        OptionSpec("cgroup", .string(""), "Processes of a control group, a path with globs."),
        OptionSpec("supervisor_units", .strings([]), "Programs of supervisord, with their children."),
        OptionSpec("supervisor_unit", .strings([]), "The old name of supervisor_units."),
        OptionSpec(
            "win_service", .string(""), "A service of Windows.", refusedBecause: "there are no Windows services here"),
    ]

    private static func fields(
        _ kind: FieldKind, _ unit: MetricUnit, _ file: String, _ names: [String]
    ) -> [MetricSpec.Field] {
        names.map { MetricSpec.Field($0, kind, unit, "/proc/PID/\(file)") }
    }

    private static let basics =
        fields(.int, .none, "", ["pid"])
        + fields(.int, .none, "stat", ["ppid"]) + fields(.string, .none, "stat", ["status"])
        + fields(.string, .none, "cmdline", ["cmdline"]) + fields(.string, .none, "status, Uid", ["user"])
        + fields(.int, .count, "stat", ["num_threads"]) + fields(.int, .count, "fd", ["num_fds"])
        + fields(.uint, .count, "fd, with limits", ["num_fds"])
        + fields(.int, .nanoseconds, "stat, starttime", ["created_at"])
        + fields(.uint, .count, "stat", ["minor_faults", "major_faults", "child_minor_faults", "child_major_faults"])
        + fields(.int, .count, "status", ["voluntary_context_switches", "involuntary_context_switches"])
        + fields(.uint, .count, "io", ["read_count", "write_count"])
        + fields(.uint, .bytes, "io", ["read_bytes", "write_bytes", "disk_read_bytes", "disk_write_bytes"])

    private static let properties =
        fields(.float, .seconds, "stat", ["cpu_time_user", "cpu_time_system", "cpu_time_iowait"])
        + fields(.float, .percent, "stat, growth of utime and stime", ["cpu_usage"])
        + fields(.uint, .bytes, "stat", ["memory_rss", "memory_vms"])
        + fields(.float, .percent, "stat, of MemTotal", ["memory_usage"])
        + fields(.uint, .kibibytes, "stat, vsize", ["memory_size"])
        + fields(.uint, .kibibytes, "smaps_rollup", ProcessMemoryMap.keys.map(\.0))
        + fields(.uint, .seconds, "stat", ["cpu_time"])
        + fields(.uint, .bytes, "status", ["memory_data", "memory_stack", "memory_locked"])
        + fields(.uint, .none, "status, ShdPnd", ["signals_pending"])
        + fields(.uint, .none, "stat", ["nice_priority", "realtime_priority"])
        + ProcessLimits.names.flatMap { name, _ in
            ["soft", "hard"].map { MetricSpec.Field("rlimit_\(name)_\($0)", .uint, .none, "/proc/PID/limits") }
        }

    private static let metrics = [
        MetricSpec(
            "procstat",
            tags: [
                "process_name", "pidfile", "exe", "pattern", "user", "systemd_unit", "cgroup", "cgroup_full",
                "supervisor_unit", "status", "cmdline", "pid", "ppid",
            ], fields: basics + properties),
        MetricSpec(
            "procstat_lookup",
            tags: [
                "pid_finder", "result", "pidfile", "exe", "pattern", "user", "systemd_unit", "cgroup", "cgroup_full",
                "supervisor_unit", "status",
            ],
            fields: [
                MetricSpec.Field("pid_count", .int, .count, "processes found"),
                MetricSpec.Field("running", .int, .count, "processes with a point"),
                MetricSpec.Field("result_code", .int, .none, "0 success, 1 lookup_error"),
            ]),
    ]
}
