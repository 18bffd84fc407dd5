import Pipeline

/// How pages are asked for, and what an answer is worth.
struct ScrapeRequest: Sendable {
    /// A page that came, or why none did.
    enum Answer: Sendable {
        case page([UInt8], ExpositionFormat)
        case failed(String)
        /// The agent stops.
        case cancelled
    }

    private let timeout: Duration
    private let bytesLimit: Int
    private let forcedFormat: ExpositionFormat?
    private let followsRedirects: Bool
    private let headers: [String]
    private let tokenFile: String
    private let token: Secret
    private let user: Secret
    private let password: Secret
    private let connection: HTTPConnectionOptions

    init(_ options: OptionValues) {
        let older = options.duration("response_timeout")
        timeout = older > .zero ? older : options.duration("timeout")
        bytesLimit = Int(clamping: options.size("content_length_limit"))
        forcedFormat =
            switch options.string("content_type_override") {
            case "": nil
            case "openmetrics-text", "application/openmetrics-text": .openMetrics
            default: .text
            }
        followsRedirects = options.bool("follow_redirects")
        headers = options.table("headers").merging(options.table("http_headers")) { _, new in new }
            .sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        tokenFile = options.string("bearer_token")
        token = options.secret("bearer_token_string")
        user = options.secret("username")
        password = options.secret("password")
        func optional(_ name: String) -> String? { options.string(name).isEmpty ? nil : options.string(name) }
        var connection = HTTPConnectionOptions()
        connection.connectTimeout = timeout
        connection.proxy = options.bool("use_system_proxy") ? nil : options.string("http_proxy_url")
        connection.tlsAuthorities = optional("tls_ca")
        connection.tlsCertificate = optional("tls_cert")
        connection.tlsKey = optional("tls_key")
        connection.tlsKeyPassword = options.secret("tls_key_pwd")
        connection.tlsServerName = optional("tls_server_name")
        connection.requiresTLS13 = options.string("tls_min_version") == "TLS13"
        connection.skipsVerification = options.bool("insecure_skip_verify")
        self.connection = connection
    }

    /// Fetches a page within `limit`, or the configured time where that is less.
    func page(_ target: ScrapeTarget, within limit: Duration, _ environment: InputEnvironment) async -> Answer {
        await ask(target, within: limit, accept: ExpositionFormat.accept, isAuthorised: true, environment)
    }

    /// Asks a server for targets. What is meant for the targets is not for it: no token, password or header goes there.
    func list(_ server: ScrapeTarget, _ environment: InputEnvironment) async -> Answer {
        await ask(server, within: timeout, accept: "application/json", isAuthorised: false, environment)
    }

    private func ask(
        _ target: ScrapeTarget, within limit: Duration, accept: String, isAuthorised: Bool,
        _ environment: InputEnvironment
    ) async -> Answer {
        let time = min(timeout, limit)
        var lines = ["Accept: \(accept)", "Accept-Encoding: gzip"]
        if isAuthorised {
            lines.append("X-Prometheus-Scrape-Timeout-Seconds: \(PrometheusText.number(time.inSeconds))")
            lines += headers
        }
        var connection = connection
        connection.connectTimeout = time
        connection.unixSocketPath = target.socketPath
        var request = HTTPRequest(.get, url: target.url, headers: lines, connection: connection, timeout: time)
        var probe = HTTPProbe()
        probe.followsRedirects = followsRedirects
        probe.bodyLimit = bytesLimit
        probe.keepsBody = true
        request.wantedHeaders = ["content-type", "content-encoding"]
        request.probe = probe
        do throws(CollectorError) {
            request.credentials = try credentials(target, isAuthorised, environment.host)
        } catch { return .failed(error.description) }
        switch await environment.http.perform(request) {
        case .failure(let failure) where failure.kind == .cancelled: return .cancelled
        case .failure(let failure): return .failed("\(failure)")
        case .success(let reply): return judge(reply, needsFormat: isAuthorised)
        }
    }

    private func credentials(
        _ target: ScrapeTarget, _ isAuthorised: Bool, _ host: any Host
    ) throws(CollectorError) -> HTTPRequest.Credentials {
        if isAuthorised {
            if !tokenFile.isEmpty {
                guard let text = host.text(.absolute, String(tokenFile.drop { $0 == "/" })), !text.isEmpty else {
                    throw CollectorError("bearer_token: \(tokenFile) cannot be read")
                }
                return .bearer(Secret(text))
            }
            if !token.isEmpty { return .bearer(token) }
            if !user.isEmpty || !password.isEmpty { return .basic(user: user.revealed, password: password) }
        }
        return target.user.map { .basic(user: $0, password: target.password) } ?? .none
    }

    private func judge(_ reply: HTTPReply, needsFormat: Bool) -> Answer {
        guard !reply.isTruncated else { return .failed(tooLong) }
        if let failure = reply.bodyFailure { return .failed("the answer broke off: \(failure)") }
        guard reply.status == 200 else {
            let hint = 300..<400 ~= reply.status && !followsRedirects ? "; redirects are not followed" : ""
            return .failed("status \(reply.status)\(hint)")
        }
        var body = reply.body
        switch (reply.headers["content-encoding"] ?? "").lowercased() {
        case "", "identity": break
        case "gzip", "x-gzip":
            do throws(Gzip.Failure) { body = try Gzip.inflate(body, limit: bytesLimit) } catch {
                return .failed(error == .tooLarge ? tooLong : "the answer is damaged gzip")
            }
        default: return .failed("a content encoding that was not asked for")
        }
        let type = reply.headers["content-type"] ?? ""
        guard let format = forcedFormat ?? ExpositionFormat(contentType: type) ?? (needsFormat ? nil : .text) else {
            return .failed("the answer is no page of metrics but \(type.prefix { $0 != ";" }.prefix(60))")
        }
        return .page(body, format)
    }

    private var tooLong: String { "the answer is longer than content_length_limit (\(bytesLimit) bytes)" }
}
