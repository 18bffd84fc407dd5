import Pipeline

/// Writes batches to InfluxDB 1.x or 2.x, or to anything that speaks `/write` or `/api/v2/write`.
///
/// Owns: which server answered last, whether the database was created, the cached secrets. Receives: `send`, `probe`.
/// Sends: HTTP requests to its client. It has no task of its own and nothing to stop.
public actor InfluxDBTransport: Transport {
    private let settings: InfluxDBSettings
    private let endpoints: [InfluxDBEndpoint]
    private let client: any HTTPClient
    private let clock: any Clock
    private var password: SecretReader
    private var token: SecretReader
    /// The server to begin with: random at first, then the one that answered last.
    private var preferred: Int
    /// Servers on which the database was created or must not be.
    private var hasDatabase: Set<Int> = []
    /// Time-outs in a row. A line may be slower than our deadline allows for: patience doubles after every third.
    private var timeouts = 0

    public init(
        settings: InfluxDBSettings, client: any HTTPClient, clock: any Clock, random: JitterSource = JitterSource()
    ) {
        self.settings = settings
        self.client = client
        self.clock = clock
        endpoints = settings.urls.compactMap(InfluxDBEndpoint.init)
        password = SecretReader(settings.password)
        token = SecretReader(settings.token)
        var random = random
        preferred = endpoints.isEmpty ? 0 : Int.random(in: endpoints.indices, using: &random)
    }

    public func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome {
        guard !endpoints.isEmpty else { return .configuration(reason: "no usable URL") }
        guard let (bytes, isCompressed) = encoded(batch) else {
            return .data(reason: "payload cannot be decompressed", isExplained: true)
        }
        let body = Body(bytes: bytes, isCompressed: isCompressed, points: batch.pointCount, id: id)
        var worst: DeliveryOutcome?
        for offset in endpoints.indices {
            let index = (preferred + offset) % endpoints.count
            let outcome = await write(body, to: index, deadline: deadline)
            switch outcome {
            case .delivered, .partial, .data, .tooBig:
                preferred = index
                return outcome
            case .throttled, .server, .ambiguous, .unavailable, .createDatabase, .configuration:
                worst = worst.map { Self.weight($0) >= Self.weight(outcome) ? $0 : outcome } ?? outcome
            }
            if Task.isCancelled || clock.now >= deadline { break }
        }
        return worst ?? .unavailable(reason: "no server tried")
    }

    /// Asks each server for `/ping` until one answers well.
    public func probe(deadline: Instant) async -> ProbeOutcome {
        var outcome = ProbeOutcome.bad(reason: "no usable URL")
        for offset in endpoints.indices {
            outcome = await ping((preferred + offset) % endpoints.count, deadline).outcome
            if outcome.isGood || Task.isCancelled { break }
        }
        return outcome
    }

    /// What the first server says to `/ping`, for those who want to know more than good or bad.
    public func ping(deadline: Instant) async -> PingAnswer {
        endpoints.isEmpty ? .secret(SecretError(description: "no usable URL")) : await ping(0, deadline)
    }

    private func ping(_ index: Int, _ deadline: Instant) async -> PingAnswer {
        do throws(SecretError) {
            let request = HTTPRequest(
                .get, url: endpoints[index].pingURL, headers: headers, credentials: try credentials(index),
                connection: connection(index), timeout: min(.seconds(3), deadline - clock.now))
            switch await client.perform(request) {
            case .success(let reply): return .status(reply.status, isGood: isGood(reply.status))
            case .failure(let failure): return .failure(failure)
            }
        } catch {
            return .secret(error)
        }
    }

    public func secretState() async -> SecretState {
        if token.isStale || password.isStale { return .new }
        return token.isWatchable || password.isWatchable ? .used : .fixed
    }

    private func isGood(_ status: Int) -> Bool {
        if settings.probesStrictly { return status == 204 }
        return (200..<300).contains(status) || [401, 403, 404, 405].contains(status)
    }

    /// Which of two failed servers speaks for the route: the one that is nearest to taking data.
    private static func weight(_ outcome: DeliveryOutcome) -> Int {
        switch outcome {
        case .throttled: 5
        case .server: 4
        case .ambiguous: 3
        case .configuration, .createDatabase: 2
        default: 1
        }
    }

    // MARK: One server

    /// What one write carries.
    private struct Body {
        let bytes: [UInt8]
        let isCompressed: Bool
        let points: Int
        let id: BatchID
    }

    private func write(_ body: Body, to index: Int, deadline: Instant) async -> DeliveryOutcome {
        if settings.createsDatabase, !hasDatabase.contains(index) {
            // Only a road that does not carry at all is worth stopping for; a refusal is the write's to report.
            if let outcome = await createDatabase(on: index, deadline: deadline), isTransportFailure(outcome) {
                return outcome
            }
        }
        let outcome = await writeOnce(body, to: index, deadline: deadline)
        guard case .createDatabase(let reason) = outcome else { return outcome }
        if let failure = await createDatabase(on: index, deadline: deadline) { return failure }
        let second = await writeOnce(body, to: index, deadline: deadline)
        if case .createDatabase = second {
            return .configuration(reason: "\(reason), though it was created")
        }
        return second
    }

    private func writeOnce(_ body: Body, to index: Int, deadline: Instant) async -> DeliveryOutcome {
        var lines = ["Content-Type: text/plain; charset=utf-8", "X-Godwit-Batch: \(body.id)"]
        if body.isCompressed { lines.append("Content-Encoding: gzip") }
        let result = await post(
            body.bytes, to: endpoints[index].writeURL(settings), lines, index,
            timeout: patience(body.bytes.count, deadline))
        switch result {
        case .failure(let outcome): return outcome
        case .success(let reply):
            timeouts = 0
            if let outcome = Self.cutReply(reply) { return outcome }
            return InfluxDBReply.classify(
                status: reply.status, retryAfter: reply.retryAfter, body: reply.body,
                skipDatabaseCreation: !settings.createsDatabase, points: body.points, now: clock.wall)
        }
    }

    /// nil when the database is there now.
    private func createDatabase(on index: Int, deadline: Instant) async -> DeliveryOutcome? {
        let body = InfluxDBEndpoint.creation(of: settings.database)
        let lines = ["Content-Type: application/x-www-form-urlencoded"]
        let result = await post(body, to: endpoints[index].queryURL, lines, index, timeout: patience(0, deadline))
        switch result {
        case .failure(let outcome): return outcome
        case .success(let reply):
            let outcome = InfluxDBReply.classify(
                status: reply.status, retryAfter: reply.retryAfter, body: reply.body, skipDatabaseCreation: true,
                now: clock.wall)
            switch outcome {
            case .delivered:
                hasDatabase.insert(index)
                return nil
            case .throttled, .server, .ambiguous: return outcome
            default:
                // Not allowed or not offered: asking again with every batch would not change it.
                hasDatabase.insert(index)
                return .configuration(reason: "cannot create the database: \(outcome.reason)")
            }
        }
    }

    private func isTransportFailure(_ outcome: DeliveryOutcome) -> Bool {
        switch outcome {
        case .unavailable, .ambiguous: true
        default: false
        }
    }

    private enum PostResult {
        case success(HTTPReply)
        case failure(DeliveryOutcome)
    }

    private func post(
        _ body: [UInt8], to url: String, _ lines: [String], _ index: Int, timeout: Duration
    ) async -> PostResult {
        guard timeout > .zero else { return .failure(.ambiguous(reason: "deadline passed")) }
        let request: HTTPRequest
        do throws(SecretError) {
            request = HTTPRequest(
                .post(body: body), url: url, headers: lines + headers, credentials: try credentials(index),
                connection: connection(index), timeout: timeout, cancelGrace: settings.cancelGrace)
        } catch {
            return .failure(.configuration(reason: error.description))
        }
        switch await client.perform(request) {
        case .success(var reply):
            if reply.status >= 300 {
                let redaction = EchoRedaction(request.credentials, headers: settings.headers)
                reply.body = redaction.applied(to: reply.body)
            }
            return .success(reply)
        case .failure(let failure):
            if failure.kind == .timeout { timeouts = timeouts.addingSaturated(1) }
            return .failure(failure.outcome)
        }
    }

    /// A 2xx whose body never ends was a yes all the same; anything else that was cut is judged by its status.
    private static func cutReply(_ reply: HTTPReply) -> DeliveryOutcome? {
        guard reply.isTruncated, reply.status < 200 else { return nil }
        return .ambiguous(reason: "reply cut at \(InfluxDBReply.bodyLimit) bytes")
    }

    private func patience(_ bytes: Int, _ deadline: Instant) -> Duration {
        let base = (settings.timeout ?? .seconds(10)) + .seconds(bytes / (64 * 1024))
        let factor = 1 << min(3, timeouts / 3)
        return min(base * factor, deadline - clock.now)
    }

    private func encoded(_ batch: Batch) -> (bytes: [UInt8], isCompressed: Bool)? {
        guard batch.codec == .gzip, settings.encoding == .identity else {
            return (batch.payload, batch.codec == .gzip)
        }
        return PayloadCoding.lines(of: batch).map { ($0, false) }
    }

    private var headers: [String] {
        settings.headers.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    }

    private func credentials(_ index: Int) throws(SecretError) -> HTTPRequest.Credentials {
        let token = try token.current()
        if !token.isEmpty { return .token(token) }
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

/// What became of a `/ping`.
public enum PingAnswer: Sendable {
    case status(Int, isGood: Bool)
    case failure(TransferFailure)
    /// It could not even be asked.
    case secret(SecretError)

    public var outcome: ProbeOutcome {
        switch self {
        case .status(_, true): .good
        case .status(let status, false): .bad(reason: "/ping answered \(status)")
        case .failure(let failure): .bad(reason: failure.description)
        case .secret(let error): .bad(reason: error.description)
        }
    }
}
