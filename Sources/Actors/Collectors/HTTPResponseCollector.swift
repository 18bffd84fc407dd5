import Pipeline

/// Input `http_response`: what HTTP servers answer, and how soon.
///
/// Every URL is asked over a connection of its own, at most `parallelLimit` at the same time, each for at most
/// `response_timeout`. Rules: `docs/inputs.md`.
public actor HTTPResponseCollector: Collector {
    private static let parallelLimit = 16
    /// Characters of a body that a regular expression sees.
    static let matchLimit = RE2Pattern.textLimit

    /// How looking at one server ended.
    enum Outcome: Int64, Sendable {
        case success, stringMismatch, bodyReadError, connectionFailed, timeout, nameError, statusMismatch

        var name: String {
            switch self {
            case .success: "success"
            case .stringMismatch: "response_string_mismatch"
            case .bodyReadError: "body_read_error"
            case .connectionFailed: "connection_failed"
            case .timeout: "timeout"
            case .nameError: "dns_error"
            case .statusMismatch: "response_status_code_mismatch"
            }
        }
    }

    private let environment: InputEnvironment
    private let urls: [String]
    private let request: HTTPRequest
    private let tokenFile: String
    private let expectations: HTTPExpectations
    private var writer = PointWriter()

    /// Errors: a URL that is none, an expression that cannot be compiled, options that exclude each other.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        self.environment = environment
        let given = options.strings("urls")
        urls = given.isEmpty ? ["http://localhost"] : given
        func complain(_ option: String, _ text: String) -> CollectorError {
            CollectorError("http_response: " + text, option: option)
        }
        for url in urls where HTTPURL(url) == nil {
            throw complain("urls", "\"\(HTTPResponseCollector.shown(url))\" is no http or https address")
        }
        tokenFile = options.string("bearer_token")
        guard tokenFile.isEmpty || options.secret("token").isEmpty else {
            throw complain("bearer_token", "bearer_token or token, not both")
        }
        do { expectations = try HTTPExpectations(options) } catch {
            throw complain("response_string_match", "response_string_match: \(error)")
        }
        request = HTTPResponseCollector.request(options, keepsBody: expectations.needsBody)
    }

    /// The address without a password in it, for tags and messages.
    private static func shown(_ url: String) -> String {
        guard url.contains("@") else { return url }
        guard let parts = HTTPURL(url) else { return "…" }
        return parts.user == nil ? url : parts.replacingHost(with: parts.bracketedHost)
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        var request = request
        if !tokenFile.isEmpty {
            guard let token = environment.host.text(.absolute, String(tokenFile.drop { $0 == "/" })) else {
                return Gather(errors: ["bearer_token: \(tokenFile) cannot be read"])
            }
            request.credentials = .bearer(Secret(token))
        }
        for (url, result) in await ask(request) {
            switch result {
            case .failure(let failure) where failure.kind == .cancelled: continue
            case .failure(let failure) where failure.kind == .invalid:
                gather.errors.append("\(HTTPResponseCollector.shown(url)): \(failure)")
            default:
                var point = expectations.point(of: result)
                point.tag("server", HTTPResponseCollector.shown(url))
                point.tag("method", request.probe?.verb ?? "")
                writer.append(point, at: time, to: &gather.samples)
            }
        }
        writer.finish()
        return gather
    }

    /// The answers in the order of the URLs.
    private func ask(_ request: HTTPRequest) async -> [(String, Result<HTTPReply, TransferFailure>)] {
        typealias Answer = (Int, Result<HTTPReply, TransferFailure>)
        let (http, urls) = (environment.http, urls)
        return await withTaskGroup(of: Answer.self) { group in
            var answers: [Answer] = []
            for (index, url) in urls.enumerated() {
                if index >= HTTPResponseCollector.parallelLimit, let done = await group.next() { answers.append(done) }
                group.addTask {
                    var request = request
                    // User information is for the head, libcurl shall not have it in its messages.
                    if let parts = HTTPURL(url), let user = parts.user {
                        if case .none = request.credentials {
                            request.credentials = .basic(user: user, password: Secret(parts.password ?? ""))
                        }
                        request.url = parts.replacingHost(with: parts.bracketedHost)
                    } else {
                        request.url = url
                    }
                    return (index, await http.perform(request))
                }
            }
            while let done = await group.next() { answers.append(done) }
            return answers.sorted { $0.0 < $1.0 }.map { (urls[$0.0], $0.1) }
        }
    }

    private static func request(_ options: OptionValues, keepsBody: Bool) -> HTTPRequest {
        let seconds = options.duration("response_timeout")
        let limit = seconds > .zero ? seconds : .seconds(5)
        var probe = HTTPProbe()
        probe.verb = options.string("method").isEmpty ? "GET" : options.string("method")
        probe.followsRedirects = options.bool("follow_redirects")
        let bytes = options.size("response_body_max_size")
        probe.bodyLimit = Int(clamping: bytes > 0 ? bytes : 32 << 20)
        probe.keepsBody = keepsBody
        var body = Array(options.string("body").utf8)
        if body.isEmpty { body = form(options.listTable("body_form")) }
        var request = HTTPRequest(
            body.isEmpty ? .get : .post(body: body), url: "",
            headers: options.table("headers").sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" },
            connection: connection(options, limit), timeout: limit)
        request.probe = probe
        request.wantedHeaders = Set(options.table("http_header_tags").keys.map { $0.lowercased() })
        let (user, password) = (options.secret("username"), options.secret("password"))
        if !options.secret("token").isEmpty {
            request.credentials = .bearer(options.secret("token"))
        } else if !user.isEmpty, !password.isEmpty {
            request.credentials = .basic(user: user.revealed, password: password)
        }
        return request
    }

    /// A form as browsers send it: `a=1&b=x+y`.
    private static func form(_ values: [String: [String]]) -> [UInt8] {
        func encoded(_ text: String) -> String { HTTPURL.percentEncoded(text).replacing("%20", with: "+") }
        let pairs = values.sorted { $0.key < $1.key }.flatMap { key, texts in
            texts.map { "\(encoded(key))=\(encoded($0))" }
        }
        return Array(pairs.joined(separator: "&").utf8)
    }

    private static func connection(_ options: OptionValues, _ limit: Duration) -> HTTPConnectionOptions {
        func optional(_ name: String) -> String? { options.string(name).isEmpty ? nil : options.string(name) }
        var connection = HTTPConnectionOptions()
        connection.connectTimeout = limit
        connection.proxy = optional("http_proxy")
        connection.tlsAuthorities = optional("tls_ca")
        connection.tlsCertificate = optional("tls_cert")
        connection.tlsKey = optional("tls_key")
        connection.tlsKeyPassword = options.secret("tls_key_pwd")
        connection.tlsServerName = optional("tls_server_name")
        connection.requiresTLS13 = options.string("tls_min_version") == "TLS13"
        connection.skipsVerification = options.bool("insecure_skip_verify")
        connection.localAddress = optional("interface")
        return connection
    }
}

/// What an answer must be, and what of it becomes fields.
struct HTTPExpectations: Sendable {
    private let pattern: RE2Pattern?
    private let status: Int64
    private let bodyField: String
    private let headerTags: [String: String]

    init(_ options: OptionValues) throws {
        let text = options.string("response_string_match")
        pattern = text.isEmpty ? nil : try RE2Pattern(text)
        status = options.integer("response_status_code")
        bodyField = options.string("response_body_field")
        headerTags = options.table("http_header_tags")
    }

    var needsBody: Bool { pattern != nil || !bodyField.isEmpty }

    /// The point of one answer, without the tags that say who was asked.
    func point(of result: Result<HTTPReply, TransferFailure>) -> ParsedPoint {
        var point = ParsedPoint("http_response")
        let outcome: HTTPResponseCollector.Outcome
        switch result {
        case .success(let reply): outcome = judge(reply, &point)
        case .failure(let failure):
            outcome = failure.kind == .timeout ? .timeout : failure.kind == .dns ? .nameError : .connectionFailed
        }
        point.tag("result", outcome.name)
        point["result_type"] = .string(outcome.name)
        point["result_code"] = .int(outcome.rawValue)
        return point
    }

    private func judge(_ reply: HTTPReply, _ point: inout ParsedPoint) -> HTTPResponseCollector.Outcome {
        for (header, tag) in headerTags { point.tag(tag, reply.headers[header.lowercased()] ?? "") }
        point.tag("status_code", "\(reply.status)")
        point["response_time"] = .float(max(0, reply.answerTime.inSeconds))
        point["http_response_code"] = .int(Int64(reply.status))
        point["content_length"] = .int(Int64(reply.bodyBytes))
        let text = String(validating: reply.body, as: UTF8.self)
        guard !reply.isTruncated, reply.bodyFailure == nil, bodyField.isEmpty || text != nil else {
            if pattern != nil { point["response_string_match"] = .int(0) }
            return .bodyReadError
        }
        if !bodyField.isEmpty, let text { point[bodyField] = .string(text) }
        var outcome = HTTPResponseCollector.Outcome.success
        if let pattern {
            let isMatch = HTTPExpectations.matches(pattern, reply.body)
            point["response_string_match"] = .int(isMatch ? 1 : 0)
            if !isMatch { outcome = .stringMismatch }
        }
        if status > 0 {
            let isMatch = status == reply.status
            point["response_status_code_match"] = .int(isMatch ? 1 : 0)
            if !isMatch { outcome = .statusMismatch }
        }
        return outcome
    }

    /// A plain text is sought in the whole body; an expression sees its beginning.
    static func matches(_ pattern: RE2Pattern, _ body: [UInt8]) -> Bool {
        let wanted = Array(pattern.pattern.utf8)
        if !wanted.contains(where: { "\\.+*?()|[]{}^$".utf8.contains($0) }) {
            return body.firstRange(of: wanted) != nil
        }
        // Bytes bound characters; the last of them may be cut.
        return pattern.matches(String(decoding: body.prefix(HTTPResponseCollector.matchLimit), as: UTF8.self))
    }
}
