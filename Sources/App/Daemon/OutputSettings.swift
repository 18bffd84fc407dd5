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

extension InfluxDBSettings {
    /// `[[outputs.influxdb]]` or `[[outputs.influxdb_v2]]` over one of its routes.
    init(_ output: OutputConfig, _ route: RouteConfig, version: String) {
        let options = output.options
        func optional(_ name: String) -> String? {
            let value = options.string(name)
            return value.isEmpty ? nil : value
        }
        self.init(urls: route.urls.isEmpty ? options.strings("urls") : route.urls)
        if options.has("bucket") {
            bucket = Bucket(organization: options.string("organization"), name: options.string("bucket"))
        } else {
            database = options.string("database")
            retentionPolicy = options.string("retention_policy")
            writeConsistency = options.string("write_consistency")
            skipDatabaseCreation = options.bool("skip_database_creation")
            username = options.string("username")
            password = SecretSource(options, "password")
        }
        token = SecretSource(options, "token")
        timeout = options.duration("timeout")
        headers = options.table("http_headers")
        encoding = options.string("content_encoding") == "gzip" ? .gzip : .identity
        connection.userAgent = optional("user_agent") ?? "godwit/\(version)"
        connection.proxy = optional("http_proxy")
        connection.tlsAuthorities = optional("tls_ca")
        connection.tlsCertificate = optional("tls_cert")
        connection.tlsKey = optional("tls_key")
        connection.tlsServerName = optional("tls_server_name")
        connection.skipsVerification = options.bool("insecure_skip_verify")
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
