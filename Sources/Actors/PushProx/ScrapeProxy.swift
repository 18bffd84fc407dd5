import Glibc
import Logging
import NIOCore
import NIOPosix
import Pipeline

/// The scrape proxy: stands beside Prometheus, and gives the scrapes of targets that it cannot reach to the clients that
/// poll for them.
///
/// Owns: its listeners and, on its event loop, the hub with all connections. Receives: polls, pushes and scrapes.
/// Started by: the supervisor. Stops: on cancellation, after a drain: new scrapes are turned away, polls end, what
/// clients have taken may still be pushed for `drainTime`.
/// Refuses: bodies above the limit, names that are none, whoever has no right; each with its reason.
public actor ScrapeProxy {
    private let settings: ScrapeProxySettings
    private let certificates: ServerCertificates
    private let eventLoop: any EventLoop
    private let clock: any Clock
    private let log: Logger
    private var hub: NIOLoopBound<ScrapeHub>?
    /// By where they listen.
    private var tls: [(listener: String, tls: ServerTLS)] = []
    private var channels: [any Channel] = []
    private var trouble: String?

    /// The loop of all connections, made with the first proxy: thousands of them must not hold up the collectors.
    private static let ownLoop = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// Connections are served on `eventLoop`; without one, on a thread of their own.
    public init(
        settings: ScrapeProxySettings, certificates: ServerCertificates, eventLoop: (any EventLoop)? = nil,
        clock: any Clock, log: Logger
    ) {
        self.settings = settings
        self.certificates = certificates
        self.eventLoop = eventLoop ?? ScrapeProxy.ownLoop.next()
        self.clock = clock
        self.log = log
    }

    /// Serves until cancelled. `listening` is called with the ports once clients can come.
    ///
    /// Errors: an address that cannot be had, a certificate that cannot be used; nothing listens then.
    public func run(listening: @Sendable ([Int]) async -> Void) async throws {
        let (settings, loop, log) = (settings, eventLoop, log)
        let hub = try await loop.submit {
            let hub = ScrapeHub(settings, eventLoop: loop, log: log)
            hub.startPruning()
            return NIOLoopBound(hub, eventLoop: loop)
        }.get()
        self.hub = hub
        do {
            for listener in allowed(settings.listeners) { channels.append(try await open(listener, hub)) }
            trouble = nil
        } catch {
            trouble = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
            await end(hub)
            throw error
        }
        await listening(channels.map { $0.localAddress?.port ?? 0 })
        let sleep = Result { try Task.checkCancellation() }
        if case .success = sleep { while (try? await clock.sleep(for: .seconds(3_600))) != nil {} }
        await stop(hub)
    }

    /// Ends it all, once what is under way has ended or its time is over. The ports stay open meanwhile: a push may need a
    /// new connection, and whoever asks after the health shall hear of the stop.
    private func stop(_ hub: NIOLoopBound<ScrapeHub>) async {
        try? await eventLoop.submit { hub.value.drain() }.get()
        let drained = eventLoop.makePromise(of: Void.self)
        ScrapeProxy.watchDrain(
            hub, eventLoop, until: .now() + .nanoseconds(settings.drainTime.wholeNanoseconds), drained)
        // Not by the clock: its sleeps end at once in a cancelled task.
        try? await drained.futureResult.get()
        await end(hub)
    }

    private static func watchDrain(
        _ hub: NIOLoopBound<ScrapeHub>, _ loop: any EventLoop, until end: NIODeadline, _ done: EventLoopPromise<Void>
    ) {
        loop.scheduleTask(in: .milliseconds(50)) {
            guard hub.value.table.openScrapes > 0, NIODeadline.now() < end else { return done.succeed() }
            watchDrain(hub, loop, until: end, done)
        }
    }

    private func end(_ hub: NIOLoopBound<ScrapeHub>) async {
        for channel in channels { try? await channel.close().get() }
        channels = []
        try? await eventLoop.submit { hub.value.closeAll() }.get()
        self.hub = nil
        tls = []
    }

    /// What it has done and what it holds.
    public func figures() async -> ScrapeProxyFigures {
        var figures = ScrapeProxyFigures()
        if let hub { figures = (try? await eventLoop.submit { hub.value.figures() }.get()) ?? figures }
        figures.tls = tls.map { TLSListener($0.listener, $0.tls.figures) }
        figures.listening = settings.listeners.map(\.listen.description)
        figures.trouble = trouble
        return figures
    }

    // MARK: Listening

    /// Descriptors that the rest of the agent needs.
    private static let otherDescriptors = 256

    /// The listeners with as many connections as they ask for, or with their part of the descriptors that may be had.
    ///
    /// Why: without descriptors nothing can be accepted, and nobody turned away, and the whole agent stands.
    private func allowed(_ listeners: [ScrapeListenerSettings]) -> [ScrapeListenerSettings] {
        let wanted = listeners.reduce(0) { $0.addingSaturated($1.connections) }
        let most = OwnProcess.allowDescriptors(wanted.addingSaturated(ScrapeProxy.otherDescriptors))
        let allowed = max(0, most - ScrapeProxy.otherDescriptors)
        guard allowed < wanted else { return listeners }
        log.warning(
            "fewer connections are let in than max_connections: raise LimitNOFILE or ulimit -n",
            metadata: ["descriptors": "\(most)", "max_connections": "\(wanted)"])
        return listeners.map { listener in
            var less = listener
            less.connections = max(1, Int(Double(listener.connections) * Double(allowed) / Double(wanted)))
            return less
        }
    }

    private func open(_ listener: ScrapeListenerSettings, _ hub: NIOLoopBound<ScrapeHub>) async throws -> any Channel {
        var own: ServerTLS?
        if let wanted = listener.tls {
            let made = try certificates.load(wanted, log: log)
            tls.append((listener.listen.description, made))
            own = made
        }
        guard listener.listen.host == nil else {
            return try await bind(listener, hub, own, listener.listen.socketAddress)
        }
        do { return try await bind(listener, hub, own, listener.listen.socketAddress) } catch let failure as IOError {
            // A kernel without IPv6.
            guard failure.isAddressFamily else { throw failure }
            let any = try SocketAddress(ipAddress: "0.0.0.0", port: Int(listener.listen.port))
            return try await bind(listener, hub, own, any)
        }
    }

    private func bind(
        _ listener: ScrapeListenerSettings, _ hub: NIOLoopBound<ScrapeHub>, _ tls: ServerTLS?, _ address: SocketAddress
    ) async throws -> any Channel {
        let rules = ProxyListener(listener)
        let clients = ClientCount(limit: listener.connections)
        // Around a page there are its head and the lines of its chunks; the page itself is judged where it is read,
        // where the limit can be named.
        let around = (settings.bodyLimit / 4).addingSaturated(InnerHead.bytesLimit)
        // Connections wait for each other's requests: what is slow is ended by the deadlines of scrapes.
        let limits = ServerLimits(
            clients: listener.connections, headBytes: InnerHead.bytesLimit,
            bodyBytes: settings.bodyLimit.addingSaturated(around),
            requestTime: .seconds(10), stallTime: .seconds(30), streamStallTime: .seconds(30),
            idleTime: .seconds(120))
        let onRefusal: TCPServer.RefusalListener = { hub.value.refusedUnseen($0, $1) }
        return try await ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 4_096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A peer that is gone without a word is noticed after half a minute, whether it waits or is written to.
            .childChannelOption(.tcpOption(NIOBSDSocket.Option(rawValue: TCP_KEEPIDLE)), value: 15)
            .childChannelOption(.tcpOption(NIOBSDSocket.Option(rawValue: TCP_KEEPINTVL)), value: 5)
            .childChannelOption(.tcpOption(NIOBSDSocket.Option(rawValue: TCP_KEEPCNT)), value: 3)
            .childChannelOption(.tcpOption(NIOBSDSocket.Option(rawValue: TCP_USER_TIMEOUT)), value: 15_000)
            // With FirstRead: a connection that waits holds no buffer larger than its first one.
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 512, initial: 512, maximum: 65_536)
            )
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try ScrapeProxy.admit(channel, rules, clients, limits, tls, onRefusal, hub)
                }
            }
            .bind(to: address).get()
    }

    /// On the event loop, before the connection's first byte.
    private static func admit(
        _ channel: any Channel, _ rules: ProxyListener, _ clients: ClientCount, _ limits: ServerLimits,
        _ tls: ServerTLS?, _ onRefusal: @escaping TCPServer.RefusalListener, _ hub: NIOLoopBound<ScrapeHub>
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandler(FirstRead())
        var slot: TLSHandler.PeerSlot?
        if let tls {
            let handler = TLSHandler(tls, timers: hub.value.timers)
            slot = handler.peer
            try pipeline.addHandler(handler)
        }
        var refusal: String?
        if !rules.settings.allowed.isEmpty,
            !TCPServer.isAllowed(TCPServer.address(channel.remoteAddress), rules.settings.allowed)
        {
            refusal = "403 Forbidden"
        } else if let entry = clients.enter() {
            channel.closeFuture.whenComplete { _ in clients.leave(entry) }
        } else {
            refusal = "503 Service Unavailable"
        }
        let watch = ConnectionGuard(
            limits, refusal: refusal, timers: hub.value.timers, onRefusal: onRefusal)
        try pipeline.addHandler(watch, name: ConnectionGuard.name)
        guard refusal == nil else { return }
        try pipeline.configureHTTPServerPipeline(withPipeliningAssistance: false, withErrorHandling: true)
        try pipeline.addHandler(ProxyHandler(hub.value, rules, tlsPeer: slot, watch))
    }
}
