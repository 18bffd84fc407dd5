import Pipeline

extension ChronyCollector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "chrony", summary: "How chronyd keeps the clock, from the program chronyc.",
            options: [
                OptionSpec("server", .string(""), "udp://HOST:PORT or unixgram:///PATH; empty: what chronyc finds."),
                OptionSpec("timeout", .duration(.seconds(3)), "Longest time for an answer.", bounds: 0.001...3600),
                OptionSpec("dns_lookup", .bool(false), "Names of the configuration instead of addresses, for peers."),
                OptionSpec(
                    "socket_group", .string("chrony"), "Group of the socket for answers.",
                    ignoredBecause: "chronyc makes its socket itself"),
                OptionSpec(
                    "socket_perms", .string("0660"), "Permissions of the socket for answers.",
                    ignoredBecause: "chronyc makes its socket itself"),
                OptionSpec(
                    "metrics", .strings(["tracking", "peers"]),
                    "What to ask for; peers are the sources in the shape of the input ntpq.",
                    choices: ["activity", "tracking", "serverstats", "sources", "sourcestats", "peers"]),
                OptionSpec(
                    "reach_format", .string("octal"), "How reach of peers is written, as in ntpq.",
                    choices: NtpqReach.allCases.map(\.rawValue)),
            ], metrics: metrics)
    }

    static let activityNames = ["online", "offline", "burst_online", "burst_offline", "unresolved"]
    static let serverNames = [
        "ntp_hits", "ntp_drops", "cmd_hits", "cmd_drops", "log_drops", "nke_hits", "nke_drops", "ntp_auth_hits",
        "ntp_interleaved_hits", "ntp_timestamps", "ntp_span_seconds", "ntp_daemon_rx_timestamps",
        "ntp_daemon_tx_timestamps", "ntp_kernel_rx_timestamps", "ntp_kernel_tx_timestamps",
        "ntp_hardware_rx_timestamps", "ntp_hardware_tx_timestamps",
    ]

    private static func field(
        _ name: String, _ kind: FieldKind, _ unit: MetricUnit, _ report: String
    ) -> MetricSpec.Field {
        MetricSpec.Field(name, kind, unit, "chronyc \(report)")
    }

    private static let metrics = [
        MetricSpec(
            "chrony", tags: ["leap_status", "reference_id", "stratum", "source"],
            fields: ChronyTracking.fields.map { name, _ in
                // Parts in a million have no unit of their own.
                field(
                    name, .float, ["frequency", "residual_freq", "skew"].contains(name) ? .none : .seconds, "tracking")
            }),
        MetricSpec(
            "chrony_activity", tags: ["source"], fields: activityNames.map { field($0, .int, .count, "activity") }),
        MetricSpec(
            "chrony_serverstats", tags: ["source"],
            fields: serverNames.map {
                field($0, .uint, $0 == "ntp_span_seconds" ? .seconds : .count, "serverstats")
            }),
        MetricSpec(
            "chrony_sources", tags: ["peer", "source"],
            fields: [
                field("index", .int, .none, "sources"), field("ip", .string, .none, "sources"),
                field("poll", .int, .none, "sources"), field("stratum", .uint, .none, "sources"),
                field("state", .string, .none, "sources"), field("mode", .string, .none, "sources"),
                field("reachability", .uint, .none, "sources"), field("sample", .uint, .seconds, "sources"),
                field("latest_measurement", .float, .seconds, "sources"),
                field("latest_measurement_error", .float, .seconds, "sources"),
            ]),
        MetricSpec(
            "chrony_sourcestats", tags: ["peer", "reference_id", "source"],
            fields: [
                field("index", .int, .none, "sources"), field("ip", .string, .none, "sources"),
                field("samples", .uint, .count, "sourcestats"), field("runs", .uint, .count, "sourcestats"),
                field("span_seconds", .uint, .seconds, "sourcestats"),
                field("residual_frequency", .float, .none, "sourcestats"), field("skew", .float, .none, "sourcestats"),
                field("offset", .float, .seconds, "sourcestats"), field("stddev", .float, .seconds, "sourcestats"),
            ]),
        MetricSpec(
            "ntpq", tags: ["remote", "refid", "stratum", "type", "state_prefix", "source"],
            fields: [
                field("when", .int, .seconds, "sources"), field("poll", .int, .seconds, "sources"),
                field("reach", .int, .none, "sources"), field("reach", .float, .ratio, "sources, reach_format ratio"),
                field("delay", .float, .milliseconds, "ntpdata"), field("offset", .float, .milliseconds, "sources"),
                field("jitter", .float, .milliseconds, "sourcestats"),
            ]),
    ]
}
