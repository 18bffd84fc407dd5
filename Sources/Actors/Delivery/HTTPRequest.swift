import Pipeline

/// One request to an HTTP server, ready to be sent by `CurlMulti`. No redirect is followed, unless a
/// probe asks for it.
public struct HTTPRequest: Sendable {
    public enum Method: Sendable {
        case get
        case post(body: [UInt8])
        /// A POST whose body comes while it is sent; in chunks where the length is not known.
        case upload(BodyPipe, length: Int?)
    }

    public enum Credentials: Sendable, Hashable {
        case none
        case basic(user: String, password: Secret)
        /// `Authorization: Token …`, as InfluxDB takes it.
        case token(Secret)
        /// `Authorization: Bearer …`.
        case bearer(Secret)
    }

    public var method: Method
    /// `http` or `https`, without user information.
    public var url: String
    /// Complete header lines, `Name: value`.
    public var headers: [String]
    public var credentials: Credentials
    public var connection: HTTPConnectionOptions
    /// From the call to the last byte of the reply.
    public var timeout: Duration
    /// After a cancellation the transfer may still end for so long: a batch that is nearly through is not sent twice.
    public var cancelGrace: Duration
    /// Names of headers of the reply that are wanted, in lower case.
    public var wantedHeaders: Set<String> = []
    /// What a look at somebody's server does otherwise than a delivery; nil for deliveries.
    public var probe: HTTPProbe?
    /// Where the body of the reply goes while it comes; nil: into the reply.
    public var sink: BodyPipe?

    public init(
        _ method: Method, url: String, headers: [String] = [], credentials: Credentials = .none,
        connection: HTTPConnectionOptions = HTTPConnectionOptions(), timeout: Duration, cancelGrace: Duration = .zero
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.credentials = credentials
        self.connection = connection
        self.timeout = timeout
        self.cancelGrace = cancelGrace
    }
}

/// A look at a server: over a connection of its own, so that its time counts too.
public struct HTTPProbe: Sendable, Hashable {
    /// The request's method; the body is that of `HTTPRequest.method`.
    public var verb = "GET"
    /// Up to ten.
    public var followsRedirects = false
    /// What is longer is cut, as `HTTPReply.isTruncated` says.
    public var bodyLimit = 64 * 1024
    /// Without it only the length is told.
    public var keepsBody = false
    /// All headers of the reply are wanted, in their order.
    public var keepsFields = false
    /// Otherwise a connection that is open may be used again.
    public var isFresh = true

    public init() {}
}

/// How a server is reached and who it must prove to be.
public struct HTTPConnectionOptions: Sendable, Hashable {
    public var userAgent = "Godwit"
    /// Name lookup and TCP connect; a TLS handshake gets 5 s more.
    public var connectTimeout = Duration.seconds(3)
    /// A socket to use instead of TCP.
    public var unixSocketPath: String?
    /// A proxy's URL; nil takes the environment's, as every curl program does; empty for none.
    public var proxy: String?
    /// File of authorities to trust instead of the system's.
    public var tlsAuthorities: String?
    public var tlsCertificate: String?
    public var tlsKey: String?
    public var tlsKeyPassword = Secret.none
    /// The name the certificate must carry (and SNI asks for), where it is not the URL's host.
    public var tlsServerName: String?
    /// Refuses TLS 1.2 too.
    public var requiresTLS13 = false
    /// No check of chain and name. Loud in status and log; for laboratories.
    public var skipsVerification = false
    /// Address (or interface) to connect from; empty for the kernel's choice.
    public var localAddress: String?
    /// Seconds of silence after which the peer is probed, and between probes; 0 = the system's.
    public var keepAliveSeconds = 0
    /// Where the host's name may lead; nil: anywhere.
    public var addresses: AddressRule?

    public init() {}
}

/// What a server answered.
public struct HTTPReply: Sendable, Hashable {
    public var status: Int
    /// At most 64 KiB, as they came: never decoded.
    public var body: [UInt8]
    /// Whether the body went on beyond the limit, where the transfer was cut.
    public var isTruncated: Bool
    /// The header `Retry-After` as it came.
    public var retryAfter: String?
    public var elapsed: Duration
    /// Those that were wanted, by their names in lower case; of several with one name the first.
    public var headers: [String: String] = [:]
    // What only a probe gets:
    /// From the call to the end of the headers.
    public var answerTime = Duration.zero
    /// Length of the body as far as it came.
    public var bodyBytes = 0
    /// All headers, for `HTTPProbe.keepsFields`.
    public var fields: [HTTPField] = []
    /// Why the body did not come to its end.
    public var bodyFailure: TransferFailure?

    public init(
        status: Int, body: [UInt8] = [], isTruncated: Bool = false, retryAfter: String? = nil, elapsed: Duration = .zero
    ) {
        self.status = status
        self.body = body
        self.isTruncated = isTruncated
        self.retryAfter = retryAfter
        self.elapsed = elapsed
    }
}

/// Why no reply came.
public struct TransferFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Kind: String, Sendable, Hashable {
        /// Refused or unreachable: nothing was sent.
        case hardDown = "unreachable"
        case timeout
        /// Cut after the connection stood: the request may have been carried out.
        case reset
        case tls
        case dns = "name lookup"
        /// The URL or a named file cannot be used.
        case invalid = "invalid request"
        /// The name leads to an address to which it may not.
        case forbidden = "not allowed"
        case cancelled
    }

    public var kind: Kind
    /// libcurl's words, at most 256 bytes, free of secrets.
    public var reason: String

    public init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    /// libcurl's own words. Of all that it is given only the URL of a proxy can hold a password, and it quotes that one
    /// whole where it cannot use it.
    init(_ kind: Kind, libcurl words: String) {
        self.init(kind, words)
        guard words.hasPrefix("Unsupported proxy"), let open = words.firstIndex(of: "'") else { return }
        let start = words.index(after: open)
        if let close = words[start...].lastIndex(of: "'") {
            reason = words[..<start] + Secret.redacted(url: String(words[start..<close])) + words[close...]
        } else {
            // Cut: perhaps in the middle of the password.
            reason = words[..<start] + "***"
        }
    }

    public var description: String { reason.isEmpty ? kind.rawValue : "\(kind.rawValue): \(reason)" }

    /// What it means for the batch.
    public var outcome: DeliveryOutcome {
        switch kind {
        case .hardDown, .tls, .dns: .unavailable(reason: description)
        case .timeout, .reset, .cancelled: .ambiguous(reason: description)
        case .invalid, .forbidden: .configuration(reason: description)
        }
    }
}

/// Something that performs HTTP requests: `CurlMulti`, or a script in tests.
public protocol HTTPClient: Sendable {
    func perform(_ request: HTTPRequest) async -> Result<HTTPReply, TransferFailure>
}
