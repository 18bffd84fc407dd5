/// The options of the sections that are no plugin, and those that all plugins share. `config.toml`, its test and
/// `docs/configuration.md` follow these tables.
public enum SectionSpecs {
    /// A time-out, interval or age that must be there: one millisecond to ten years.
    static let positiveTime: ClosedRange<Double> = 0.001...315_360_000
    /// A time that may be zero.
    static let time: ClosedRange<Double> = 0...315_360_000

    /// `[agent]`: Telegraf's keys, and `state_directory`.
    public static var agent: [OptionSpec] {
        [
            OptionSpec("interval", .duration(.seconds(10)), "How often inputs are read.", bounds: positiveTime),
            OptionSpec(
                "round_interval", .bool(true), "Read at whole multiples of the interval, such as :00, :10, :20."),
            OptionSpec(
                "collection_jitter", .duration(.zero), "Random delay before each reading, at most this long.",
                bounds: time),
            OptionSpec("collection_offset", .duration(.zero), "Fixed delay of each reading.", bounds: time),
            OptionSpec(
                "precision", .duration(.zero),
                "Timestamps are rounded to this; 0s means 1s for intervals from 1s on, else the next smaller unit.",
                bounds: time),
            OptionSpec(
                "flush_interval", .duration(.seconds(10)), "How often an open batch is sealed and sent.",
                bounds: positiveTime),
            OptionSpec(
                "flush_jitter", .duration(.zero), "Random delay before each flush, at most this long.", bounds: time),
            OptionSpec(
                "metric_batch_size", .integer(5_000), "Points at which a batch is sealed early.", bounds: 1...1_000_000),
            OptionSpec(
                "metric_buffer_limit", .integer(10_000),
                "Points that the backlog of an output must be able to hold: raises max_bytes of [spill], unless that is set.",
                bounds: 0...1e15),
            OptionSpec("hostname", .string(""), "Value of the tag host; empty means the name of the machine."),
            OptionSpec("omit_hostname", .bool(false), "Leave the tag host out."),
            OptionSpec("debug", .bool(false), "Log everything."),
            OptionSpec("quiet", .bool(false), "Log errors only."),
            OptionSpec("logfile", .string(""), "Log to this file; empty means standard error, which systemd keeps."),
            OptionSpec(
                "logformat", .string("text"), "Form of log lines: text or JSON.", choices: ["text", "structured"]),
            OptionSpec(
                "always_include_local_tags", .bool(false),
                "Put a plugin's own tags back after taginclude and tagexclude."),
            OptionSpec(
                "always_include_global_tags", .bool(false), "Put global tags back after taginclude and tagexclude."),
            OptionSpec(
                "skip_processors_before_aggregators", .bool(false),
                "Points of inputs do not go through the processors, only what aggregators make of them."),
            OptionSpec(
                "skip_processors_after_aggregators", .bool(false),
                "What aggregators make does not go through the processors."),
            OptionSpec(
                "state_directory", .string(""),
                "Where backlog and written metrics are kept; empty means $STATE_DIRECTORY, else /var/lib/godwit."),
        ] + agentIgnored
    }

    private static var agentIgnored: [OptionSpec] {
        [
            OptionSpec(
                "structured_log_message_key", .string(""), "Name of the message in JSON logs.",
                ignoredBecause: "it is msg"),
            OptionSpec("logfile_rotation_interval", .duration(.zero), "Age of a log file.", ignoredBecause: rotation),
            OptionSpec("logfile_rotation_max_size", .size(0), "Size of a log file.", ignoredBecause: rotation),
            OptionSpec(
                "logfile_rotation_max_archives", .integer(5), "Number of old log files.", ignoredBecause: rotation),
            OptionSpec(
                "log_with_timezone", .string(""), "Time zone of log lines.", ignoredBecause: "log times are UTC"),
            OptionSpec("logtarget", .string(""), "Where logs go.", ignoredBecause: "logfile decides it"),
            OptionSpec(
                "statefile", .string(""), "State of plugins between runs.",
                ignoredBecause: "state_directory holds all state"),
            OptionSpec(
                "snmp_translator", .string("netsnmp"), "Translator of SNMP names.",
                ignoredBecause: "there is no SNMP input"
            ),
            OptionSpec(
                "config_url_retry_attempts", .integer(0), "Retries of a remote configuration.",
                ignoredBecause: "configuration is read from files"),
            OptionSpec(
                "buffer_strategy", .string("memory"), "Where unsent metrics wait.",
                choices: ["memory", "disk", "disk_write_through"], ignoredBecause: buffer),
            OptionSpec("buffer_directory", .string(""), "Folder of unsent metrics.", ignoredBecause: buffer),
            OptionSpec("buffer_disk_sync", .bool(true), "Sync each metric to disk.", ignoredBecause: buffer),
        ]
    }

    private static let rotation = "rotation of log files is left to logrotate or the journal"
    private static let buffer = "[spill] says how the backlog is kept"

    /// `[spill]`: the backlog on disk.
    public static var spill: [OptionSpec] {
        [
            OptionSpec(
                "mode", .string("always"),
                "always: each batch goes to disk before it is sent; on_failure: what could not be sent; off: nothing.",
                choices: ["always", "on_failure", "off"]),
            OptionSpec("directory", .string(""), "Folder of the backlog; empty means spill in the state directory."),
            OptionSpec(
                "max_bytes", .size(512 << 20),
                "Largest backlog, shared equally by the streams; beyond it the oldest goes.",
                bounds: 1_048_576...1e15),
            OptionSpec(
                "max_age", .duration(.seconds(7 * 86_400)), "Oldest backlog; what is older goes.",
                bounds: 60...315_360_000),
            OptionSpec(
                "min_free_bytes", .size(256 << 20), "Space on the disk that the backlog leaves free.", bounds: 0...1e15),
            OptionSpec(
                "min_free_percent", .integer(5), "Part of the disk that the backlog leaves free, in percent.",
                bounds: 0...90),
            OptionSpec(
                "segment_bytes", .size(8 << 20), "Size of one file of the backlog.", bounds: 65_536...1_073_741_824),
            OptionSpec(
                "segment_age", .duration(.seconds(600)), "Age at which a file of the backlog is closed.",
                bounds: 1...86_400
            ),
            OptionSpec(
                "sync_interval", .duration(.seconds(1)), "Longest time until a batch is safe from a power cut.",
                bounds: time),
            OptionSpec(
                "sync_bytes", .size(1 << 20), "Bytes that are synced before that time has passed.", bounds: 0...1e12),
            OptionSpec(
                "memory_bytes", .size(4 << 20), "Backlog in memory while the disk fails.", bounds: 65_536...1e12),
            OptionSpec("strict_fifo", .bool(false), "Send in order of age alone, without preference for live data."),
            OptionSpec(
                "replay_bytes_per_second", .size(1 << 20), "Rate at which backlog is sent beside live data.",
                bounds: 1_024...1e12),
        ]
    }

    /// `[status]`: the local socket.
    public static var status: [OptionSpec] {
        [
            OptionSpec("enabled", .bool(true), "Serve status, metrics and live points on a local socket."),
            OptionSpec("socket", .string(""), "Path of the socket; empty means godwit.sock in the runtime directory."),
            OptionSpec(
                "group", .string("godwit"),
                "Members of this group may read the status; others only root and our own user."),
            OptionSpec("max_clients", .integer(8), "Connections served at once.", bounds: 1...256),
        ]
    }

    /// What every input takes beside its own options.
    public static var commonInput: [OptionSpec] {
        [
            alias,
            OptionSpec(
                "interval", .duration(.zero), "Interval of this input; 0s means that of the agent.", bounds: time),
            OptionSpec(
                "collection_jitter", .duration(.zero), "Jitter of this input; without it that of the agent.",
                bounds: time),
            OptionSpec(
                "collection_offset", .duration(.zero), "Offset of this input; 0s means that of the agent.", bounds: time
            ),
            OptionSpec(
                "precision", .duration(.zero), "Precision of this input; 0s means that of the agent.", bounds: time),
            OptionSpec(
                "time_source", .string("metric"), "What the timestamp is; anything but metric is not rounded.",
                choices: ["metric", "collection_start", "collection_end"]),
            OptionSpec(
                "startup_error_behavior", .string("error"), "What a failing start of the input means.",
                choices: ["error", "retry", "ignore", "probe"],
                ignoredBecause: "a failing input is tried again and shows in the status"),
            logLevel, labels,
            OptionSpec("tags", .table([:]), "Tags for the points of this input."),
        ] + naming + filters
    }

    /// What every output takes beside its own options.
    public static var commonOutput: [OptionSpec] {
        [
            alias,
            OptionSpec(
                "flush_interval", .duration(.zero), "Flush interval of this output; 0s means that of the agent.",
                bounds: time),
            OptionSpec(
                "flush_jitter", .duration(.zero), "Flush jitter of this output; 0s means that of the agent.",
                bounds: time),
            OptionSpec(
                "metric_batch_size", .integer(0), "Batch size of this output; 0 means that of the agent.",
                bounds: 0...1_000_000),
            OptionSpec(
                "metric_buffer_limit", .integer(0), "Points that the backlog must hold; 0 means that of the agent.",
                bounds: 0...1e15),
            OptionSpec(
                "startup_error_behavior", .string("error"), "What a failing start of the output means.",
                choices: ["error", "retry", "ignore"], ignoredBecause: "an output that fails is tried again without end"
            ),
            logLevel, labels,
        ] + naming + filters
    }

    static let alias = OptionSpec("alias", .string(""), "Name of this instance in log and status.")
    static let logLevel = OptionSpec(
        "log_level", .string(""), "Log level of this plugin; empty means that of the agent.",
        choices: ["", "error", "warn", "info", "debug", "trace"])
    static let labels = OptionSpec(
        "labels", .table([:]), "Labels for Telegraf's --select.", ignoredBecause: "there is no --select")

    static var naming: [OptionSpec] {
        [
            OptionSpec("name_override", .string(""), "Measurement name instead of the plugin's."),
            OptionSpec("name_prefix", .string(""), "Text before the measurement name."),
            OptionSpec("name_suffix", .string(""), "Text after the measurement name."),
        ]
    }

    static var filters: [OptionSpec] {
        [
            OptionSpec("namepass", .strings([]), "Only measurements that match one of these patterns."),
            OptionSpec("namepass_separator", .string(""), "Characters that * and ? of namepass do not cross."),
            OptionSpec("namedrop", .strings([]), "No measurements that match one of these patterns."),
            OptionSpec("namedrop_separator", .string(""), "Characters that * and ? of namedrop do not cross."),
            OptionSpec(
                "tagpass", .listTable([:]), "Only points with one of these tags and a value that matches its patterns."),
            OptionSpec(
                "tagdrop", .listTable([:]), "No points with one of these tags and a value that matches its patterns."),
            OptionSpec(
                "metricpass", .string(""), "Expression that points must fulfil.",
                refusedBecause: "expressions are not available in this version; use namepass, tagpass and their like"),
            OptionSpec("fieldinclude", .strings([]), "Only fields that match one of these patterns."),
            OptionSpec("fieldexclude", .strings([]), "No fields that match one of these patterns."),
            OptionSpec("taginclude", .strings([]), "Only tags that match one of these patterns."),
            OptionSpec("tagexclude", .strings([]), "No tags that match one of these patterns."),
        ]
    }

    /// Old names of filters: their lists are added to those of the new name.
    static let oldNames = [
        "fieldpass": "fieldinclude", "pass": "fieldinclude", "fielddrop": "fieldexclude", "drop": "fieldexclude",
    ]
}
