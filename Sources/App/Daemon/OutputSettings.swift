import Actors
import Pipeline

extension FileSettings {
    /// `[[outputs.file]]`.
    init(_ output: OutputConfig, stateDirectory: String) {
        let directory = output.options.string("directory")
        self.init(directory: directory.isEmpty ? stateDirectory + "/metrics" : directory)
        rotationBytes = output.options.size("rotation_max_bytes")
        rotationInterval = output.options.duration("rotation_interval")
        filesLimit = Int(clamping: output.options.integer("max_files"))
        ageLimit = output.options.duration("max_age")
    }
}

extension ServerSettings {
    /// What all outputs with servers have, over one route. `roads`: where the internal forwards of tunnels listen.
    init(_ output: OutputConfig, _ route: RouteConfig, roads: String, version: String) {
        let options = output.options
        func optional(_ name: String) -> String? {
            let value = options.string(name)
            return value.isEmpty ? nil : value
        }
        self.init(urls: route.urls.isEmpty ? options.strings("urls") : route.urls)
        timeout = options.duration("timeout")
        headers = options.table("http_headers")
        if options.has("username") {
            username = options.string("username")
            password = SecretSource(options, "password")
        }
        connection.userAgent = optional("user_agent") ?? "godwit/\(version)"
        connection.proxy = optional("http_proxy")
        connection.tlsAuthorities = optional("tls_ca")
        connection.tlsCertificate = optional("tls_cert")
        connection.tlsKey = optional("tls_key")
        connection.tlsServerName = optional("tls_server_name")
        connection.skipsVerification = route.skipsVerification ?? options.bool("insecure_skip_verify")
        if !route.tlsAuthorities.isEmpty { connection.tlsAuthorities = route.tlsAuthorities }
        if !route.tlsServerName.isEmpty { connection.tlsServerName = route.tlsServerName }
        connection.unixSocketPath = route.road?.socketPath(in: roads)
        probesStrictly = route.probesStrictly
    }

    /// The metadata service knows this machine by its address. Whoever answers in its place must not learn a password,
    /// and no proxy stands before a link-local address.
    fileprivate mutating func forgetSecrets() {
        username = ""
        password = .none
        token = .none
        headers = [:]
        connection.tlsCertificate = nil
        connection.tlsKey = nil
        connection.proxy = ""
    }
}

extension InfluxDBSettings {
    /// `[[outputs.influxdb]]` or `[[outputs.influxdb_v2]]` over one of its routes.
    init(_ output: OutputConfig, _ route: RouteConfig, roads: String, version: String) {
        let options = output.options
        self.init()
        server = ServerSettings(output, route, roads: roads, version: version)
        server.token = SecretSource(options, "token")
        if options.has("bucket") {
            bucket = Bucket(organization: options.string("organization"), name: options.string("bucket"))
        } else {
            database = options.string("database")
            retentionPolicy = options.string("retention_policy")
            writeConsistency = options.string("write_consistency")
            skipDatabaseCreation = options.bool("skip_database_creation")
        }
        encoding = options.string("content_encoding") == "gzip" ? .gzip : .identity
        if route.kind == .metadata { server.forgetSecrets() }
    }
}

extension RemoteWriteSettings {
    /// `[[outputs.prometheus_remote_write]]` over one of its routes.
    init(_ output: OutputConfig, _ route: RouteConfig, roads: String, version: String) {
        self.init(
            server: ServerSettings(output, route, roads: roads, version: version),
            version: RemoteWriteEncoder.Version(rawValue: output.options.string("protocol")) ?? .first,
            metadataInterval: output.options.duration("metadata_interval"))
        server.token = SecretSource(output.options, "bearer_token")
        server.tokenScheme = .bearer
    }
}

extension ExpositionSettings {
    /// `[[outputs.prometheus_client]]`, which the decoder has checked.
    init(_ options: OptionValues) {
        guard let listen = ListenAddress(options.string("listen")) else {
            preconditionFailure("BUG: the address to listen on was not checked")
        }
        self.init(listen: listen)
        path = options.string("path")
        table.version = options.integer("metric_version") == 1 ? .first : .second
        table.names = ExpositionTable.Settings.Names(rawValue: options.string("names")) ?? .telegraf
        table.stringsAreLabels = options.bool("string_as_label")
        table.writesTimes = options.bool("export_timestamp")
        table.expiration = options.duration("expiration_interval")
        table.seriesLimit = Int(clamping: options.integer("max_series"))
        let types = options.listTable("prometheus_metric_types")
        table.counters = (try? PatternList(types["counter"] ?? [])) ?? .none
        table.gauges = (try? PatternList(types["gauge"] ?? [])) ?? .none
        showsProcess = !options.strings("collectors_exclude").contains("process")
        username = options.string("basic_username")
        password = SecretSource(options, "basic_password")
        token = SecretSource(options, "bearer_token")
        allowed = options.strings("ip_range").compactMap(AddressRange.init)
        headers = options.table("http_headers")
        tls = ServerTLSSettings(options)
        limits.requestTime = options.duration("read_timeout")
        limits.stallTime = options.duration("write_timeout")
    }
}

extension SecretSource {
    /// The secret `name`, from the file that `name_file` says or from the configuration itself.
    init(_ options: OptionValues, _ name: String) {
        let path = options.string(name + "_file")
        let literal = options.secret(name)
        self = path.isEmpty ? (literal.isEmpty ? .none : .literal(literal)) : .file(path: path)
    }
}
