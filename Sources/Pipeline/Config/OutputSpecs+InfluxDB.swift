extension OutputSpecs {
    /// InfluxDB 1.x and what speaks its `/write`: all options of Telegraf's output, and files for the secrets.
    public static var influxdb: PluginSpec {
        PluginSpec(
            name: "influxdb", summary: "Writes to InfluxDB 1.x or a server that speaks its write protocol.",
            options: [serverURLs] + databaseOptions + tokenOptions + httpRequest + encoding + rateLimit + tls
                + databaseElsewhere + elsewhere)
    }

    /// InfluxDB 2.x and what speaks its `/api/v2/write`, such as InfluxDB 3 and VictoriaMetrics.
    public static var influxdbV2: PluginSpec {
        PluginSpec(
            name: "influxdb_v2", summary: "Writes to InfluxDB 2.x or a server that speaks its write protocol.",
            options: [serverURLs] + bucketOptions + tokenOptions + httpRequest + encoding + rateLimit + tls
                + bucketElsewhere + elsewhere)
    }

    private static let serverURLs = OptionSpec(
        "urls", .strings(["http://localhost:8086"]), "Servers of one cluster; each write goes to one of them.")

    private static var databaseOptions: [OptionSpec] {
        [
            OptionSpec("database", .string("telegraf"), "Database to write to."),
            OptionSpec("skip_database_creation", .bool(false), "Do not create the database when it is missing."),
            OptionSpec("retention_policy", .string(""), "Retention policy; empty means the server's default."),
            OptionSpec(
                "write_consistency", .string(""), "Nodes that must have a write, for clusters.",
                choices: ["", "any", "one", "quorum", "all"]),
            OptionSpec("username", .string(""), "User for basic authentication."),
            OptionSpec("password", .secret(.none), "Its password."),
            OptionSpec("password_file", .string(""), "File with the password, read again when it changes."),
        ]
    }

    private static var bucketOptions: [OptionSpec] {
        [
            OptionSpec(
                "organization", .string(""), "Name of the organization; servers without organizations ignore it."),
            OptionSpec("bucket", .string(""), "Bucket to write to; a database for InfluxDB 3."),
        ]
    }

    static var tokenOptions: [OptionSpec] {
        [
            OptionSpec("token", .secret(.none), "Token, sent as Authorization: Token; for servers that want one."),
            OptionSpec("token_file", .string(""), "File with the token, read again when it changes."),
        ]
    }

    static var httpRequest: [OptionSpec] {
        [
            OptionSpec("timeout", .duration(.seconds(5)), "Longest time for a whole request.", bounds: 0.1...600),
            OptionSpec("user_agent", .string(""), "User-Agent header; empty means godwit with its version."),
            OptionSpec("http_headers", .table([:]), "Additional headers."),
            OptionSpec("http_proxy", .string(""), "Proxy for HTTP; empty means what the environment says."),
        ]
    }

    private static var encoding: [OptionSpec] {
        [
            OptionSpec(
                "content_encoding", .string("gzip"), "Compression of what is sent.", choices: ["gzip", "identity"]),
            OptionSpec(
                "influx_uint_support", .bool(false), "Write unsigned fields as such; only some servers take them."),
            OptionSpec("influx_omit_timestamp", .bool(false), "Leave timestamps out, so that the server sets them."),
        ]
    }

    static var rateLimit: [OptionSpec] {
        [
            OptionSpec(
                "rate_limit", .string("unlimited"), "Bytes of line protocol, before compression, in each period."),
            OptionSpec("rate_limit_period", .duration(.zero), "That period.", bounds: 0...86_400),
        ]
    }

    static var tls: [OptionSpec] {
        [
            OptionSpec("tls_ca", .string(""), "File with the certificates that are trusted; empty means the system's."),
            OptionSpec("tls_cert", .string(""), "File with the client certificate."),
            OptionSpec("tls_key", .string(""), "File with its key."),
            OptionSpec(
                "tls_server_name", .string(""), "Name that the server's certificate must have; empty means the URL's."),
            OptionSpec(
                "insecure_skip_verify", .bool(false),
                "Do not check the server's certificate: anybody can read and forge."),
        ]
    }

    /// Telegraf's options that have no effect here, or none in this version.
    private static var databaseElsewhere: [OptionSpec] {
        [
            OptionSpec("database_tag", .string(""), "Tag whose value names the database.", refusedBecause: perTag),
            OptionSpec("exclude_database_tag", .bool(false), "Leave that tag out.", refusedBecause: perTag),
            OptionSpec(
                "retention_policy_tag", .string(""), "Tag whose value names the retention policy.",
                refusedBecause: perTag),
            OptionSpec("exclude_retention_policy_tag", .bool(false), "Leave that tag out.", refusedBecause: perTag),
            OptionSpec("udp_payload", .size(512), "Size of a datagram.", ignoredBecause: "there is no UDP"),
            OptionSpec("precision", .string("ns"), "Unit of timestamps.", ignoredBecause: "it is always ns"),
        ]
    }

    private static var bucketElsewhere: [OptionSpec] {
        [
            OptionSpec("bucket_tag", .string(""), "Tag whose value names the bucket.", refusedBecause: perBucket),
            OptionSpec("exclude_bucket_tag", .bool(false), "Leave that tag out.", refusedBecause: perBucket),
            OptionSpec(
                "concurrent_writes", .integer(1), "Writes at the same time.",
                ignoredBecause: "live data and backlog have one write each, so that the order stays"),
            OptionSpec("ping_timeout", .duration(.zero), "Answer time of HTTP/2.", ignoredBecause: http2),
            OptionSpec("read_idle_timeout", .duration(.zero), "Idle time of HTTP/2.", ignoredBecause: http2),
        ]
    }

    private static var elsewhere: [OptionSpec] {
        [
            OptionSpec("local_address", .string(""), "Address to send from.", refusedBecause: missing),
            OptionSpec("tls_key_pwd", .secret(.none), "Password of the client key.", refusedBecause: missing),
            OptionSpec(
                "tls_min_version", .string("TLS12"), "Oldest accepted version of TLS.",
                choices: ["TLS10", "TLS11", "TLS12", "TLS13"], refusedBecause: "only TLS12 is available in this version"
            ),
            OptionSpec("tls_cipher_suites", .strings([]), "Accepted ciphers.", refusedBecause: missing),
            OptionSpec(
                "tls_renegotiation_method", .string("never"), "Renegotiation of TLS.",
                choices: ["never", "once", "freely"],
                ignoredBecause: "the TLS library decides"),
            OptionSpec("tls_enable", .bool(true), "Use TLS.", ignoredBecause: "https:// in urls decides"),
        ]
    }

    private static let perTag =
        "a database per tag is not available in this version; use an output with tagpass for each"
    private static let perBucket =
        "a bucket per tag is not available in this version; use an output with tagpass for each"
    private static let http2 = "HTTP/1.1 is used, and timeout bounds every request"

    /// `[[outputs.influxdb.routes]]` and `[[outputs.influxdb_v2.routes]]`.
    public static var route: [OptionSpec] {
        [
            OptionSpec(
                "via", .string("direct"), "How the server is reached.",
                choices: RouteConfig.Kind.allCases.map(\.rawValue)),
            OptionSpec(
                "url", .string(""), "Address of this route; empty means the output's urls, or the metadata service's."),
            OptionSpec("tls_ca", .string(""), "Instead of the output's, on this route; empty means the same."),
            OptionSpec("tls_server_name", .string(""), "Instead of the output's, on this route; empty means the same."),
            OptionSpec(
                "insecure_skip_verify", .bool(false), "Instead of the output's, on this route, where it is set."),
            OptionSpec("tunnel", .string(""), "Name of a tunnel of ours to go through; for via = \"proxy\"."),
            OptionSpec("target", .string(""), "Server as the tunnel's far end reaches it: host:port."),
        ]
    }
}
