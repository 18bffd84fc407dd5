extension ConfigDecodingRun {
    /// `[pushprox.proxy]` and `[pushprox.client]`.
    mutating func pushprox(_ root: ConfigNode) -> PushProxConfig {
        var config = PushProxConfig()
        guard let node = root["pushprox"] else { return config }
        for entry in node.entries where entry.key != "proxy" && entry.key != "client" {
            complainPushProx(
                entry.origin, entry.key, "expected a table [pushprox.proxy] or [pushprox.client]",
                nearest: NearestName.find(entry.key, among: ["proxy", "client"]))
        }
        config.proxy = node["proxy"].flatMap {
            part("proxy", $0, PushProxSpecs.proxy, ["listeners": PushProxSpecs.listener, "names": PushProxSpecs.name])
        }
        config.client = node["client"].flatMap {
            part(
                "client", $0, PushProxSpecs.client,
                ["proxies": PushProxSpecs.clientProxy, "targets": PushProxSpecs.clientTarget])
        }
        if let proxy = config.proxy, proxy.tables["listeners", default: []].isEmpty {
            complainPushProx(node["proxy"]?.origin ?? node.origin, "proxy", "it needs [[pushprox.proxy.listeners]]")
        }
        if let client = config.client, client.tables["proxies", default: []].isEmpty {
            complainPushProx(node["client"]?.origin ?? node.origin, "client", "it needs [[pushprox.client.proxies]]")
        }
        return config
    }

    private mutating func complainPushProx(
        _ origin: ConfigOrigin, _ key: String, _ message: String, nearest: String? = nil
    ) {
        issues.append(ConfigIssue(.error, origin, "pushprox.\(key)", message, nearest: nearest))
    }

    /// One role; nil, with an issue, for what is no table.
    private mutating func part(
        _ name: String, _ node: ConfigNode, _ specs: [OptionSpec], _ tables: [String: [OptionSpec]]
    ) -> PushProxConfig.Part? {
        guard case .table(let entries) = node.kind else {
            complainPushProx(node.origin, name, "expected a section [pushprox.\(name)], found \(node.kindName)")
            return nil
        }
        origins["pushprox.\(name)"] = node.origin
        let reader = OptionReader(
            path: "pushprox.\(name)", specs: specs, others: Set(tables.keys),
            filesReadableByOthers: decoder.filesReadableByOthers)
        let settings = reader.read(entries, &issues)
        var part = PushProxConfig.Part(values: OptionValues(specs, set: settings.values))
        for (table, specs) in tables.sorted(by: { $0.key < $1.key }) {
            guard let inner = node[table] else { continue }
            guard case .array(let nodes) = inner.kind else {
                complainPushProx(inner.origin, "\(name).\(table)", "expected sections [[pushprox.\(name).\(table)]]")
                continue
            }
            for each in nodes {
                let path = "pushprox.\(name).\(table)"
                let read = OptionReader(
                    path: path, specs: specs, filesReadableByOthers: decoder.filesReadableByOthers
                ).read(each.entries, &issues)
                let values = OptionValues(specs, set: read.values)
                check(table, values, each.origin, read.origins)
                part.tables[table, default: []].append(values)
            }
        }
        if name == "client" { checkNames(part, settings.origins["names"] ?? node.origin) }
        return part
    }

    private mutating func check(
        _ table: String, _ options: OptionValues, _ origin: ConfigOrigin, _ places: [String: ConfigOrigin]
    ) {
        var mistakes: [(name: String, text: String)] = []
        switch table {
        case "listeners": mistakes = listenerMistakes(options)
        case "names": mistakes = nameMistakes(options)
        case "proxies":
            if !isURL(options.string("url")) { mistakes.append(("url", "expected http://host:port or https://host")) }
        default: mistakes = targetMistakes(options)
        }
        for (one, other) in [
            ("password", "password_file"), ("basic_password", "basic_password_file"), ("token", "token_file"),
        ]
        where options.has(one) {
            if !options.secret(one).isEmpty, !options.string(other).isEmpty {
                mistakes.append((other, "\(one) and \(other) exclude each other"))
            }
        }
        if options.has("username"), options.string("tls_cert").isEmpty != options.string("tls_key").isEmpty {
            mistakes.append(("tls_cert", "tls_cert and tls_key need each other"))
        }
        let side = table == "listeners" || table == "names" ? "proxy" : "client"
        for mistake in mistakes {
            complainPushProx(places[mistake.name] ?? origin, "\(side).\(table).\(mistake.name)", mistake.text)
        }
    }

    private func isURL(_ text: String) -> Bool {
        guard text.hasPrefix("http://") || text.hasPrefix("https://") else { return false }
        return !text.utf8.contains { $0 <= 0x20 || $0 == 0x7F } && !text.hasSuffix("://")
    }

    private func listenerMistakes(_ options: OptionValues) -> [(name: String, text: String)] {
        var mistakes = ServerTLSSettings.mistakes(in: options)
        let listen = options.string("listen")
        if ListenAddress(listen) == nil {
            mistakes.append(("listen", "\"\(listen)\" is no address; expected 127.0.0.1:8080, [::1]:8080 or :8080"))
        }
        if options.strings("serves").isEmpty { mistakes.append(("serves", "a listener serves somebody")) }
        for range in options.strings("ip_range") where AddressRange(range) == nil {
            mistakes.append(("ip_range", "\"\(range)\" is no network; expected 192.0.2.0/24 or 2001:db8::/32"))
        }
        let hasPassword = !options.secret("basic_password").isEmpty || !options.string("basic_password_file").isEmpty
        if hasPassword == options.string("basic_username").isEmpty {
            mistakes.append(("basic_username", "basic_username and a password need each other"))
        }
        return mistakes
    }

    private func nameMistakes(_ options: OptionValues) -> [(name: String, text: String)] {
        var mistakes: [(name: String, text: String)] = []
        let name = options.string("name")
        if NameRule(pattern: name) == nil {
            mistakes.append(("name", "\"\(name)\" is no name of a host, *.example or *"))
        }
        for digest in options.strings("token_sha256") where !NameRule.isDigest(digest) {
            // Somebody may have written the token itself here.
            mistakes.append(("token_sha256", "expected 64 hexadecimal digits, as sha256sum prints them"))
        }
        for port in options.numbers("ports") where NameRule.port(port) == nil {
            mistakes.append(("ports", "expected numbers from 1 to 65535"))
        }
        for text in options.strings("scrapers") where NameRule.Scraper(text) == nil {
            mistakes.append(("scrapers", "\"\(text)\" is no network and no DNS name"))
        }
        return mistakes
    }

    private func targetMistakes(_ options: OptionValues) -> [(name: String, text: String)] {
        var mistakes: [(name: String, text: String)] = []
        if ScrapeName(options.string("name")) == nil { mistakes.append(("name", "a target needs the name of a host")) }
        if !options.string("path").hasPrefix("/") { mistakes.append(("path", "a path begins with /")) }
        for range in options.strings("addresses") where AddressRange(range) == nil {
            mistakes.append(("addresses", "\"\(range)\" is no network; expected 192.0.2.0/24 or 2001:db8::/32"))
        }
        if TargetRule.destination(options.string("url")) == nil {
            mistakes.append(("url", "expected http://host:port, unix:/path, agent or output:ID"))
        }
        return mistakes
    }

    private mutating func checkNames(_ part: PushProxConfig.Part, _ origin: ConfigOrigin) {
        for name in part.values.strings("names") where ScrapeName(name) == nil {
            complainPushProx(origin, "client.names", "\"\(name)\" is no name of a host")
        }
    }
}

extension TargetRule {
    /// Where `url` of a target leads; nil for what is none.
    public static func destination(_ text: String) -> Destination? {
        if text.isEmpty { return .asAsked }
        if text == "agent" { return .agent }
        if text.hasPrefix("output:"), text.utf8.count > 7 { return .output(String(text.dropFirst(7))) }
        if text.hasPrefix("unix:/") { return .unix(path: String(text.dropFirst(5))) }
        let isURL = text.hasPrefix("http://") || text.hasPrefix("https://")
        guard isURL, !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }), !text.contains("@") else { return nil }
        return .url(text)
    }
}

extension NameRule {
    /// `[[pushprox.proxy.names]]`; nil with a mistake.
    public init?(_ options: OptionValues) {
        self.init(pattern: options.string("name"))
        tokens = Set(options.strings("token_sha256").map { $0.lowercased() })
        tokenFile = options.string("token_file")
        ports = Set(options.numbers("ports").compactMap(NameRule.port))
        scrapers = options.strings("scrapers").compactMap(Scraper.init)
    }

    /// Whether it is the SHA-256 of something, in hexadecimal.
    public static func isDigest(_ text: String) -> Bool {
        text.utf8.count == 64 && text.unicodeScalars.allSatisfy { $0.properties.isASCIIHexDigit }
    }

    static func port(_ number: Double) -> UInt16? { UInt16(exactly: number).flatMap { $0 > 0 ? $0 : nil } }
}
