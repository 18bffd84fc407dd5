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

    /// `http://host:8086`, `https://…`, `unix:///path`; several are servers of one cluster, any of them will do.
    public var urls: [String]
    public var database: String
    /// Set: `/api/v2/write` to this bucket, which is never created; database and retention policy do not count then.
    public var bucket: Bucket?
    public var retentionPolicy = ""
    /// Empty and `one` are not sent.
    public var writeConsistency = ""
    public var skipDatabaseCreation = false
    /// Basic authentication; user information in the URL is used where this is empty.
    public var username = ""
    public var password = SecretSource.none
    /// `Authorization: Token …`; goes before basic authentication.
    public var token = SecretSource.none
    /// nil: 10 s. Each 64 KiB of payload add a second.
    public var timeout: Duration?
    /// nil: the user agent of `connection`.
    public var headers: [String: String] = [:]
    public var encoding = PayloadCodec.gzip
    public var connection = HTTPConnectionOptions()
    /// Only a 204 makes a probe good. Otherwise any answer that proves an HTTP server does, and the batch that follows
    /// decides: a reverse proxy may well let through `/write` alone.
    public var probesStrictly = false
    /// Whether a missing database may be created by the client.
    var createsDatabase: Bool { bucket == nil && !skipDatabaseCreation }
    /// How long a request may still end after a cancellation.
    public var cancelGrace = Duration.seconds(3)

    public init(urls: [String] = ["http://localhost:8086"], database: String = "telegraf") {
        self.urls = urls
        self.database = database
    }
}

/// One server of an output: where to write and how to get there.
struct InfluxDBEndpoint: Sendable {
    let url: HTTPURL
    let socketPath: String?
    /// For logs: without user information.
    let name: String

    /// Errors: nil for anything but `http`, `https` and `unix` URLs.
    init?(_ text: String) {
        let unix = "unix://"
        if text.hasPrefix(unix) {
            let path = String(text.dropFirst(unix.count))
            guard path.hasPrefix("/"), let url = HTTPURL("http://127.0.0.1") else { return nil }
            self.url = url
            socketPath = path
            name = text
        } else {
            guard let url = HTTPURL(text) else { return nil }
            self.url = url
            socketPath = nil
            name = Secret.redacted(url: text)
        }
    }

    func writeURL(_ settings: InfluxDBSettings) -> String {
        if let bucket = settings.bucket {
            let items = [("org", bucket.organization), ("bucket", bucket.name), ("precision", "ns")]
            return url.appending(path: "/api/v2/write", items: items)
        }
        var items = [("db", settings.database)]
        if !settings.retentionPolicy.isEmpty { items.append(("rp", settings.retentionPolicy)) }
        if !settings.writeConsistency.isEmpty, settings.writeConsistency != "one" {
            items.append(("consistency", settings.writeConsistency))
        }
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
