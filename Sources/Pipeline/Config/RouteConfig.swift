/// One `[[outputs.….routes]]`: a way to the output's server.
public struct RouteConfig: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Straight to the server.
        case direct
        /// Through the hypervisor's metadata service, which knows this machine by its address.
        case metadata
        /// Through a port that somebody keeps open towards the server.
        case proxy
    }

    /// Where the metadata service of the platform takes points.
    public static let metadataURL = "http://169.254.169.254/monitor"

    /// In log and status; unique within one output: `direct`, `metadata`, `proxy:172.31.25.194:12345`.
    public var id: String
    public var kind: Kind
    /// Servers of this route, tried in random order.
    public var urls: [String]
    /// What differs from the output's TLS options; empty and nil for those.
    public var tlsAuthorities = ""
    public var tlsServerName = ""
    public var skipsVerification: Bool?

    public init(kind: Kind, urls: [String]) {
        self.kind = kind
        self.urls = urls
        id = kind == .proxy ? "proxy:\(urls.first.map(RouteConfig.place) ?? "")" : kind.rawValue
    }

    /// Only a 204 to `/ping` is good: something answers on every such road, also when nothing is behind it.
    public var probesStrictly: Bool { kind != .direct }

    /// Host and port of a URL, without what is secret in it.
    private static func place(_ url: String) -> String {
        var rest = url[...]
        if let range = rest.firstRange(of: "://") { rest = rest[range.upperBound...] }
        let authority = rest.prefix { !"/?#".contains($0) }
        return String(authority.split(separator: "@", omittingEmptySubsequences: false).last ?? authority)
    }
}

extension RouteConfig: CustomStringConvertible {
    /// The kind and the servers, without what is secret in their URLs.
    public var description: String {
        "\(kind.rawValue) to \(urls.map { Secret.redacted(url: $0) }.joined(separator: " or "))"
    }
}

extension OutputConfig {
    /// Whether a certificate goes unchecked on one of its routes.
    public var skipsVerification: Bool {
        guard options.has("insecure_skip_verify") else { return false }
        let own = options.bool("insecure_skip_verify")
        return routes.isEmpty ? own : routes.contains { $0.skipsVerification ?? own }
    }
}
