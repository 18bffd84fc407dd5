import Pipeline

/// The request to a target, made of what a scraper asked for and where the rule leads.
enum TargetRequest {
    static func make(
        _ target: ProxiedTarget, _ method: String, _ fields: [HTTPField], _ place: ScrapeTargetSettings,
        _ time: Duration
    ) -> HTTPRequest {
        let (pathAndQuery, isTLS) = TargetRules.request(of: target)
        let host = target.name.description
        var connection = place.connection
        // Targets are near: no proxy of the environment stands before them.
        connection.proxy = ""
        connection.addresses = place.addressRule
        connection.connectTimeout = min(time, .seconds(10))
        let url: String
        switch place.rule.destination {
        case .url(let base): url = TargetRequest.url(base, pathAndQuery)
        case .unix(let path):
            connection.unixSocketPath = path
            url = "http://localhost\(pathAndQuery)"
        case .asAsked, .agent, .output:
            let port = target.port.map { ":\($0)" } ?? ""
            let bracketed = host.contains(":") ? "[\(host)]" : host
            url = "\(isTLS ? "https" : "http")://\(bracketed)\(port)\(pathAndQuery)"
        }
        var passed = HeaderRules.request(fields)
        if let agent = passed.first("user-agent") { connection.userAgent = agent }
        passed.removeAll { $0.name.lowercased() == "user-agent" }
        var headers = passed.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" }
        if passed.first("accept") == nil { headers.append("Accept:") }
        headers.append("\(ScrapeTimeout.header): \(ScrapeTimeout.text(time))")
        if case .asAsked = place.rule.destination {} else { headers.append("Host: \(target.authority(host: host))") }
        var request = HTTPRequest(.get, url: url, headers: headers, connection: connection, timeout: time)
        var probe = HTTPProbe()
        probe.verb = method
        probe.isFresh = false
        probe.keepsBody = true
        probe.keepsFields = true
        request.probe = probe
        return request
    }

    /// Path and query go to the base's server, or, where the base has a path, its query alone.
    private static func url(_ base: String, _ pathAndQuery: String) -> String {
        guard let parts = HTTPURL(base) else { return base }
        let server = "\(parts.scheme)://\(parts.authority)"
        guard !parts.path.isEmpty, parts.path != "/" else { return server + pathAndQuery }
        guard let mark = pathAndQuery.firstIndex(of: "?") else {
            return server + parts.path + (parts.query.map { "?\($0)" } ?? "")
        }
        return server + parts.path + pathAndQuery[mark...]
    }
}
