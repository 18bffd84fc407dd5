/// The options of `[metadata_relay]`, and the section as the relay uses it.
public enum RelaySpecs {
    public static let section: [OptionSpec] =
        [
            OptionSpec(
                "listen", .strings(["127.0.0.1:8187"]),
                "Where guests ask: address:port, with @NAME behind for a network namespace."),
            OptionSpec(
                "await_addresses", .bool(false),
                "Addresses in listen may come later, such as virtual ones: no mistake for godwit check."),
            OptionSpec(
                "guests_file", .string("/etc/godwit/guests.toml"),
                "Who reports from which address; read again when it changes."),
            OptionSpec("urls", .strings(["http://localhost:8086"]), "Servers of one cluster that writes go to."),
            OptionSpec("database", .string("telegraf"), "Database of all writes, whatever a guest names."),
            OptionSpec("skip_database_creation", .bool(false), "Do not create the database when it is missing."),
            OptionSpec(
                "retention_policy", .string(""), "Retention policy of writes that name none; empty means the server's."),
            OptionSpec("username", .string(""), "User for basic authentication at the database."),
            OptionSpec("password", .secret(.none), "Its password."),
            OptionSpec("password_file", .string(""), "File with the password, read again when it changes."),
        ] + OutputSpecs.tokenOptions + upstream + OutputSpecs.tls
        + ServerTLSSettings.options(prefix: listenerPrefix) + rules + bounds

    /// Before the options of TLS for guests: without it they are those of the way to the database.
    public static let listenerPrefix = "listen_"

    private static let upstream: [OptionSpec] = [
        OptionSpec("timeout", .duration(.seconds(10)), "Longest time for a write at the database.", bounds: 0.1...600),
        OptionSpec("user_agent", .string(""), "User-Agent header; empty means godwit with its version."),
        OptionSpec("http_headers", .table([:]), "Additional headers for the database."),
        OptionSpec("http_proxy", .string(""), "Proxy to the database; empty means none."),
        OptionSpec(
            "content_encoding", .string("gzip"), "Compression of what is sent.", choices: ["gzip", "identity"]),
    ]

    private static let rules: [OptionSpec] = [
        OptionSpec(
            "enforced_tags",
            .strings(["vm_id", "vm_name", "tenant_id", "tenant", "domain_id", "host", "host_id", "zone"]),
            "Tags that only the guest table may set, beside all that it holds for the guest."),
        OptionSpec(
            "foreign_vm_id", .string("rewrite"), "What becomes of a line with another vm_id.",
            choices: LabelEnforcement.ForeignRule.allCases.map(\.rawValue)),
        OptionSpec("metadata", .bool(true), "Serve the read-only meta-data below /latest too."),
    ]

    private static let bounds: [OptionSpec] = [
        OptionSpec(
            "read_timeout", .duration(.seconds(10)), "How long a request may take to arrive.", bounds: 0.1...600),
        OptionSpec(
            "write_timeout", .duration(.seconds(10)), "How long a reply may make no progress.", bounds: 0.1...600),
        OptionSpec(
            "idle_timeout", .duration(.seconds(75)), "How long a connection may be silent between two requests.",
            bounds: 1...3_600),
        OptionSpec(
            "max_body_size", .size(16 << 20), "Largest body, as sent and inflated.", bounds: 1_024...268_435_456),
        OptionSpec(
            "max_memory", .size(128 << 20), "Bodies of all requests together; beyond it guests are told to come back.",
            bounds: 1_048_576...1e12),
        OptionSpec("max_connections", .integer(1_024), "Connections of one listener at once.", bounds: 1...100_000),
        OptionSpec("max_connections_per_guest", .integer(8), "Connections of one address.", bounds: 1...10_000),
        OptionSpec("max_requests", .integer(64), "Requests of all guests at the database.", bounds: 1...10_000),
        OptionSpec("max_requests_per_guest", .integer(4), "Requests of one guest under way.", bounds: 1...10_000),
        OptionSpec(
            "guest_requests_per_second", .float(20), "What a guest may ask, ten seconds' worth at once.",
            bounds: 0.01...1e6),
        OptionSpec(
            "guest_bytes_per_second", .size(4 << 20), "What a guest may send, ten seconds' worth at once.",
            bounds: 1_024...1e12),
    ]
}

/// `[metadata_relay]`, checked.
public struct RelayConfig: Sendable, Hashable {
    public let values: OptionValues
    public let listeners: [RelayPlace]

    public init(_ values: OptionValues, listeners: [RelayPlace]) {
        self.values = values
        self.listeners = listeners
    }

    /// What listeners show and demand; nil where they speak no TLS.
    public var listenerTLS: ServerTLSSettings? {
        ServerTLSSettings(values, prefix: RelaySpecs.listenerPrefix)
    }

    public var guestsFile: String { values.string("guests_file") }
    public var awaitsAddresses: Bool { values.bool("await_addresses") }
    public var memoryBytes: Int { Int(clamping: values.size("max_memory")) }
    public var skipsVerification: Bool { values.bool("insecure_skip_verify") }

    public var limits: GuestLimiter.Limits {
        var limits = GuestLimiter.Limits()
        limits.requests = Int(clamping: values.integer("max_requests"))
        limits.requestsPerGuest = Int(clamping: values.integer("max_requests_per_guest"))
        limits.requestsPerSecond = values.float("guest_requests_per_second")
        limits.bytesPerSecond = Double(values.size("guest_bytes_per_second"))
        return limits
    }

    /// Options that decide how connections are served: with another value the listeners are made anew.
    public static let listenerOptions =
        [
            "read_timeout", "write_timeout", "idle_timeout", "max_body_size", "max_memory", "max_connections",
            "max_connections_per_guest",
        ] + ServerTLSSettings.options(prefix: RelaySpecs.listenerPrefix).map(\.name)

    /// Options that decide where writes go.
    public static let upstreamOptions = [
        "urls", "database", "skip_database_creation", "retention_policy", "username", "password", "password_file",
        "token", "token_file", "timeout", "user_agent", "http_headers", "http_proxy", "content_encoding", "tls_ca",
        "tls_cert", "tls_key",
        "tls_server_name", "insecure_skip_verify",
    ]

    /// Whether the options of these names are equal in both.
    public func isEqual(to other: RelayConfig, in names: [String]) -> Bool {
        names.allSatisfy { values[$0] == other.values[$0] }
    }
}

/// Where the relay listens.
///
/// Shape: `169.254.169.254:80`, `[fd00:ec2::254]:80`, `169.254.169.254:80@vpc-1` for a listener in the network namespace
/// `/run/netns/vpc-1`.
public struct RelayPlace: Sendable, Hashable, CustomStringConvertible {
    public let address: ListenAddress
    /// Empty for the relay's own.
    public let namespace: String
    public let description: String

    /// Errors: nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = ListenAddress(String(first)) else { return nil }
        let namespace = parts.count > 1 ? String(parts[1]) : ""
        let isName = namespace.utf8.allSatisfy { byte in
            "-_.".utf8.contains(byte) || byte &- 48 < 10 || (byte | 0x20) &- 97 < 26
        }
        guard parts.count == 1 || !namespace.isEmpty, isName, !namespace.hasPrefix("."), namespace.utf8.count <= 128
        else { return nil }
        self.address = address
        self.namespace = namespace
        description = text
    }
}
