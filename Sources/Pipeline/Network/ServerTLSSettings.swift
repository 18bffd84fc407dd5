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
    /// A client's certificate must carry one of these DNS names; empty means any.
    public var allowedNames: [String] = []
    /// Refuses TLS 1.2 too.
    public var requiresTLS13 = false

    public init(certificate: String, key: String, clientAuthorities: [String] = [], clients: Clients? = nil) {
        self.certificate = certificate
        self.key = key
        self.clientAuthorities = clientAuthorities
        self.clients = clients ?? (clientAuthorities.isEmpty ? .none : .required)
    }

    /// The options under the names that Telegraf has for its servers.
    public static let options: [OptionSpec] = [
        OptionSpec("tls_cert", .string(""), "File with the certificate of the server; empty means no TLS."),
        OptionSpec("tls_key", .string(""), "File with its key, not encrypted."),
        OptionSpec(
            "tls_allowed_cacerts", .strings([]),
            "Files with authorities; clients must then show a certificate of one of them."),
        OptionSpec(
            "tls_allowed_dns_names", .strings([]), "DNS names, one of which a client's certificate must carry."),
        OptionSpec(
            "tls_min_version", .string("TLS12"), "Oldest version of TLS that is spoken.", choices: ["TLS12", "TLS13"]),
    ]

    /// nil when the options ask for no TLS.
    public init?(_ options: OptionValues) {
        let certificate = options.string("tls_cert")
        guard !certificate.isEmpty else { return nil }
        self.init(
            certificate: certificate, key: options.string("tls_key"),
            clientAuthorities: options.strings("tls_allowed_cacerts"))
        allowedNames = options.strings("tls_allowed_dns_names")
        requiresTLS13 = options.string("tls_min_version") == "TLS13"
    }

    /// What is wrong with the options, by their names: what needs what.
    public static func mistakes(in options: OptionValues) -> [(name: String, text: String)] {
        var mistakes: [(name: String, text: String)] = []
        let hasCertificate = !options.string("tls_cert").isEmpty
        if hasCertificate == options.string("tls_key").isEmpty {
            mistakes.append(("tls_cert", "tls_cert and tls_key need each other"))
        }
        let hasAuthorities = !options.strings("tls_allowed_cacerts").isEmpty
        if hasAuthorities, !hasCertificate {
            mistakes.append(("tls_allowed_cacerts", "clients can only show a certificate to a server with tls_cert"))
        }
        if !options.strings("tls_allowed_dns_names").isEmpty, !hasAuthorities {
            mistakes.append(("tls_allowed_dns_names", "names can only be trusted with tls_allowed_cacerts"))
        }
        return mistakes
    }
}
