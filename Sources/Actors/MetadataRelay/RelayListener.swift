import Glibc
import Logging
import NIOCore
import Pipeline

/// One place where guests ask.
///
/// Owns: the server while `run` runs, and the state that is shown. Started by: the relay's supervisor. Stops: on
/// cancellation, with its connections. An address that cannot be had is a state with a reason, and is tried again: it may
/// come later, as that of a bridge does.
public actor RelayListener {
    public nonisolated let place: RelayPlace
    private let makeServer: @Sendable (ServerTLS?) -> TCPServer
    private let tlsSettings: ServerTLSSettings?
    private let certificates: ServerCertificates
    private var tls: ServerTLS?
    private let clock: any Clock
    private let log: Logger
    private let clients: ClientCount
    private var trouble: String?
    private var since: Instant
    /// Of the last bind; 0 before.
    public private(set) var port = 0

    /// `budget` is what the bodies of all listeners share.
    public init(
        place: RelayPlace, relay: MetadataRelay, config: RelayConfig, budget: BodyBudget,
        certificates: ServerCertificates, loop: MainLoop, log: Logger
    ) {
        self.place = place
        self.log = log
        clock = loop
        since = loop.now
        trouble = "not started"
        tlsSettings = config.listenerTLS
        self.certificates = certificates
        let options = config.values
        var limits = ServerLimits(
            clients: Int(clamping: options.integer("max_connections")), headBytes: 16_384,
            bodyBytes: Int(clamping: options.size("max_body_size")), requestTime: options.duration("read_timeout"),
            stallTime: options.duration("write_timeout"), streamStallTime: options.duration("write_timeout"),
            idleTime: options.duration("idle_timeout"))
        limits.clientsPerAddress = Int(clamping: options.integer("max_connections_per_guest"))
        let namespace = place.namespace
        // An address costs a stranger nothing where networks are large: they must not crowd guests out.
        clients = ClientCount(
            limit: limits.clients, perAddress: limits.clientsPerAddress,
            acquaintance: ClientCount.Acquaintance(strangersLimit: max(1, limits.clients / 8)) {
                relay.knows($0, namespace: namespace)
            })
        var maker: TCPServer.SocketMaker?
        if !namespace.isEmpty { maker = { try await NamespaceSocket.listening(at: $0, in: namespace) } }
        let router = relay.router(namespace: namespace, bodyLimit: limits.bodyBytes, budget: budget)
        makeServer = { [limits, clients, maker] tls in
            TCPServer(
                address: place.address, allowed: [], limits: limits, router: router, eventLoop: loop.eventLoop,
                budget: budget, tls: tls, clients: clients, socket: maker,
                onRefusal: { status, _ in relay.refusedUnseen(status) })
        }
    }

    /// Serves until cancelled; tries again while the address cannot be had.
    public func run() async throws {
        var backoff = Backoff()
        var random = JitterSource()
        while true {
            do {
                if tls == nil { tls = try tlsSettings.map { try certificates.load($0, log: log) } }
                try await makeServer(tls).run { await self.listening($0) }
            } catch {
                try Task.checkCancellation()
                failed((error as? IOError)?.words ?? "\(error)")
            }
            try Task.checkCancellation()
            try await clock.sleep(for: min(.seconds(5), backoff.next(using: &random)))
        }
    }

    private func listening(_ port: Int) {
        self.port = port
        since = clock.now
        trouble = nil
        log.notice("listening for guests", metadata: ["address": "\(place)"])
    }

    private func failed(_ words: String) {
        let text = "cannot listen at \(place): \(words)"
        // Once, not at every try.
        if trouble != text {
            since = clock.now
            log.error("cannot listen", metadata: ["address": "\(place)", "error": "\(words)"])
        }
        trouble = text
    }

    public func status() -> RelayStatus.Listener {
        var status = RelayStatus.Listener(address: place.description)
        status.trouble = trouble
        status.since = max(.zero, clock.now - since)
        status.connections = clients.open
        status.tls = tls?.figures
        return status
    }
}
