import Pipeline

/// What `[[outputs.prometheus_remote_write]]` says about the destination.
public struct RemoteWriteSettings: Sendable, Hashable {
    public var server: ServerSettings
    public var version: RemoteWriteEncoder.Version
    /// How often kind, help text and unit of a metric are sent along; zero: never.
    public var metadataInterval: Duration

    public init(
        server: ServerSettings, version: RemoteWriteEncoder.Version = .first, metadataInterval: Duration = .zero
    ) {
        self.server = server
        self.version = version
        self.metadataInterval = metadataInterval
    }
}

/// Writes batches to Prometheus, Mimir, Thanos or VictoriaMetrics by remote write 1.0 or 2.0.
///
/// A batch lies in the spill as line protocol, like that of every output, and is turned into the message each time it is
/// sent: the same points give the same series. What is known of their metrics goes along now and then.
/// Runs on the disk loop: a message of many series takes its time, and the collectors' ticks must not wait for it.
/// Owns: its servers' state, and what the encoder remembers of names. Receives: `send`, `probe`. Sends: HTTP requests to
/// its client. It has no task of its own and nothing to stop.
public actor RemoteWriteTransport: Transport {
    private nonisolated let worker: WorkLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    private let settings: RemoteWriteSettings
    private let servers: ServerClient
    private var parser = LineProtocolParser(takesSpecials: true)
    private var encoder: RemoteWriteEncoder
    private var snappy = SnappyCompressor()
    private let notes: NotesBoard

    /// `notes` is what inputs know of scraped metrics.
    public init(
        settings: RemoteWriteSettings, client: any HTTPClient, worker: WorkLoop, clock: any Clock,
        random: JitterSource = JitterSource(), notes: NotesBoard = NotesBoard()
    ) {
        self.settings = settings
        self.notes = notes
        self.worker = worker
        servers = ServerClient(settings: settings.server, client: client, clock: clock, random: random)
        encoder = RemoteWriteEncoder(
            version: settings.version,
            declared: MetricNotes(declared: InputRegistry.all.map(\.spec), version: .second),
            metadataInterval: settings.metadataInterval)
    }

    public func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome {
        guard !servers.endpoints.isEmpty else { return .configuration(reason: "no usable URL") }
        guard let lines = PayloadCoding.lines(of: batch) else {
            return .data(reason: "payload cannot be decompressed", isExplained: true)
        }
        var issues = LineIssues()
        encoder.notes = notes.current
        let request = encode(lines, &issues)
        let body = snappy.compress(request.message)
        var worst: DeliveryOutcome?
        for index in servers.order where request.samples > 0 {
            let outcome = await write(body, batch.pointCount, request.samples, id, to: index, deadline: deadline)
            if case .delivered = outcome { encoder.confirm(request, now: servers.clock.now) }
            if servers.isSettled(outcome, by: index, &worst) { return outcome.rejecting(issues) }
            if Task.isCancelled || servers.clock.now >= deadline { break }
        }
        guard request.samples > 0 else { return DeliveryOutcome.delivered.rejecting(issues) }
        return worst ?? .unavailable(reason: "no server tried")
    }

    /// Writes a message without samples: what takes that takes samples too.
    public func probe(deadline: Instant) async -> ProbeOutcome {
        var outcome = ProbeOutcome.bad(reason: "no usable URL")
        let empty = snappy.compress([])
        let deadline = min(deadline, servers.clock.now + .seconds(3))
        for index in servers.order {
            switch await post(empty, to: index, ["X-Godwit-Probe: 1"], deadline: deadline) {
            case .failure(let failure): outcome = .bad(reason: failure.reason)
            case .reply(let reply): outcome = judge(reply)
            }
            if outcome.isGood || Task.isCancelled { break }
        }
        return outcome
    }

    /// On a road where somebody else may answer, only a yes counts; otherwise the batch that follows decides.
    private func judge(_ reply: HTTPReply) -> ProbeOutcome {
        let isYes = (200..<300).contains(reply.status)
        let isServer = reply.status < 500 && !settings.server.probesStrictly
        return isYes || isServer ? .good : .bad(reason: "an empty message was answered \(reply.status)")
    }

    public func secretState() async -> SecretState { servers.secretState }

    // MARK: One server

    private func write(
        _ body: [UInt8], _ points: Int, _ samples: Int, _ id: BatchID, to index: Int, deadline: Instant
    ) async -> DeliveryOutcome {
        switch await post(body, to: index, ["X-Godwit-Batch: \(id)"], deadline: deadline) {
        case .failure(let outcome): return outcome
        case .reply(let reply):
            if let outcome = reply.cutOutcome { return outcome }
            return RemoteWriteReply.classify(
                status: reply.status, retryAfter: reply.retryAfter, body: reply.body, version: settings.version,
                written: reply.headers[RemoteWriteReply.writtenHeader], points: points, samples: samples,
                now: servers.clock.wall)
        }
    }

    private func post(
        _ body: [UInt8], to index: Int, _ lines: [String], deadline: Instant
    ) async -> ServerClient.Answer {
        await servers.post(
            body, to: servers.endpoints[index].url.withoutUser, settings.version.headers + lines, index,
            deadline: deadline,
            wants: [RemoteWriteReply.writtenHeader])
    }

    private func encode(_ lines: [UInt8], _ issues: inout LineIssues) -> RemoteWriteEncoder.Request {
        var position = LineProtocolParser.Position()
        let wall = servers.clock.wall
        lines.withUnsafeBufferPointer { bytes in
            var isMore = true
            while isMore {
                var samples = SampleSet()
                isMore = parser.parse(bytes, from: &position, at: wall, into: &samples, &issues)
                encoder.add(samples)
            }
        }
        return encoder.finish(now: servers.clock.now)
    }
}

extension RemoteWriteEncoder.Version {
    /// Source: "Required request headers" of both specifications.
    fileprivate var headers: [String] {
        let type =
            self == .first ? "application/x-protobuf" : "application/x-protobuf;proto=io.prometheus.write.v2.Request"
        return [
            "Content-Type: \(type)", "Content-Encoding: snappy",
            "X-Prometheus-Remote-Write-Version: \(self == .first ? "0.1.0" : "2.0.0")",
        ]
    }
}

extension DeliveryOutcome {
    /// With the lines that could not be read counted as refused.
    fileprivate func rejecting(_ issues: LineIssues) -> DeliveryOutcome {
        guard issues.count > 0, let first = issues.named.first else { return self }
        switch self {
        case .delivered: return .partial(rejected: issues.count, reason: first.description)
        case .partial(let rejected, let reason): return .partial(rejected: rejected + issues.count, reason: reason)
        default: return self
        }
    }
}
