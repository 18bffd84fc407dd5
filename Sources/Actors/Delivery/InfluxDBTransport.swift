import Pipeline

/// Writes batches to InfluxDB 1.x or 2.x, or to anything that speaks `/write` or `/api/v2/write`.
///
/// Owns: its servers' state, and whether the database was created. Receives: `send`, `probe`.
/// Sends: HTTP requests to its client. It has no task of its own and nothing to stop.
public actor InfluxDBTransport: Transport {
    private let settings: InfluxDBSettings
    private let servers: ServerClient
    /// Servers on which the database was created or must not be.
    private var hasDatabase: Set<Int> = []

    public init(
        settings: InfluxDBSettings, client: any HTTPClient, clock: any Clock, random: JitterSource = JitterSource()
    ) {
        self.settings = settings
        servers = ServerClient(settings: settings.server, client: client, clock: clock, random: random)
    }

    public func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome {
        guard let (bytes, isCompressed) = encoded(batch) else {
            return .data(reason: "payload cannot be decompressed", isExplained: true)
        }
        return await write(
            LineWrite(bytes: bytes, isCompressed: isCompressed, points: batch.pointCount, id: id), deadline: deadline)
    }

    /// Sends lines to the first server that decides about them.
    public func write(_ body: LineWrite, deadline: Instant) async -> DeliveryOutcome {
        guard !servers.endpoints.isEmpty else { return .configuration(reason: "no usable URL") }
        var worst: DeliveryOutcome?
        for index in servers.order {
            let outcome = await write(body, to: index, deadline: deadline)
            if servers.isSettled(outcome, by: index, &worst) { return outcome }
            if Task.isCancelled || servers.clock.now >= deadline { break }
        }
        return worst ?? .unavailable(reason: "no server tried")
    }

    /// Asks each server for `/ping` until one answers well.
    public func probe(deadline: Instant) async -> ProbeOutcome {
        var outcome = ProbeOutcome.bad(reason: "no usable URL")
        for index in servers.order {
            outcome = await ping(index, deadline).outcome
            if outcome.isGood || Task.isCancelled { break }
        }
        return outcome
    }

    /// What the first server says to `/ping`, for those who want to know more than good or bad.
    public func ping(deadline: Instant) async -> PingAnswer {
        servers.endpoints.isEmpty ? .secret(SecretError(description: "no usable URL")) : await ping(0, deadline)
    }

    private func ping(_ index: Int, _ deadline: Instant) async -> PingAnswer {
        do throws(SecretError) {
            switch try await servers.get(servers.endpoints[index].pingURL, index, deadline: deadline) {
            case .success(let reply): return .status(reply.status, isGood: isGood(reply.status))
            case .failure(let failure): return .failure(failure)
            }
        } catch {
            return .secret(error)
        }
    }

    public func secretState() async -> SecretState { servers.secretState }

    /// Where nobody else can answer, any answer that proves an HTTP server is good, and the batch that follows decides: a
    /// reverse proxy may well let through `/write` alone.
    private func isGood(_ status: Int) -> Bool {
        if settings.server.probesStrictly { return status == 204 }
        return (200..<300).contains(status) || [401, 403, 404, 405].contains(status)
    }

    // MARK: One server

    private func write(_ body: LineWrite, to index: Int, deadline: Instant) async -> DeliveryOutcome {
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

    private func writeOnce(_ body: LineWrite, to index: Int, deadline: Instant) async -> DeliveryOutcome {
        var lines = ["Content-Type: text/plain; charset=utf-8"]
        if let id = body.id { lines.append("X-Godwit-Batch: \(id)") }
        if body.isCompressed { lines.append("Content-Encoding: gzip") }
        let url = servers.endpoints[index].writeURL(settings, body)
        switch await servers.post(body.bytes, to: url, lines, index, deadline: deadline) {
        case .failure(let outcome): return outcome
        case .reply(let reply):
            if let outcome = reply.cutOutcome { return outcome }
            return InfluxDBReply.classify(
                status: reply.status, retryAfter: reply.retryAfter, body: reply.body,
                skipDatabaseCreation: !settings.createsDatabase, points: body.points, now: servers.clock.wall)
        }
    }

    /// nil when the database is there now.
    private func createDatabase(on index: Int, deadline: Instant) async -> DeliveryOutcome? {
        let body = ServerEndpoint.creation(of: settings.database)
        let lines = ["Content-Type: application/x-www-form-urlencoded"]
        switch await servers.post(body, to: servers.endpoints[index].queryURL, lines, index, deadline: deadline) {
        case .failure(let outcome): return outcome
        case .reply(let reply):
            let outcome = InfluxDBReply.classify(
                status: reply.status, retryAfter: reply.retryAfter, body: reply.body, skipDatabaseCreation: true,
                now: servers.clock.wall)
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

    private func encoded(_ batch: Batch) -> (bytes: [UInt8], isCompressed: Bool)? {
        guard batch.codec == .gzip, settings.encoding == .identity else {
            return (batch.payload, batch.codec == .gzip)
        }
        return PayloadCoding.lines(of: batch).map { ($0, false) }
    }
}

/// Lines for one write.
public struct LineWrite: Sendable {
    public var bytes: [UInt8]
    public var isCompressed: Bool
    public var points: Int
    /// By which a proxy can recognise a repetition; nil where nobody would repeat it.
    public var id: BatchID?
    /// Instead of what the settings say, where they are not empty.
    public var retentionPolicy = ""
    public var consistency = ""
    public var precision = ""

    public init(bytes: [UInt8], isCompressed: Bool, points: Int, id: BatchID? = nil) {
        self.bytes = bytes
        self.isCompressed = isCompressed
        self.points = points
        self.id = id
    }
}

/// What became of a `/ping`.
public enum PingAnswer: Sendable {
    case status(Int, isGood: Bool)
    case failure(TransferFailure)
    /// It could not even be asked.
    case secret(SecretError)
    /// All that is known of a server that has no `/ping`.
    case probed(ProbeOutcome)

    public var outcome: ProbeOutcome {
        switch self {
        case .status(_, true): .good
        case .status(let status, false): .bad(reason: "/ping answered \(status)")
        case .failure(let failure): .bad(reason: failure.description)
        case .secret(let error): .bad(reason: error.description)
        case .probed(let outcome): outcome
        }
    }
}
