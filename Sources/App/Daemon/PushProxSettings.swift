import Actors
import Pipeline

extension ScrapeProxySettings {
    /// `[pushprox.proxy]`, which the decoder has checked.
    init(_ part: PushProxConfig.Part) {
        self.init()
        let values = part.values
        table.registration = values.duration("registration_timeout")
        table.names = Int(clamping: values.integer("max_clients"))
        table.waitingPerName = Int(clamping: values.integer("max_waiting_scrapes"))
        table.scrapes = Int(clamping: values.integer("max_scrapes"))
        defaultTimeout = values.duration("default_scrape_timeout")
        timeoutLimit = values.duration("max_scrape_timeout")
        unknownGrace = values.duration("unknown_grace")
        bodyLimit = Int(clamping: values.size("max_body_size"))
        always500 = values.bool("always_500")
        drainTime = values.duration("drain_timeout")
        table.sharesNames = values.string("duplicates") == "spread"
        names = NameRules(part.tables["names", default: []].compactMap(NameRule.init))
        listeners = part.tables["listeners", default: []].compactMap(ScrapeListenerSettings.init)
    }
}

extension ScrapeListenerSettings {
    /// `[[pushprox.proxy.listeners]]`.
    init?(_ options: OptionValues) {
        guard let listen = ListenAddress(options.string("listen")) else { return nil }
        self.init(listen: listen, roles: Set(options.strings("serves").compactMap(ScrapeRole.init)))
        tls = ServerTLSSettings(options)
        bindsNames = options.bool("bind_names") && (tls?.clients ?? .none) != .none
        allowed = options.strings("ip_range").compactMap(AddressRange.init)
        username = options.string("basic_username")
        password = SecretSource(options, "basic_password")
        token = SecretSource(options, "token")
        connections = Int(clamping: options.integer("max_connections"))
    }
}

extension ScrapeClientSettings {
    /// `[pushprox.client]`, which the decoder has checked; `host` is the name of this machine.
    init(_ part: PushProxConfig.Part, host: String, version: String) {
        self.init()
        let values = part.values
        targets = part.tables["targets", default: []].compactMap(ScrapeTargetSettings.init)
        names = values.strings("names")
        if names.isEmpty, targets.isEmpty { names = [host] }
        // Its own names lead to the machine itself, unless a target says otherwise.
        let listed = Set(targets.map(\.rule.name))
        for name in names.compactMap(ScrapeName.init) where !listed.contains(name) {
            targets.append(ScrapeTargetSettings(rule: TargetRule(name: name)))
        }
        let known = Set(names.compactMap(ScrapeName.init))
        for target in targets where !known.contains(target.rule.name) && !names.contains(target.rule.name.description) {
            names.append(target.rule.name.description)
        }
        labels = values.table("labels").sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
            .joined(separator: ",")
        bodyLimit = Int(clamping: values.size("max_body_size"))
        heldLimit = Int(clamping: values.size("max_held_size"))
        scrapesLimit = Int(clamping: values.integer("max_scrapes"))
        timeoutLimit = values.duration("max_scrape_timeout")
        retryBase = values.duration("retry_initial_wait")
        retryCap = values.duration("retry_max_wait")
        pollTime = values.duration("poll_timeout")
        let silence = Int(clamping: values.duration("keepalive_interval").components.seconds)
        proxies = part.tables["proxies", default: []].compactMap { ScrapeProxyPlace($0, version: version) }
        for index in proxies.indices { proxies[index].connection.keepAliveSeconds = silence }
    }
}

extension ScrapeProxyPlace {
    /// `[[pushprox.client.proxies]]`. A user in the URL is as good as one in the options.
    fileprivate init?(_ options: OptionValues, version: String) {
        guard let url = HTTPURL(options.string("url")) else { return nil }
        self.init(url: url)
        connection = HTTPConnectionOptions(access: options)
        connection.userAgent = "godwit/\(version)"
        username = options.string("username")
        password = SecretSource(options, "password")
        token = SecretSource(options, "token")
        if username.isEmpty, let user = url.user {
            username = user
            password = .literal(Secret(url.password ?? ""))
        }
    }
}

extension ScrapeTargetSettings {
    /// `[[pushprox.client.targets]]`.
    fileprivate init?(_ options: OptionValues) {
        guard let name = ScrapeName(options.string("name")),
            let destination = TargetRule.destination(options.string("url"))
        else { return nil }
        let port = UInt16(clamping: options.integer("port"))
        self.init(
            rule: TargetRule(
                name: name, port: port > 0 ? port : nil, pathPrefix: options.string("path"),
                destination: destination))
        connection = HTTPConnectionOptions(access: options)
        addresses = options.strings("addresses").compactMap(AddressRange.init)
        username = options.string("username")
        password = SecretSource(options, "password")
        token = SecretSource(options, "token")
    }
}

extension HTTPConnectionOptions {
    fileprivate init(access options: OptionValues) {
        self.init()
        func optional(_ name: String) -> String? {
            let value = options.string(name)
            return value.isEmpty ? nil : value
        }
        tlsAuthorities = optional("tls_ca")
        tlsCertificate = optional("tls_cert")
        tlsKey = optional("tls_key")
        tlsServerName = optional("tls_server_name")
        skipsVerification = options.bool("insecure_skip_verify")
    }
}
