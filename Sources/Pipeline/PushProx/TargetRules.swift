/// What a scrape client may be asked for: `[[pushprox.client.targets]]`, and its own names where there are none.
public struct TargetRule: Sendable, Hashable {
    /// Where an allowed scrape goes.
    public enum Destination: Sendable, Hashable {
        /// The URL that was asked for.
        case asAsked
        /// This URL's scheme, host and port; path and query are those that were asked for unless it has a path.
        case url(String)
        /// A unix socket; path and query as asked.
        case unix(path: String)
        /// A page of the agent itself: that of an output `prometheus_client`, by its id.
        case output(String)
        /// The agent's own metrics.
        case agent
    }

    public var name: ScrapeName
    /// nil: any port.
    public var port: UInt16?
    /// What the path must begin with.
    public var pathPrefix: String
    public var destination: Destination

    public init(name: ScrapeName, port: UInt16? = nil, pathPrefix: String = "/", destination: Destination = .asAsked) {
        self.name = name
        self.port = port
        self.pathPrefix = pathPrefix
        self.destination = destination
    }
}

/// The rules of one client, in order: the first that fits counts.
public struct TargetRules: Sendable, Hashable {
    public var rules: [TargetRule]

    public init(_ rules: [TargetRule]) { self.rules = rules }

    public enum Refusal: Error, Sendable, Hashable {
        case method(String)
        case name
        case notListed

        public var text: String {
            switch self {
            case .method(let method): "method \(method) is not allowed; allowed are GET and HEAD"
            case .name: "this client does not answer for that name"
            case .notListed: "the targets of this client allow neither that port nor that path"
            }
        }
    }

    /// Why not, or where to. A path with `..` in it fits no prefix but `/`.
    public func rule(for target: ProxiedTarget, method: String) throws(Refusal) -> TargetRule {
        guard method == "GET" || method == "HEAD" else { throw .method(method) }
        let named = rules.filter { $0.name == target.name }
        guard !named.isEmpty else { throw .name }
        let path = target.path
        let fitting = named.first { rule in
            guard rule.port == nil || rule.port == target.effectivePort else { return false }
            guard rule.pathPrefix != "/" else { return true }
            return path.hasPrefix(rule.pathPrefix) && !path.split(separator: "/").contains("..")
                && !path.lowercased().contains("%2e")
        }
        guard let fitting else { throw .notListed }
        return fitting
    }

    /// Path and query for the target, and whether it is asked over TLS: the parameter `_scheme=https` is ours and goes.
    public static func request(of target: ProxiedTarget) -> (pathAndQuery: String, isTLS: Bool) {
        guard let mark = target.pathAndQuery.firstIndex(of: "?") else {
            return (target.pathAndQuery, target.scheme == "https")
        }
        let query = target.pathAndQuery[target.pathAndQuery.index(after: mark)...]
        let parts = query.split(separator: "&", omittingEmptySubsequences: false)
        let left = parts.filter { !isScheme($0) }
        let isTLS = target.scheme == "https" || left.count != parts.count
        let path = target.pathAndQuery[..<mark]
        return (left.isEmpty ? String(path) : "\(path)?\(left.joined(separator: "&"))", isTLS)
    }

    /// Whether it is `_scheme=https`, however it is encoded.
    private static func isScheme(_ parameter: Substring) -> Bool {
        guard parameter.utf8.contains(0x25) else { return parameter == "_scheme=https" }
        var bytes: [UInt8] = []
        var rest = Array(parameter.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(2)
            guard byte == 0x25, digits.count == 2,
                let decoded = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(decoded)
            rest = rest.dropFirst(2)
        }
        return bytes.elementsEqual("_scheme=https".utf8)
    }
}
