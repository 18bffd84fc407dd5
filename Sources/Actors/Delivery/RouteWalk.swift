import Pipeline

/// Walks one server of one route hop by hop: name → route → TCP → TLS → ping → write of a probe point. Ends at the first
/// broken hop, so that nothing is written to somebody who is not the database. Through a tunnel the first hops are those
/// of `TunnelWalk`.
public struct RouteWalk: Sendable {
    private let settings: ServerSettings
    private let url: HTTPURL?
    private let transport: any Transport
    private let clock: any Clock
    private let environment: [String: String]

    /// `settings` are those of the route; its first URL is walked. `transport` is over that URL alone. `environment`:
    /// that of the process, for its proxies.
    public init(
        settings: ServerSettings, transport: any Transport, clock: any Clock, environment: [String: String] = [:]
    ) {
        self.settings = settings
        self.environment = environment
        self.clock = clock
        self.transport = transport
        url = settings.urls.first.flatMap(HTTPURL.init)
    }

    /// The hops up to the first broken one. `probe` is the point to write; nil for none.
    public func hops(probe: Batch?) async -> [RouteHop] {
        // A socket of this machine has neither name nor route.
        var hops = settings.connection.unixSocketPath == nil ? connectionHops() : []
        if let last = hops.last, !last.isPassed { return hops }
        hops += await pingHops()
        if let last = hops.last, !last.isPassed { return hops }
        guard let probe else { return hops }
        let started = clock.now
        let outcome = await transport.send(
            probe, id: BatchID(instance: "route-check", sequence: 1), deadline: started + .seconds(15))
        hops.append(hop(.write, outcome == .delivered, outcome == .delivered ? "stored" : outcome.reason, started))
        return hops
    }

    private func hop(_ kind: RouteHop.Kind, _ isPassed: Bool, _ detail: String, _ started: Instant) -> RouteHop {
        RouteHop(kind, isPassed, detail, since: started, clock)
    }

    /// To the server, or to the proxy for HTTP that alone can walk on.
    private func connectionHops() -> [RouteHop] {
        guard let place = proxy ?? url else { return [] }
        var hops = AddressWalk(clock: clock).hops(to: place.host, port: place.port)
        if proxy != nil, !hops.isEmpty { hops[0].detail = "proxy for HTTP: \(hops[0].detail)" }
        return hops
    }

    /// The proxy for HTTP that libcurl would use: the configured one, else the environment's.
    private var proxy: HTTPURL? {
        guard let url else { return nil }
        let own = settings.connection.proxy
        let text = own ?? EnvironmentProxy.proxy(for: url, environment: environment) ?? ""
        guard !text.isEmpty else { return nil }
        let proxy = text.contains("://") ? text : "http://\(text)"
        // libcurl's port for proxies without one.
        return HTTPURL(proxy).flatMap {
            $0.explicitPort == nil ? HTTPURL("\($0.scheme)://\($0.bracketedHost):1080") : $0
        }
    }

    private func pingHops() async -> [RouteHop] {
        let isTLS = url?.scheme == "https"
        let started = clock.now
        let verified = settings.connection.skipsVerification ? "encrypted, certificate not verified" : "verified"
        let handshake = isTLS ? [hop(.tls, true, verified, started)] : []
        switch await transport.ping(deadline: started + .seconds(10)) {
        case .status(let status, let isGood):
            let wanted = settings.probesStrictly && !isGood ? ", wanted 204: this is not the database" : ""
            return handshake + [hop(.ping, isGood, "status \(status)\(wanted)", started)]
        case .failure(let failure):
            // libcurl counts the handshake as part of connecting, and TCP stands by now.
            let isHandshake = isTLS && failure.kind == .timeout && failure.reason.hasPrefix("Connection timed out")
            let kind = isHandshake ? .tls : RouteWalk.kind(failure.kind)
            return [hop(kind, false, failure.description, started)]
        case .secret(let error): return [hop(.ping, false, error.description, started)]
        case .probed(.good): return handshake + [hop(.ping, true, "answered", started)]
        case .probed(.bad(let reason)):
            // A failure of libcurl begins with its kind.
            let kind = TransferFailure.Kind(rawValue: String(reason.prefix { $0 != ":" })).map(RouteWalk.kind) ?? .ping
            return [hop(kind, false, reason, started)]
        }
    }

    private static func kind(_ failure: TransferFailure.Kind) -> RouteHop.Kind {
        switch failure {
        case .tls: .tls
        case .dns: .name
        case .hardDown: .tcp
        case .timeout, .reset, .invalid, .forbidden, .cancelled: .ping
        }
    }
}
