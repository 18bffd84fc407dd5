/// The options of `[pushprox.proxy]` and `[pushprox.client]` with their tables.
public enum PushProxSpecs {
    public static let proxy: [OptionSpec] = [
        OptionSpec(
            "registration_timeout", .duration(.seconds(300)),
            "How long a name is known after its last poll ended; a poll that waits is always known.", bounds: 1...86_400
        ),
        OptionSpec(
            "default_scrape_timeout", .duration(.seconds(15)), "Time of a scrape that names none.", bounds: 0.1...3_600),
        OptionSpec("max_scrape_timeout", .duration(.seconds(300)), "Longest time of a scrape.", bounds: 0.1...3_600),
        OptionSpec(
            "unknown_grace", .duration(.seconds(1)),
            "How long a scrape of a name that nobody polls under waits before it is answered with 404.",
            bounds: 0...3_600),
        OptionSpec("max_body_size", .size(64 << 20), "Largest page that goes through.", bounds: 1_024...1e12),
        OptionSpec("max_clients", .integer(20_000), "Names at the same time.", bounds: 1...1_000_000),
        OptionSpec("max_waiting_scrapes", .integer(64), "Scrapes that wait for one name.", bounds: 1...100_000),
        OptionSpec("max_scrapes", .integer(10_000), "Scrapes under way in all.", bounds: 1...1_000_000),
        OptionSpec(
            "duplicates", .string("evict"),
            "Several clients of one name: the last to poll evicts the others, or scrapes are spread over all.",
            choices: ["evict", "spread"]),
        OptionSpec("always_500", .bool(false), "Answer every failure with 500, as the original proxy does."),
        OptionSpec(
            "drain_timeout", .duration(.seconds(3)), "How long scrapes under way may go on at a stop.", bounds: 0...10),
    ]

    public static let name: [OptionSpec] = [
        OptionSpec(
            "name", .string(""),
            "Name that this is for, *.example for each with one label before it, or * for all; the first table that fits."
        ),
        OptionSpec(
            "token_sha256", .strings([]), "SHA-256, in hexadecimal, of tokens with which a client may use the name."),
        OptionSpec(
            "token_file", .string(""), "File with such tokens, one a line, mode 0600; read again when it changes."),
        OptionSpec("ports", .numbers([]), "Ports that may be asked for; empty means all."),
        OptionSpec(
            "scrapers", .strings([]),
            "Who may ask: networks, or DNS names of certificates; empty means every scraper."),
    ]

    public static let listener: [OptionSpec] =
        [
            OptionSpec("listen", .string("127.0.0.1:8080"), "Address to listen at; :8080 means all of the machine."),
            OptionSpec(
                "serves", .strings(["clients", "scrapers", "admin"]),
                "Whom: clients poll and push, scrapers ask, admin reads /clients and /metrics.",
                choices: ["clients", "scrapers", "admin"]),
            OptionSpec(
                "bind_names", .bool(true),
                "With tls_allowed_cacerts: a client may only use names that its certificate carries."),
            OptionSpec("basic_username", .string(""), "User that must come; empty means anybody."),
            OptionSpec("basic_password", .secret(.none), "The password of that user."),
            OptionSpec("basic_password_file", .string(""), "File with it, read again when it changes."),
            OptionSpec("token", .secret(.none), "Bearer token that is as good."),
            OptionSpec("token_file", .string(""), "File with it, read again when it changes."),
            OptionSpec("ip_range", .strings([]), "Networks that may come, as 192.0.2.0/24; empty means all."),
            OptionSpec("max_connections", .integer(20_000), "Connections at the same time.", bounds: 1...1_000_000),
        ] + ServerTLSSettings.options

    public static let client: [OptionSpec] = [
        OptionSpec(
            "names", .strings([]), "Names to poll under, which scrapers ask for; empty means that of this machine."),
        OptionSpec("labels", .table([:]), "Labels that our proxy shows at /clients."),
        OptionSpec("max_body_size", .size(32 << 20), "Largest page that is pushed.", bounds: 1_024...1_073_741_824),
        OptionSpec(
            "max_held_size", .size(32 << 20), "What all pages on their way may take of memory together.",
            bounds: 1_048_576...1_073_741_824),
        OptionSpec("max_scrapes", .integer(16), "Scrapes at the same time.", bounds: 1...1_000),
        OptionSpec("max_scrape_timeout", .duration(.seconds(300)), "Longest time of a scrape.", bounds: 0.1...3_600),
        OptionSpec("retry_initial_wait", .duration(.seconds(1)), "First wait after a failed poll.", bounds: 0.01...60),
        OptionSpec("retry_max_wait", .duration(.seconds(30)), "Longest wait after failed polls.", bounds: 0.01...3_600),
        OptionSpec(
            "poll_timeout", .duration(.seconds(50)),
            "When a proxy of ours shall answer a poll without a scrape, before a middlebox cuts it.", bounds: 1...3_000
        ),
        OptionSpec(
            "keepalive_interval", .duration(.seconds(15)),
            "Silence after which the kernel asks whether a proxy is still there.", bounds: 1...3_600),
    ]

    private static let access: [OptionSpec] = [
        OptionSpec("username", .string(""), "User of HTTP basic authentication."),
        OptionSpec("password", .secret(.none), "Password of that user."),
        OptionSpec("password_file", .string(""), "File with it, mode 0600."),
        OptionSpec("token", .secret(.none), "Bearer token, instead of a user."),
        OptionSpec("token_file", .string(""), "File with it, mode 0600."),
        OptionSpec("tls_ca", .string(""), "File with the authorities that are trusted; empty means the system's."),
        OptionSpec("tls_cert", .string(""), "File with the client certificate."),
        OptionSpec("tls_key", .string(""), "File with its key."),
        OptionSpec("tls_server_name", .string(""), "Name that the certificate must have; empty means the URL's."),
        OptionSpec("insecure_skip_verify", .bool(false), "Do not check the certificate. For laboratories."),
    ]

    public static let clientProxy: [OptionSpec] =
        [OptionSpec("url", .string(""), "URL of the proxy, with the prefix of its paths where it has one.")] + access

    public static let clientTarget: [OptionSpec] =
        [
            OptionSpec("name", .string(""), "Name that scrapers ask for; it is polled under, too."),
            OptionSpec("port", .integer(0), "Port that they must ask for; 0 means any.", bounds: 0...65_535),
            OptionSpec("path", .string("/"), "What the path must begin with."),
            OptionSpec(
                "url", .string(""),
                "Where the scrape goes: http://host:port, unix:/path, agent for the agent's own metrics, or "
                    + "output:ID for the page of an output prometheus_client; empty means where it says."),
            OptionSpec(
                "addresses", .strings([]),
                "Networks that the name may lead to, as 192.0.2.0/24; empty means this machine, or where url leads."),
        ] + access
}

/// `[pushprox]`: its two roles, each nil where its table is missing.
public struct PushProxConfig: Sendable, Hashable {
    /// A table and the tables inside of it.
    public struct Part: Sendable, Hashable {
        public var values: OptionValues
        /// `listeners` of the proxy; `proxies` and `targets` of the client.
        public var tables: [String: [OptionValues]] = [:]

        public init(values: OptionValues) { self.values = values }
    }

    public var proxy: Part?
    public var client: Part?

    public init() {}

    public var isEmpty: Bool { proxy == nil && client == nil }
}
