/// One `[[outputs.….routes]]`: a way to the output's server.
public struct RouteConfig: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Straight to the server.
        case direct
        /// Through the hypervisor's metadata service, which knows this machine by its address.
        case metadata
        /// Through a port that somebody keeps open towards the server, or through a tunnel of our own.
        case proxy
    }

    /// Where the metadata service of the platform takes points.
    public static let metadataURL = "http://169.254.169.254/monitor"

    /// In log and status; unique within one output: `direct`, `metadata`, `proxy:172.31.25.194:12345`,
    /// `proxy:b/10.127.40.251:30086` through the tunnel `b`.
    public var id: String
    public var kind: Kind
    /// Servers of this route, tried in random order.
    public var urls: [String]
    /// The tunnel of our own that carries it, whose server connects to the target instead of the URL's address; nil for a
    /// road without one.
    public var road: TunnelRoad?
    /// What differs from the output's TLS options; empty and nil for those.
    public var tlsAuthorities = ""
    public var tlsServerName = ""
    public var skipsVerification: Bool?

    public init(kind: Kind, urls: [String], road: TunnelRoad? = nil) {
        self.kind = kind
        self.urls = urls
        self.road = road
        let place = road.map { "\($0)" } ?? urls.first.map(RouteConfig.place) ?? ""
        id = kind == .proxy ? "proxy:\(place)" : kind.rawValue
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
        let way = road.map { " through \($0)" } ?? ""
        return "\(kind.rawValue)\(way) to \(urls.map { Secret.redacted(url: $0) }.joined(separator: " or "))"
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
