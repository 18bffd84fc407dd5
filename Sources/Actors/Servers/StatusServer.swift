import Glibc
import Logging
import NIOCore
import Pipeline

/// The status surface: what the agent tells its operator, over HTTP on a unix socket. The pages are listed in
/// `docs/status.md`.
///
/// Started by: the control supervisor, first. Stops: last of all, on cancellation, so that it answers to the end. Its
/// failures never touch the pipeline.
public struct StatusServer: Sendable {
    /// What the pages are made of.
    public struct Sources: Sendable {
        /// May take its time or hang: askers get the last report then.
        public var report: @Sendable () async -> StatusReport
        /// Checks and applies the configuration files.
        public var reload: @Sendable () async -> ReloadVerdict
        /// Live points by name.
        public var taps: @Sendable (Glob) -> AsyncStream<Taps.Line>

        public init(
            report: @escaping @Sendable () async -> StatusReport,
            reload: @escaping @Sendable () async -> ReloadVerdict,
            taps: @escaping @Sendable (Glob) -> AsyncStream<Taps.Line>
        ) {
            self.report = report
            self.reload = reload
            self.taps = taps
        }
    }

    public static let limits = ServerLimits(
        clients: 8, headBytes: 1_024, bodyBytes: 1_024, requestTime: .seconds(1), stallTime: .seconds(1),
        streamStallTime: .seconds(60))

    private let server: UnixSocketServer
    private let desk: ReportDesk

    public init(
        socketPath: String, group: String, limits: ServerLimits = StatusServer.limits, sources: Sources,
        clock: any Clock, eventLoop: any EventLoop,
        credentials: @escaping UnixSocketServer.CredentialReader = { PeerCredentials.read($0) }, log: Logger
    ) {
        desk = ReportDesk(clock: clock, source: sources.report)
        server = UnixSocketServer(
            path: socketPath, access: PeerAccess(ownUID: geteuid(), readGroup: PeerAccess.group(named: group)),
            limits: limits, router: Self.router(desk, sources), eventLoop: eventLoop, credentials: credentials,
            log: log)
    }

    /// Serves until cancelled. Errors: `SocketError` when the socket path cannot be had.
    public func run(_ context: ChildContext) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await desk.run() }
            group.addTask { try await server.run { context.ready() } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private static func router(_ desk: ReportDesk, _ sources: Sources) -> HTTPRouter {
        var router = HTTPRouter()
        router.on("GET", "/status", for: .read) { request in
            await reply(desk) { answer in
                switch request.query["format"] {
                case "text": .text(staleness(answer) + StatusText.page(answer.report))
                case nil, "json": .json(answer.report.json.encoded(indent: true) + [UInt8(ascii: "\n")])
                default: .text("format is text or json\n", status: 400)
                }
            }
        }
        router.on("GET", "/top", for: .read) { request in
            let width = request.query["width"].flatMap { Int($0) } ?? 80
            let height = request.query["height"].flatMap { Int($0) } ?? 24
            return await reply(desk) { .text(LiveView.page($0.report, width: width, height: height)) }
        }
        router.on("GET", "/metrics", for: .read) { _ in
            await reply(desk) { answer in
                ServedReply(
                    status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                    body: .bytes(StatusMetrics.exposition(answer.report)))
            }
        }
        router.on("GET", "/healthz", for: .read) { _ in
            await reply(desk) { answer in
                let health = answer.report.health
                let lines = health.reasons.map { "\($0.state.rawValue): \(Readable.line($0.text))\n" }.joined()
                return .text("\(health.state.rawValue)\n" + lines, status: health.state == .failing ? 503 : 200)
            }
        }
        router.on("GET", "/readyz", for: .read) { _ in
            await reply(desk) { answer in
                guard let reason = answer.report.notReady else { return .text("ready\n") }
                return .text("not ready: \(Readable.line(reason))\n", status: 503)
            }
        }
        router.on("POST", "/reload", for: .control) { request in
            let verdict = await sources.reload()
            let status = verdict.isAccepted ? 200 : 409
            if request.query["format"] == "text" { return .text(verdict.text, status: status) }
            return .json(verdict.json.encoded(indent: true) + [UInt8(ascii: "\n")], status: status)
        }
        router.on("GET", "/tap", for: .control) { tap($0, sources.taps) }
        return router
    }

    private static func reply(_ desk: ReportDesk, _ page: (ReportDesk.Answer) -> ServedReply) async -> ServedReply {
        guard let answer = await desk.answer() else { return .text("no report in time; try again\n", status: 503) }
        var reply = page(answer)
        if answer.age > .zero { reply.headers.append(("Age", String(answer.age.components.seconds))) }
        return reply
    }

    private static func staleness(_ answer: ReportDesk.Answer) -> String {
        answer.age > .zero ? "! no new report in time, this one is \(Readable.duration(answer.age)) old\n" : ""
    }

    private static func tap(
        _ request: ServedRequest, _ taps: @Sendable (Glob) -> AsyncStream<Taps.Line>
    ) -> ServedReply {
        let pattern: Glob
        do { pattern = try Glob(request.query["name"] ?? "*") } catch { return .text("\(error)\n", status: 400) }
        let lines = taps(pattern)
        return ServedReply(
            status: 200, contentType: "text/plain; charset=utf-8",
            body: .stream { writer in
                for await line in lines {
                    if line.lostBefore > 0 {
                        try await writer.write(Array("# \(line.lostBefore) lines dropped\n".utf8))
                    }
                    try await writer.write(line.bytes)
                }
            })
    }
}
