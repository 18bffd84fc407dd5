import NIOCore
import Pipeline

/// Input `influxdb_listener`: takes line protocol over HTTP, as InfluxDB 1 and 2 do.
///
/// Owns the server and what it remembers of series. Sends points through its emitter. Started and stopped as a service
/// input. Promises: a write is answered with 204 when the batcher has its points (with `acknowledge = "spilled"` when
/// they are on disk), never before; what is not taken gets 400, 401, 413 or 503 with the reason.
/// Bounds: connections, request time, body before and after inflating, bytes of all bodies together, points on their way.
public actor InfluxDBListener: ServiceInput {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "influxdb_listener", summary: "Takes writes of applications over the HTTP interface of InfluxDB.",
            options: [
                OptionSpec(
                    "service_address", .string("127.0.0.1:8186"),
                    "Address to listen at; :8186 means all of the machine."),
                OptionSpec(
                    "read_timeout", .duration(.seconds(10)), "How long a request may take to arrive.",
                    bounds: 0.1...3_600),
                OptionSpec(
                    "write_timeout", .duration(.seconds(10)),
                    "How long a write may wait for the batcher, and its reply for the client.",
                    bounds: 0.1...3_600),
                OptionSpec(
                    "max_body_size", .size(0), "Largest body, as sent and inflated; 0 means 32MiB.",
                    bounds: 0...268_435_456
                ),
                OptionSpec("max_connections", .integer(64), "Connections at the same time.", bounds: 1...4_096),
                OptionSpec(
                    "acknowledge", .string("batched"),
                    "When a write is answered: its points are in a batch, or on disk.",
                    choices: ["batched", "spilled"]),
                OptionSpec("database_tag", .string(""), "Tag for the parameter db, which replaces one of the data."),
                OptionSpec("retention_policy_tag", .string(""), "Tag for the parameter rp."),
                OptionSpec("bucket_tag", .string(""), "Tag for the parameter bucket of /api/v2/write."),
                OptionSpec("basic_username", .string(""), "User that writes must name; empty: none."),
                OptionSpec("basic_password", .secret(.none), "Password of that user."),
                OptionSpec("basic_password_file", .string(""), "File that holds the password."),
                OptionSpec("token", .secret(.none), "Token that writes must show; empty: none."),
                OptionSpec("token_file", .string(""), "File that holds the token."),
                OptionSpec("max_line_size", .size(0), "Longest line.", ignoredBecause: "lines are bounded by 1MiB"),
                OptionSpec(
                    "parser_type", .string(""), "Which of Telegraf's parsers.", ignoredBecause: "there is one parser"),
            ] + ServerTLSSettings.options,
            metrics: [MetricSpec("*", fields: [MetricSpec.Field("*", .float, .none, "what applications write")])],
            isService: true)
    }

    private let address: ListenAddress
    private let environment: InputEnvironment
    private let bodyLimit: Int
    private let connections: Int
    private let readTime: Duration
    private let writeTime: Duration
    private let isSealing: Bool
    private let tagNames: (database: String, retentionPolicy: String, bucket: String)
    private let access: ListenerAccess
    private let budget: BodyBudget
    private let tls: ServerTLS?
    /// By the tags that a write's parameters give.
    private var parsers: [[Tag]: LineProtocolParser] = [:]
    private static let parsersLimit = 64

    /// Errors: an address that is none, a secret or a certificate that cannot be read.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        let text = options.string("service_address")
        guard let address = ListenAddress(text) else {
            throw CollectorError(
                "influxdb_listener: service_address \"\(text)\" is no IP address with a port",
                option: "service_address")
        }
        self.address = address
        self.environment = environment
        let size = Int(clamping: options.size("max_body_size"))
        bodyLimit = size > 0 ? size : 32 << 20
        connections = Int(clamping: options.integer("max_connections"))
        readTime = options.duration("read_timeout")
        writeTime = options.duration("write_timeout")
        isSealing = options.string("acknowledge") == "spilled"
        tagNames = (
            options.string("database_tag"), options.string("retention_policy_tag"), options.string("bucket_tag")
        )
        access = try ListenerAccess(options)
        budget = BodyBudget(bytes: bodyLimit.multipliedSaturated(by: 2))
        tls = try ServerTLSSettings(options).map { try environment.certificates.load($0, log: environment.log) }
    }

    public func serve(_ emitter: any SampleEmitter) async throws {
        guard let eventLoop = environment.eventLoop else {
            throw CollectorError("influxdb_listener needs a running agent")
        }
        var limits = ServerLimits(
            clients: connections, headBytes: 16_384, bodyBytes: bodyLimit, requestTime: readTime,
            stallTime: writeTime, streamStallTime: writeTime)
        limits.idleTime = .seconds(120)
        let server = TCPServer(
            address: address, allowed: [], limits: limits, router: router(emitter), eventLoop: eventLoop,
            budget: budget, tls: tls)
        try await server.run { _ in }
    }

    private func router(_ emitter: any SampleEmitter) -> HTTPRouter {
        var router = HTTPRouter()
        let access = access
        router.gate = { access.refusal($0) }
        router.on("POST", "/write", for: .read) { await self.write($0, bucket: false, emitter) }
        router.on("POST", "/api/v2/write", for: .read) { await self.write($0, bucket: true, emitter) }
        for path in ["/ping", "/health"] {
            router.on("GET", path, for: .read) { _ in InfluxDBReplies.empty }
        }
        for method in ["GET", "POST"] {
            router.on(method, "/query", for: .read) { _ in .json(Array("{\"results\":[]}\n".utf8)) }
        }
        return router
    }

    // MARK: Writes

    private func write(_ request: ServedRequest, bucket: Bool, _ emitter: any SampleEmitter) async -> ServedReply {
        let deadline = environment.clock.now + writeTime
        guard let precision = TimePrecision(parameter: request.query["precision"] ?? "") else {
            return InfluxDBReplies.refused(400, "invalid precision: use ns, u, ms, s, m or h")
        }
        var body = request.body
        var charged = 0
        defer { budget.release(charged) }
        switch request.header("content-encoding")?.lowercased() {
        case nil, "", "identity": break
        case "gzip", "x-gzip":
            do throws(Gzip.Failure) { body = try Gzip.inflate(request.body, limit: bodyLimit) } catch {
                return error == .tooLarge
                    ? InfluxDBReplies.refused(413, "the body inflates to more than \(bodyLimit) bytes")
                    : InfluxDBReplies.refused(400, "the body is no gzip")
            }
            // What was sent is charged by the connection.
            guard budget.charge(body.count) else { return InfluxDBReplies.busy("other writes take all the memory") }
            charged = body.count
        default: return InfluxDBReplies.refused(415, "content encodings are identity and gzip")
        }
        return await take(body, tags(request.query, bucket: bucket), precision, emitter, until: deadline)
    }

    private func tags(_ query: [String: String], bucket: Bool) -> [Tag] {
        let named =
            bucket
            ? [(tagNames.bucket, query["bucket"])]
            : [(tagNames.database, query["db"]), (tagNames.retentionPolicy, query["rp"])]
        return named.compactMap { name, value in
            guard !name.isEmpty, let value, !value.isEmpty else { return nil }
            return Tag(name, value)
        }
    }

    /// Parses and hands over piece by piece, so that the memory of points does not grow with the body.
    private func take(
        _ body: [UInt8], _ tags: [Tag], _ precision: TimePrecision, _ emitter: any SampleEmitter,
        until deadline: Instant
    ) async -> ServedReply {
        var position = LineProtocolParser.Position()
        var issues = LineIssues()
        var taken = 0
        let wall = environment.clock.wall.nanoseconds
        let now = Timestamp(nanoseconds: wall - wall % precision.factor)
        var isMore = true
        while isMore {
            var samples = SampleSet()
            isMore = emitter.attributed {
                parse(body, &position, now, precision, tags, into: &samples, &issues)
            }
            guard !samples.isEmpty else { continue }
            let handover = await emitter.emit(samples, sealing: isSealing && !isMore, until: deadline)
            guard handover == .taken else {
                let reason = handover == .busy ? "too many writes wait" : "the batcher did not answer in time"
                return InfluxDBReplies.busy("\(reason); \(taken) points before were taken")
            }
            taken += samples.rows.count
        }
        guard issues.count > 0 else { return InfluxDBReplies.empty }
        await emitter.report(issues.texts)
        let kind = taken > 0 ? "partial write: " : "unable to parse: "
        return InfluxDBReplies.refused(
            400, kind + issues.texts.joined(separator: "; ") + "; \(taken) points were taken")
    }

    /// Without an await: the parser is out of its place meanwhile.
    private func parse(
        _ body: [UInt8], _ position: inout LineProtocolParser.Position, _ now: Timestamp, _ precision: TimePrecision,
        _ tags: [Tag], into samples: inout SampleSet, _ issues: inout LineIssues
    ) -> Bool {
        if parsers[tags] == nil {
            if parsers.count >= InfluxDBListener.parsersLimit { parsers.removeAll() }
            parsers[tags] = LineProtocolParser(extraTags: tags)
        }
        return body.withUnsafeBufferPointer { bytes in
            parsers[tags]?.parse(
                bytes, from: &position, at: now, precision: precision, into: &samples, &issues) ?? false
        }
    }
}

/// The replies of a database, as clients of InfluxDB read them.
enum InfluxDBReplies {
    static let empty = ServedReply(
        status: 204, contentType: "application/json", headers: [("X-Influxdb-Version", "1.0")], body: .bytes([]))

    /// The reason stands in a header and in the body, as InfluxDB has it.
    static func refused(_ status: Int, _ reason: String) -> ServedReply {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("error", .string(reason))
        writer.endObject()
        return ServedReply(
            status: status, contentType: "application/json",
            headers: [("X-Influxdb-Version", "1.0"), ("X-Influxdb-Error", reason)],
            body: .bytes(writer.bytes + [UInt8(ascii: "\n")]))
    }

    static func busy(_ reason: String) -> ServedReply {
        var reply = refused(503, reason)
        reply.headers.append(("Retry-After", "1"))
        return reply
    }
}
