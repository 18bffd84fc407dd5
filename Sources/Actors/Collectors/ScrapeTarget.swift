import Pipeline

/// One page to fetch: where it is, and which tags its points get.
struct ScrapeTarget: Sendable, Hashable {
    /// For the tag: without user information.
    let name: String
    /// For messages: without the values of its query, too.
    var shown: String { Secret.redacted(url: name) }
    /// What is asked for.
    let url: String
    let socketPath: String?
    let user: String?
    let password: Secret
    let tags: [Tag]

    /// By an address of the configuration: `http`, `https`, or `unix:///socket?path=/metrics` (also
    /// `unix:///socket:/metrics`). Without a path it is `/metrics`. Errors: nil for anything else.
    init?(url text: String, urlTag: String) {
        if text.hasPrefix("unix://") {
            let rest = text.dropFirst("unix://".count)
            guard rest.hasPrefix("/"), !rest.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return nil }
            let parts: (Substring, Substring)
            if let mark = rest.firstRange(of: "?path=") {
                parts = (rest[..<mark.lowerBound], rest[mark.upperBound...])
            } else if let mark = rest.firstRange(of: ":/") {
                parts = (rest[..<mark.lowerBound], rest[rest.index(after: mark.lowerBound)...])
            } else {
                parts = (rest, "/metrics")
            }
            let path = parts.1.hasPrefix("/") ? String(parts.1) : "/\(parts.1)"
            guard HTTPURL("http://localhost" + path) != nil else { return nil }
            socketPath = String(parts.0)
            url = "http://localhost" + path
            name = text
            (user, password) = (nil, .none)
        } else {
            guard let parts = HTTPURL(text) else { return nil }
            socketPath = nil
            let query = parts.query.map { "?\($0)" } ?? ""
            url = "\(parts.scheme)://\(parts.authority)\(parts.path.isEmpty ? "/metrics" : parts.path)\(query)"
            name = parts.replacingHost(with: parts.bracketedHost)
            user = parts.user
            password = Secret(parts.password ?? "")
        }
        tags = urlTag.isEmpty ? [] : [Tag(urlTag, name)]
    }

    /// What discovery found. Errors: nil for an address that is none.
    init?(_ found: DiscoveredTarget, urlTag: String) {
        let query = found.parameters.sorted { $0.key < $1.key }
            .map { "\(HTTPURL.percentEncoded($0.key))=\(HTTPURL.percentEncoded($0.value))" }.joined(separator: "&")
        url = "\(found.scheme)://\(found.address)\(found.path)" + (query.isEmpty ? "" : "?" + query)
        guard HTTPURL(url) != nil else { return nil }
        name = url
        socketPath = nil
        (user, password) = (nil, .none)
        tags = (urlTag.isEmpty ? [] : [Tag(urlTag, name)]) + found.tags
    }
}
