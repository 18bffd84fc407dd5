import Glibc
import Logging
import NIOCore
import Pipeline

/// What `[[outputs.prometheus_client]]` says about its server.
public struct ExpositionSettings: Sendable {
    public var listen: ListenAddress
    public var path = "/metrics"
    public var table = ExpositionTable.Settings()
    /// Adds what the agent costs its host.
    public var showsProcess = true
    /// Empty: everybody may ask.
    public var username = ""
    public var password = SecretSource.none
    /// What a scraper may show instead.
    public var token = SecretSource.none
    public var allowed: [AddressRange] = []
    /// nil: without TLS.
    public var tls: ServerTLSSettings?
    public var headers: [String: String] = [:]
    public var limits = ServerLimits(
        clients: 16, headBytes: 16 * 1_024, bodyBytes: 1_024, requestTime: .seconds(10), stallTime: .seconds(10),
        streamStallTime: .seconds(10))

    public init(listen: ListenAddress) { self.listen = listen }
}

/// The newest value of each series on a page that Prometheus fetches.
///
/// Runs on the disk loop: a page of many series takes its time, and the collectors' ticks must not wait for it.
/// Owns: the table of values, and the server while `run` runs. Receives: `send` with batches, requests for the page.
/// Started by: the router. Stops: on cancellation; the table stays until the output goes.
/// Promise: a batch is acknowledged when its values are on the page. While the port cannot be had nobody can ask, so
/// batches stay pending; what is older than the expiration by then is acknowledged without being shown.
public actor ExpositionTransport: Transport {
    private nonisolated let worker: WorkLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { worker.asUnownedSerialExecutor() }

    private let settings: ExpositionSettings
    private let clock: any Clock
    private let loop: MainLoop
    private let log: Logger
    private let certificates: ServerCertificates
    private let notes: NotesBoard
    private var table: ExpositionTable
    private var parser = LineProtocolParser(takesSpecials: true)
    private var password: SecretReader
    private var token: SecretReader
    /// Why the port cannot be had.
    private var trouble: String?
    /// Of the last bind; 0 before.
    public private(set) var port = 0

    /// Connections are served on `loop`, the table is kept on `worker`.
    public init(
        settings: ExpositionSettings, worker: WorkLoop, loop: MainLoop,
        certificates: ServerCertificates = ServerCertificates(), notes: NotesBoard = NotesBoard(), log: Logger
    ) {
        self.worker = worker
        self.settings = settings
        self.loop = loop
        clock = loop
        self.certificates = certificates
        self.notes = notes
        self.log = log
        table = ExpositionTable(settings: settings.table, inputs: InputRegistry.all.map(\.spec))
        password = SecretReader(settings.password)
        token = SecretReader(settings.token)
    }

    // MARK: Batches

    public func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome {
        if let trouble { return .unavailable(reason: trouble) }
        if table.isHistory(batch.newest, wall: clock.wall) { return .delivered }
        guard let lines = PayloadCoding.lines(of: batch) else {
            return .data(reason: "payload cannot be decompressed", isExplained: true)
        }
        table.notes = notes.current
        var issues = LineIssues()
        let refused = add(lines, &issues)
        let reasons = [
            refused > 0 ? "the page holds max_series (\(settings.table.seriesLimit)) series" : nil,
            issues.named.first?.description,
        ]
        guard refused + issues.count > 0 else { return .delivered }
        return .partial(rejected: refused + issues.count, reason: reasons.compactMap { $0 }.joined(separator: "; "))
    }

    private func add(_ lines: [UInt8], _ issues: inout LineIssues) -> Int {
        let (now, wall) = (clock.now, clock.wall)
        var refused = 0
        var position = LineProtocolParser.Position()
        lines.withUnsafeBufferPointer { bytes in
            var isMore = true
            while isMore {
                var samples = SampleSet()
                isMore = parser.parse(bytes, from: &position, at: wall, into: &samples, &issues)
                refused += table.add(samples, now: now)
            }
        }
        return refused
    }

    public func probe(deadline: Instant) async -> ProbeOutcome {
        trouble.map { .bad(reason: $0) } ?? .good
    }

    // MARK: The server

    /// Serves the page until cancelled; tries again while the port cannot be had.
    public func run() async throws {
        try await withTaskExecutorPreference(loop) {
            var backoff = Backoff()
            var random = JitterSource()
            while true {
                do {
                    try await server(loadCertificates()).run { await self.listening($0) }
                } catch {
                    try Task.checkCancellation()
                    failed(error)
                }
                try Task.checkCancellation()
                try await clock.sleep(for: min(.seconds(5), backoff.next(using: &random)))
            }
        }
    }

    /// Errors: a file of the certificate that cannot be used.
    private nonisolated func loadCertificates() throws(ServerTLSError) -> ServerTLS? {
        guard let tls = settings.tls else { return nil }
        return try certificates.load(tls, log: log)
    }

    private nonisolated func server(_ tls: ServerTLS?) -> TCPServer {
        var router = HTTPRouter()
        router.on("GET", settings.path, for: .read) { await self.page(for: $0) }
        if settings.path != "/" {
            let path = settings.path
            router.on("GET", "/", for: .read) { _ in ExpositionTransport.landing(path) }
        }
        return TCPServer(
            address: settings.listen, allowed: settings.allowed, limits: settings.limits, router: router,
            eventLoop: loop.eventLoop, tls: tls)
    }

    private func listening(_ port: Int) {
        self.port = port
        if trouble != nil { log.notice("listening again", metadata: ["address": "\(settings.listen)"]) }
        trouble = nil
    }

    private func failed(_ error: any Error) {
        let words = (error as? IOError)?.words ?? "\(error)"
        trouble = "cannot listen on \(settings.listen): \(words)"
        log.error("cannot listen", metadata: ["address": "\(settings.listen)", "error": "\(words)"])
    }

    /// What people see who come without a path.
    private static func landing(_ path: String) -> ServedReply {
        var link = ""
        for scalar in path.unicodeScalars {
            switch scalar {
            case "&": link += "&amp;"
            case "<": link += "&lt;"
            case "\"": link += "&quot;"
            default: link.unicodeScalars.append(scalar)
            }
        }
        let page = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>Godwit</title></head>
            <body><h1>Godwit</h1><p><a href="\(link)">Metrics</a></p></body></html>

            """
        return ServedReply(
            status: 200, contentType: "text/html; charset=utf-8", body: .bytes(Array(page.utf8)))
    }

    /// The page as it is now.
    func text(_ format: ExpositionFormat = .text) -> PrometheusText {
        table.notes = notes.current
        var text = table.page(now: clock.now, format: format)
        if settings.table.names == .nodeExporter { NodeIdentity.add(to: &text, table, at: clock.wall) }
        ExpositionTransport.addOwn(to: &text, table, process: settings.showsProcess ? OwnProcess.read() : nil)
        text.finish()
        return text
    }

    private func page(for request: ServedRequest) -> ServedReply {
        do throws(SecretError) {
            guard try isKnown(request) else {
                var reply = ServedReply.text("unauthorized\n", status: 401)
                reply.headers = [
                    ("WWW-Authenticate", "\(settings.token == .none ? "Basic" : "Bearer") realm=\"godwit\"")
                ]
                return reply
            }
        } catch {
            log.error("page refused", metadata: ["error": "\(error)"])
            return .text("the password of this page cannot be read\n", status: 503)
        }
        var headers = settings.headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        let format = ExpositionAccept.format(request.header("accept"))
        var bytes = text(format).bytes
        headers.append(("Vary", "Accept, Accept-Encoding"))
        if bytes.count > 1_024 {
            if ExpositionAccept.takesGzip(request.header("accept-encoding")),
                let packed = GzipCompressor().compress(bytes)
            {
                headers.append(("Content-Encoding", "gzip"))
                bytes = packed
            }
        }
        return ServedReply(
            status: 200, contentType: format.contentType, headers: headers, body: .bytes(bytes))
    }

    /// Whether the request carries the configured name and password, or the token; true when neither is configured.
    private func isKnown(_ request: ServedRequest) throws(SecretError) -> Bool {
        guard !settings.username.isEmpty || settings.token != .none else { return true }
        let parts = (request.header("authorization") ?? "").split(separator: " ", maxSplits: 1)
        guard parts.count == 2 else { return false }
        switch parts[0].lowercased() {
        case "basic" where !settings.username.isEmpty:
            let expected = Base64.basicCredentials(user: settings.username, password: try password.current())
            return ConstantTime.equal(String(parts[1]), String(decoding: expected, as: UTF8.self))
        case "bearer" where settings.token != .none:
            let expected = try token.current()
            return !expected.isEmpty && ConstantTime.equal(String(parts[1]), expected.revealed)
        default: return false
        }
    }

    /// What the page says of itself and of the agent, but for what a scraped page says under the same name.
    private static func addOwn(to text: inout PrometheusText, _ table: ExpositionTable, process: OwnProcess?) {
        func add(_ name: String, _ kind: PrometheusText.Kind, _ help: String, _ value: Double) {
            if !table.has(name), !text.has(name) { text.single(name, kind, help, value) }
        }
        add("godwit_exposition_series", .gauge, "Samples on this page besides these.", Double(table.count))
        add(
            "godwit_exposition_refused_points_total", .counter, "Points that found no room on this page.",
            Double(table.refusedPoints))
        add(
            "godwit_exposition_expired_samples_total", .counter, "Samples that left this page for their age.",
            Double(table.expiredSamples))
        guard let process else { return }
        add("process_cpu_seconds_total", .counter, "CPU time of the agent.", process.cpuSeconds)
        add("process_resident_memory_bytes", .gauge, "Resident memory of the agent.", Double(process.residentBytes))
        add("process_open_fds", .gauge, "Open descriptors of the agent.", Double(process.openDescriptors))
    }
}

extension IOError {
    /// The kernel's words alone.
    var words: String { String(cString: strerror(errnoCode)) }
    /// Whether the machine lacks this kind of address.
    var isAddressFamily: Bool { errnoCode == EAFNOSUPPORT || errnoCode == EADDRNOTAVAIL }
}
