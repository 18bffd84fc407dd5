/// What a listener of ours shows as its certificate, and what it demands of its clients.
public struct ServerTLSSettings: Sendable, Hashable {
    /// What becomes of clients that show no certificate.
    public enum Clients: String, Sendable, Hashable, CaseIterable {
        /// None is asked for.
        case none
        /// One is asked for; who has none may come, who shows a bad one may not.
        case optional
        case required
    }

    /// Files, PEM: the chain with the server's own first, and its key.
    public var certificate: String
    public var key: String
    /// Files with the authorities of clients.
    public var clientAuthorities: [String]
    public var clients: Clients
    /// File with the authorities' lists of revoked certificates, PEM; empty: none is looked at.
    public var revocationLists = ""
    /// A client's certificate must carry one of these DNS names; empty means any.
    public var allowedNames: [String] = []
    /// Refuses TLS 1.2 too.
    public var requiresTLS13 = false
    /// Handshakes at the same time; more wait for their turn.
    public var handshakes = 64
    /// Longest time of a handshake, of the wait for its turn, and of the silence before it.
    public var handshakeTime = Duration.seconds(10)

    public init(certificate: String, key: String, clientAuthorities: [String] = [], clients: Clients? = nil) {
        self.certificate = certificate
        self.key = key
        self.clientAuthorities = clientAuthorities
        self.clients = clients ?? (clientAuthorities.isEmpty ? .none : .required)
    }

    /// The options under the names that Telegraf has for its servers, where it has them.
    public static let options = options(prefix: "")

    /// The same for sections in which `tls_cert` is another certificate.
    public static func options(prefix: String) -> [OptionSpec] {
        [
            OptionSpec(
                "\(prefix)tls_cert", .string(""), "File with the certificate of the server; empty means no TLS."),
            OptionSpec("\(prefix)tls_key", .string(""), "File with its key, not encrypted."),
            OptionSpec(
                "\(prefix)tls_allowed_cacerts", .strings([]),
                "Files with authorities; clients must then show a certificate of one of them."),
            OptionSpec(
                "\(prefix)tls_client_auth", .string("require"),
                "With optional a client may come without a certificate; one that it shows must be good.",
                choices: ["require", "optional"]),
            OptionSpec(
                "\(prefix)tls_crl", .string(""),
                "File with the revocation lists of these authorities; empty means none is looked at."),
            OptionSpec(
                "\(prefix)tls_allowed_dns_names", .strings([]),
                "DNS names, one of which a client's certificate must carry."),
            OptionSpec(
                "\(prefix)tls_min_version", .string("TLS12"), "Oldest version of TLS that is spoken.",
                choices: ["TLS12", "TLS13"]),
            OptionSpec(
                "\(prefix)tls_max_handshakes", .integer(64), "Handshakes at the same time; more wait for their turn.",
                bounds: 1...10_000),
            OptionSpec(
                "\(prefix)tls_handshake_timeout", .duration(.seconds(10)),
                "Longest time of a handshake, and of the wait for its turn.", bounds: 0.1...60),
        ]
    }

    /// nil when the options ask for no TLS.
    public init?(_ options: OptionValues, prefix: String = "") {
        let certificate = options.string("\(prefix)tls_cert")
        guard !certificate.isEmpty else { return nil }
        self.init(
            certificate: certificate, key: options.string("\(prefix)tls_key"),
            clientAuthorities: options.strings("\(prefix)tls_allowed_cacerts"))
        if clients == .required, options.string("\(prefix)tls_client_auth") == "optional" { clients = .optional }
        revocationLists = options.string("\(prefix)tls_crl")
        allowedNames = options.strings("\(prefix)tls_allowed_dns_names")
        requiresTLS13 = options.string("\(prefix)tls_min_version") == "TLS13"
        handshakes = Int(clamping: options.integer("\(prefix)tls_max_handshakes"))
        handshakeTime = options.duration("\(prefix)tls_handshake_timeout")
    }

    /// What is wrong with the options, by their names: what needs what.
    public static func mistakes(in options: OptionValues, prefix: String = "") -> [(name: String, text: String)] {
        var mistakes: [(name: String, text: String)] = []
        func complain(_ name: String, _ text: String) { mistakes.append((prefix + name, text)) }
        let hasCertificate = !options.string("\(prefix)tls_cert").isEmpty
        if hasCertificate == options.string("\(prefix)tls_key").isEmpty {
            complain("tls_cert", "\(prefix)tls_cert and \(prefix)tls_key need each other")
        }
        let hasAuthorities = !options.strings("\(prefix)tls_allowed_cacerts").isEmpty
        if hasAuthorities, !hasCertificate {
            complain(
                "tls_allowed_cacerts", "clients can only show a certificate to a server with \(prefix)tls_cert")
        }
        guard !hasAuthorities else { return mistakes }
        let needed = "tls_allowed_cacerts"
        if !options.strings("\(prefix)tls_allowed_dns_names").isEmpty {
            complain("tls_allowed_dns_names", "names can only be trusted with \(prefix)\(needed)")
        }
        if !options.string("\(prefix)tls_crl").isEmpty {
            complain("tls_crl", "a revocation list belongs to an authority in \(prefix)\(needed)")
        }
        if options.string("\(prefix)tls_client_auth") == "optional" {
            complain("tls_client_auth", "without \(prefix)\(needed) no certificate is asked for")
        }
        return mistakes
    }
}
