extension ConfigDecodingRun {
    /// The routes of an output. Its own `urls` are the first one, unless a direct route without an address of its own
    /// says where they stand.
    mutating func routes(
        _ instance: Instance, _ options: OptionValues, _ places: [String: ConfigOrigin]
    ) -> [RouteConfig] {
        let own = RouteConfig(kind: .direct, urls: options.strings("urls"))
        guard let entry = instance.entries.first(where: { $0.key == "routes" }) else { return [own] }
        guard case .array(let nodes) = entry.value.kind else {
            let message = "expected [[\(instance.path).routes]], found \(entry.value.kindName)"
            issues.append(ConfigIssue(.error, entry.origin, "\(instance.path).routes", message))
            return [own]
        }
        var routes: [RouteConfig] = []
        var hasOwn = false
        for node in nodes {
            guard let route = route(node, path: "\(instance.path).routes") else { continue }
            if route.kind == .metadata, !options.speaksInfluxDB {
                let message = "the metadata service takes points for InfluxDB only"
                issues.append(ConfigIssue(.error, node.origin, "\(instance.path).routes", message))
                continue
            }
            if let road = route.road {
                guard let url = roadURL(route, own) else {
                    let message = "a route through \(road.tunnel) needs a url that begins with http:// or https://"
                    issues.append(ConfigIssue(.error, node.origin, "\(instance.path).routes", message))
                    continue
                }
                routes.append(route)
                routes[routes.count - 1].urls = [url]
                continue
            }
            if route.urls.isEmpty && hasOwn {
                issues.append(
                    ConfigIssue(.error, node.origin, "\(instance.path).routes", "a second direct route needs a url"))
                continue
            }
            hasOwn = hasOwn || route.urls.isEmpty
            routes.append(route)
            if route.urls.isEmpty { routes[routes.count - 1].urls = own.urls }
        }
        if !hasOwn { routes.insert(own, at: 0) }
        var taken: Set<String> = []
        for index in routes.indices {
            let base = routes[index].id
            var number = 2
            while !taken.insert(routes[index].id).inserted {
                routes[index].id = "\(base)#\(number)"
                number += 1
            }
        }
        return routes
    }

    /// The URL that is asked for at the far end of a tunnel: the route's own or the output's first. It says scheme, name
    /// and path; the connection goes to the target. nil for one without a name.
    private func roadURL(_ route: RouteConfig, _ own: RouteConfig) -> String? {
        guard let url = route.urls.first ?? own.urls.first else { return nil }
        let scheme = url.prefix { $0 != ":" }.lowercased()
        return scheme == "http" || scheme == "https" ? url : nil
    }

    /// One route table, without urls for those of the output; nil, with an issue, for what is no route of ours.
    private mutating func route(_ node: ConfigNode, path: String) -> RouteConfig? {
        guard case .table(let entries) = node.kind else {
            issues.append(ConfigIssue(.error, node.origin, path, "expected a table, found \(node.kindName)"))
            return nil
        }
        let settings = OptionReader(path: path, specs: OutputSpecs.route).read(entries, &issues)
        let values = OptionValues(OutputSpecs.route, set: settings.values)
        guard let kind = RouteConfig.Kind(rawValue: values.string("via")) else { return nil }
        var url = values.string("url")
        if !url.isEmpty, let complaint = ServerURL.complaint(url) {
            issues.append(ConfigIssue(.error, settings.origins["url"] ?? node.origin, "\(path).url", complaint))
        }
        if url.isEmpty, kind == .metadata { url = RouteConfig.metadataURL }
        var way: TunnelRoad?
        if ["tunnel", "target"].contains(where: { !values.string($0).isEmpty }) {
            way = road(values, kind, path) { settings.origins[$0] ?? node.origin }
            if way == nil { return nil }
        } else if url.isEmpty, kind == .proxy {
            let message = "a route via \"proxy\" needs the url of the port that is kept open, or a tunnel and a target"
            issues.append(ConfigIssue(.error, node.origin, "\(path).url", message))
            return nil
        }
        var route = RouteConfig(kind: kind, urls: url.isEmpty ? [] : [url], road: way)
        route.tlsAuthorities = values.string("tls_ca")
        route.tlsServerName = values.string("tls_server_name")
        if case .bool(let skips)? = settings.values["insecure_skip_verify"] { route.skipsVerification = skips }
        return route
    }

    /// What `tunnel` and `target` say; nil, with an issue, when they say too little. Whether there is such a tunnel is
    /// checked when all are known.
    private mutating func road(
        _ values: OptionValues, _ kind: RouteConfig.Kind, _ path: String, _ place: (String) -> ConfigOrigin
    ) -> TunnelRoad? {
        func complain(_ name: String, _ message: String) -> TunnelRoad? {
            issues.append(ConfigIssue(.error, place(name), "\(path).\(name)", message))
            return nil
        }
        let (tunnel, target) = (values.string("tunnel"), values.string("target"))
        guard kind == .proxy else { return complain("tunnel", "a tunnel is for routes via \"proxy\"") }
        if tunnel.isEmpty { return complain("target", "a target needs the name of the tunnel that leads to it") }
        if target.isEmpty {
            return complain("target", "a route through a tunnel needs a target: the server as the far end reaches it")
        }
        guard let address = SocketPlace(parsing: target) else {
            return complain("target", "expected host:port, or the path of a unix socket at the far end")
        }
        let road = TunnelRoad(tunnel: tunnel, target: address)
        roads.append((road, place("tunnel"), "\(path).tunnel"))
        return road
    }

    func hasBrokenHeaders(_ options: OptionValues) -> Bool {
        options.table("http_headers").contains { key, value in
            key.isEmpty || (key + value).utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }
                || key.utf8.contains { $0 <= 0x20 || $0 == UInt8(ascii: ":") }
        }
    }

    /// Options that are right by themselves and wrong together, and URLs.
    mutating func checkServer(_ instance: Instance, _ options: OptionValues, _ places: [String: ConfigOrigin]) {
        func complain(_ name: String, _ message: String) {
            issues.append(
                ConfigIssue(.error, places[name] ?? instance.origin, "\(instance.path).\(name)", message))
        }
        let urls = options.strings("urls")
        if urls.isEmpty { complain("urls", "at least one URL is needed") }
        for url in urls {
            if let complaint = ServerURL.complaint(url) { complain("urls", complaint) }
            if url.hasPrefix("unix:"), !options.speaksInfluxDB {
                complain("urls", "unix:// has no room for the path that this protocol is served at; use http://")
            }
        }
        for name in ["password", "token", "bearer_token"] where options.has(name) {
            if !options.secret(name).isEmpty, !options.string("\(name)_file").isEmpty {
                complain("\(name)_file", "\(name) and \(name)_file exclude each other")
            }
        }
        for name in ["token", "bearer_token"] where options.has(name) {
            let hasToken = !options.secret(name).isEmpty || !options.string("\(name)_file").isEmpty
            if hasToken, options.has("username"), !options.string("username").isEmpty {
                complain("username", "username and \(name) exclude each other")
            }
        }
        if options.has("bucket"), options.string("bucket").isEmpty, places["bucket"] == nil {
            complain("bucket", "a bucket is needed (bucket = \"\" for a server that has none)")
        }
        if let complaint = RateLimit.complaint(options) { complain("rate_limit", complaint) }
        if options.string("tls_cert").isEmpty != options.string("tls_key").isEmpty {
            complain("tls_cert", "tls_cert and tls_key need each other")
        }
        if hasBrokenHeaders(options) {
            complain("http_headers", "a header has no line breaks, and its name no blank and no colon")
        }
        if options.string("user_agent").utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            complain("user_agent", "control characters are not allowed")
        }
    }
}

extension OptionValues {
    /// Whether they are those of an output that writes line protocol, not another protocol over HTTP.
    fileprivate var speaksInfluxDB: Bool { has("database") || has("bucket") }
}

/// What a server's URL may look like.
enum ServerURL {
    /// Why `url` cannot be used; nil when it can. The text does not repeat user information.
    static func complaint(_ url: String) -> String? {
        let shown = "\"\(Secret.redacted(url: url))\""
        guard !url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            return "\(shown) holds blanks or control characters"
        }
        let bytes = Array(url.utf8)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")), bytes[colon...].starts(with: "://".utf8) else {
            return "\(shown) is no URL; it begins with http://, https:// or unix://"
        }
        let scheme = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
        let rest = bytes[(colon + 3)...]
        switch scheme {
        case "http", "https": return authorityComplaint(rest).map { "\(shown): \($0)" }
        case "unix": return rest.first == UInt8(ascii: "/") ? nil : "\(shown) needs an absolute path: unix:///path"
        case "udp", "udp4", "udp6": return "\(shown): UDP is not available, since nobody acknowledges it; use http"
        default: return "\(shown): the scheme must be http, https or unix"
        }
    }

    private static func authorityComplaint(_ rest: ArraySlice<UInt8>) -> String? {
        var authority = rest.prefix { !"/?#".utf8.contains($0) }
        if let at = authority.lastIndex(of: UInt8(ascii: "@")) { authority = authority[(at + 1)...] }
        var host = authority
        if authority.first == UInt8(ascii: "[") {
            guard let end = authority.firstIndex(of: UInt8(ascii: "]")) else { return "a [ is not closed" }
            host = authority[...end]
        } else if let colon = authority.firstIndex(of: UInt8(ascii: ":")) {
            host = authority[..<colon]
        }
        let tail = authority[host.endIndex...]
        if host.isEmpty { return "the host is missing" }
        guard let first = tail.first else { return nil }
        guard first == UInt8(ascii: ":"), let port = UInt16(String(decoding: tail.dropFirst(), as: UTF8.self)), port > 0
        else { return "the port must be a number from 1 to 65535" }
        return nil
    }
}
