import Pipeline

/// What `[[outputs.influxdb]]` or `[[outputs.influxdb_v2]]` says about the destination.
///
/// The two differ in where they write to and in nothing else: a bucket makes the difference.
public struct InfluxDBSettings: Sendable, Hashable {
    /// Where InfluxDB 2 writes to, and what speaks its API.
    public struct Bucket: Sendable, Hashable {
        public var organization: String
        public var name: String

        public init(organization: String, name: String) {
            self.organization = organization
            self.name = name
        }
    }

    public var server: ServerSettings
    public var database: String
    /// Set: `/api/v2/write` to this bucket, which is never created; database and retention policy do not count then.
    public var bucket: Bucket?
    public var retentionPolicy = ""
    /// Empty and `one` are not sent.
    public var writeConsistency = ""
    public var skipDatabaseCreation = false
    public var encoding = PayloadCodec.gzip
    /// Whether a missing database may be created by the client.
    var createsDatabase: Bool { bucket == nil && !skipDatabaseCreation }

    public init(urls: [String] = ["http://localhost:8086"], database: String = "telegraf") {
        server = ServerSettings(urls: urls)
        self.database = database
    }
}

extension ServerEndpoint {
    func writeURL(_ settings: InfluxDBSettings, _ write: LineWrite) -> String {
        if let bucket = settings.bucket {
            let items = [("org", bucket.organization), ("bucket", bucket.name), ("precision", "ns")]
            return url.appending(path: "/api/v2/write", items: items)
        }
        var items = [("db", settings.database)]
        let policy = write.retentionPolicy.isEmpty ? settings.retentionPolicy : write.retentionPolicy
        if !policy.isEmpty { items.append(("rp", policy)) }
        let consistency = write.consistency.isEmpty ? settings.writeConsistency : write.consistency
        if !consistency.isEmpty, consistency != "one" { items.append(("consistency", consistency)) }
        if !write.precision.isEmpty { items.append(("precision", write.precision)) }
        return url.appending(path: "/write", items: items)
    }

    var queryURL: String { url.appending(path: "/query", items: []) }
    var pingURL: String { url.appending(path: "/ping", items: []) }

    /// The form body `q=CREATE DATABASE "name"`.
    static func creation(of database: String) -> [UInt8] {
        var quoted = ""
        for character in database.unicodeScalars {
            switch character {
            case "\n": quoted += "\\n"
            case "\\": quoted += "\\\\"
            case "\"": quoted += "\\\""
            default: quoted.unicodeScalars.append(character)
            }
        }
        return Array("q=\(HTTPURL.percentEncoded("CREATE DATABASE \"\(quoted)\""))".utf8)
    }
}
