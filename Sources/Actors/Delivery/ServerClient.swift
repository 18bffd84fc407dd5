import Pipeline

/// Sends the requests of an output to its servers, with its credentials, and with patience for slow lines.
///
/// Lives in the transport that owns it: which server answered last, the secrets as they were read, and the time-outs so
/// far are its state.
final class ServerClient {
    let endpoints: [ServerEndpoint]
    let clock: any Clock
    private let settings: ServerSettings
    private let client: any HTTPClient
    private var password: SecretReader
    private var token: SecretReader
    /// The server to begin with: random at first, then the one that answered last.
    private var preferred: Int
    private var patience = RequestPatience()

    init(
        settings: ServerSettings, client: any HTTPClient, clock: any Clock, random: JitterSource = JitterSource()
    ) {
        self.settings = settings
        self.client = client
        self.clock = clock
        endpoints = settings.urls.compactMap(ServerEndpoint.init)
        password = SecretReader(settings.password)
        token = SecretReader(settings.token)
        var random = random
        preferred = endpoints.isEmpty ? 0 : Int.random(in: endpoints.indices, using: &random)
    }

    // MARK: Which server

    /// All servers, the one that answered last first.
    var order: [Int] { endpoints.indices.map { (preferred + $0) % endpoints.count } }

    /// Whether `outcome` of server `index` settles the matter. Otherwise the next one is worth a try, and `worst` keeps
    /// the outcome that speaks for the route: of the server that is nearest to taking data.
    func isSettled(_ outcome: DeliveryOutcome, by index: Int, _ worst: inout DeliveryOutcome?) -> Bool {
        switch outcome {
        case .delivered, .partial, .data, .tooBig:
            preferred = index
            return true
        case .throttled, .server, .ambiguous, .unavailable, .createDatabase, .configuration:
            if worst.map({ Self.weight($0) < Self.weight(outcome) }) ?? true { worst = outcome }
            return false
        }
    }

    private static func weight(_ outcome: DeliveryOutcome) -> Int {
        switch outcome {
        case .throttled: 5
        case .server: 4
        case .ambiguous: 3
        case .configuration, .createDatabase: 2
        default: 1
        }
    }

    // MARK: One request

    enum Answer {
        case reply(HTTPReply)
        case failure(DeliveryOutcome)
    }

    /// POSTs `body` to server `index`; `lines` are headers besides the configured ones. `wants`: names of headers of
    /// the reply, in lower case.
    func post(
        _ body: [UInt8], to url: String, _ lines: [String], _ index: Int, deadline: Instant, wants: Set<String> = []
    ) async -> Answer {
        let timeout = min(patience.limit(bytes: body.count, configured: configured), deadline - clock.now)
        guard timeout > .zero else { return .failure(.ambiguous(reason: "deadline passed")) }
        var request: HTTPRequest
        do throws(SecretError) {
            request = HTTPRequest(
                .post(body: body), url: url, headers: lines + headers, credentials: try credentials(index),
                connection: connection(index), timeout: timeout, cancelGrace: settings.cancelGrace)
            request.wantedHeaders = wants
        } catch {
            return .failure(.configuration(reason: error.description))
        }
        switch await client.perform(request) {
        case .success(var reply):
            if reply.status >= 300 {
                let redaction = EchoRedaction(request.credentials, headers: settings.headers)
                reply.body = redaction.applied(to: reply.body)
            }
            patience.answered(bytes: body.count, after: reply.elapsed, configured: configured)
            return .reply(reply)
        case .failure(let failure):
            if failure.kind == .timeout { patience.timedOut() }
            return .failure(failure.outcome)
        }
    }

    /// GETs `url` of server `index` within 3 s.
    func get(
        _ url: String, _ index: Int, deadline: Instant
    ) async throws(SecretError) -> Result<
        HTTPReply, TransferFailure
    > {
        let request = HTTPRequest(
            .get, url: url, headers: headers, credentials: try credentials(index), connection: connection(index),
            timeout: min(.seconds(3), deadline - clock.now))
        return await client.perform(request)
    }

    /// Whether a person has touched the secrets since they were last used.
    var secretState: SecretState {
        if token.isStale || password.isStale { return .new }
        return token.isWatchable || password.isWatchable ? .used : .fixed
    }

    private var configured: Duration { settings.timeout ?? .seconds(10) }

    private var headers: [String] {
        settings.headers.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    }

    private func credentials(_ index: Int) throws(SecretError) -> HTTPRequest.Credentials {
        let token = try token.current()
        if !token.isEmpty { return settings.tokenScheme == .token ? .token(token) : .bearer(token) }
        let password = try password.current()
        if !settings.username.isEmpty { return .basic(user: settings.username, password: password) }
        guard let user = endpoints[index].url.user else { return .none }
        return .basic(user: user, password: Secret(endpoints[index].url.password ?? ""))
    }

    private func connection(_ index: Int) -> HTTPConnectionOptions {
        var options = settings.connection
        if let path = endpoints[index].socketPath { options.unixSocketPath = path }
        return options
    }
}

extension HTTPReply {
    /// A 2xx whose body never ends was a yes all the same; anything else that was cut is judged by its status.
    var cutOutcome: DeliveryOutcome? {
        guard isTruncated, status < 200 else { return nil }
        return .ambiguous(reason: "reply cut at \(InfluxDBReply.bodyLimit) bytes")
    }
}
