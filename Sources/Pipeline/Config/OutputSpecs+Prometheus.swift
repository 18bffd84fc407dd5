extension OutputSpecs {
    /// A page that Prometheus scrapes: the newest value of each series.
    public static let prometheusClient = PluginSpec(
        name: "prometheus_client", summary: "Serves the newest value of each series to Prometheus.",
        options: [
            OptionSpec("listen", .string("127.0.0.1:9273"), "Address and port to listen on; :9273 is every address."),
            OptionSpec("path", .string("/metrics"), "Path of the page."),
            OptionSpec(
                "metric_version", .integer(1), "How names are made: 1 knows fields called value, 2 also flags.",
                bounds: 1...2),
            OptionSpec(
                "names", .string("telegraf"),
                "Names: Telegraf's; node_exporter's for what inputs collect; or by Prometheus' rules, in base units.",
                choices: ExpositionTable.Settings.Names.allCases.map(\.rawValue)),
            OptionSpec(
                "expiration_interval", .duration(.seconds(60)), "Age at which a value goes; 0s means never.",
                bounds: 0...315_360_000),
            OptionSpec(
                "collectors_exclude", .strings([]), "Leave out metrics of the agent itself.",
                choices: ["gocollector", "process"]),
            OptionSpec("string_as_label", .bool(true), "String fields become labels of the point's other fields."),
            OptionSpec("export_timestamp", .bool(false), "Write the time of each point."),
            OptionSpec(
                "max_series", .integer(50_000), "Series that are kept; more are refused.", bounds: 1...10_000_000),
            OptionSpec(
                "prometheus_metric_types", .listTable([:]), "Globs of the names that are a counter or a gauge."),
            OptionSpec("basic_username", .string(""), "User that must ask; empty means anybody."),
            OptionSpec("basic_password", .secret(.none), "The password of that user."),
            OptionSpec("basic_password_file", .string(""), "File with it, read again when it changes."),
            OptionSpec("bearer_token", .secret(.none), "Token that serves in place of user and password."),
            OptionSpec("bearer_token_file", .string(""), "File with the token, read again when it changes."),
            OptionSpec("ip_range", .strings([]), "Networks that may ask, as 192.0.2.0/24; empty means all."),
            OptionSpec("http_headers", .table([:]), "Additional headers of replies."),
            OptionSpec(
                "read_timeout", .duration(.seconds(10)), "Longest time for a request to arrive.", bounds: 0.1...600),
            OptionSpec(
                "write_timeout", .duration(.seconds(10)), "Longest standstill of a reply.", bounds: 0.1...600),
            OptionSpec(
                "name_sanitization", .string("legacy"), "Which characters names may have.",
                choices: ["legacy", "utf8"],
                refusedBecause: "only legacy is available in this version"),
        ] + ServerTLSSettings.options)

    /// Outputs that can say that a series has ended, and hold NaN.
    static let takingSpecials: Set<String> = [prometheusClient.name, remoteWrite.name]

    /// Prometheus and all that take its remote write: Mimir, Thanos, VictoriaMetrics.
    public static let remoteWrite = PluginSpec(
        name: "prometheus_remote_write", summary: "Writes to Prometheus, Mimir, Thanos or VictoriaMetrics.",
        options: [
            OptionSpec(
                "urls", .strings(["http://localhost:9090/api/v1/write"]),
                "Servers of one cluster; each write goes to one of them."),
            OptionSpec(
                "protocol", .string("1.0"), "Version of remote write; 2.0 is smaller where a server takes it.",
                choices: RemoteWriteEncoder.Version.allCases.map(\.rawValue)),
            OptionSpec(
                "metadata_interval", .duration(.seconds(60)),
                "How often kind, help text and unit of a metric are sent along; 0s: never. 2.0 sends them always.",
                bounds: 0...86_400),
            OptionSpec(
                "in_order", .bool(true),
                "Live data wait for the backlog: Prometheus refuses samples that are older than the newest."),
            OptionSpec("username", .string(""), "User for basic authentication."),
            OptionSpec("password", .secret(.none), "Its password."),
            OptionSpec("password_file", .string(""), "File with the password, read again when it changes."),
            OptionSpec("bearer_token", .secret(.none), "Token, sent as Authorization: Bearer."),
            OptionSpec("bearer_token_file", .string(""), "File with the token, read again when it changes."),
        ] + httpRequest + rateLimit + tls)
}
