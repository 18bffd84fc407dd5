import Pipeline

/// What an output says about its HTTP servers and the way to them, whatever is written there.
public struct ServerSettings: Sendable, Hashable {
    /// How a secret that is no password is presented.
    public enum TokenScheme: String, Sendable, Hashable {
        /// As InfluxDB takes it.
        case token = "Token"
        case bearer = "Bearer"
    }

    /// `http://host:8086`, `https://…`, `unix:///path`; several are servers of one cluster, any of them will do.
    public var urls: [String]
    /// Basic authentication; user information in the URL is used where this is empty.
    public var username = ""
    public var password = SecretSource.none
    /// Goes before basic authentication.
    public var token = SecretSource.none
    public var tokenScheme = TokenScheme.token
    /// nil: 10 s. A payload adds what `RequestPatience` says.
    public var timeout: Duration?
    public var headers: [String: String] = [:]
    public var connection = HTTPConnectionOptions()
    /// Something else may answer at the address: only the server's own sign makes a probe good.
    public var probesStrictly = false
    /// How long a request may still end after a cancellation.
    public var cancelGrace = Duration.seconds(3)

    public init(urls: [String]) { self.urls = urls }
}

/// One server of an output: its URL and how to get there.
struct ServerEndpoint: Sendable {
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
}
