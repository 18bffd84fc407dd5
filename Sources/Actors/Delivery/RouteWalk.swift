import Pipeline

/// One step of a road, and how it went.
public struct RouteHop: Sendable, Hashable {
    /// Raw values are public names.
    public enum Kind: String, Sendable, Hashable {
        case name, route, tcp, tls, ping, write
    }

    public var kind: Kind
    public var isPassed: Bool
    /// What was found, or why it is broken; free of secrets.
    public var detail: String
    public var elapsed: Duration
}

/// Walks one server of one route hop by hop: name → route → TCP → TLS → ping → write of a probe point. Ends at the first
/// broken hop, so that nothing is written to somebody who is not the database.
public struct RouteWalk: Sendable {
    private let settings: InfluxDBSettings
    private let url: HTTPURL?
    private let transport: InfluxDBTransport
    private let clock: any Clock

    /// `settings` are those of the route; its first URL is walked.
    public init(settings: InfluxDBSettings, client: any HTTPClient, clock: any Clock) {
        self.settings = settings
        self.clock = clock
        url = settings.server.urls.first.flatMap(HTTPURL.init)
        transport = InfluxDBTransport(settings: settings, client: client, clock: clock)
    }

    /// The hops up to the first broken one. `probe` is the point to write; nil for none.
    public func hops(probe: Batch?) async -> [RouteHop] {
        var hops = isThroughProxy ? [] : connectionHops()
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
        RouteHop(kind: kind, isPassed: isPassed, detail: detail, elapsed: clock.now - started)
    }

    /// With a proxy for HTTP the first hops are the proxy's, and only it can walk the others.
    private var isThroughProxy: Bool { settings.server.connection.proxy.map { !$0.isEmpty } ?? false }

    private func connectionHops() -> [RouteHop] {
        guard let url else { return [] }
        var hops: [RouteHop] = []
        var started = clock.now
        let addresses: [NetworkPath.Address]
        do throws(NetworkPath.Failure) {
            addresses = try NetworkPath.addresses(of: url.host, port: url.port)
        } catch {
            return [hop(.name, false, "\(url.host): \(error.reason)", started)]
        }
        hops.append(hop(.name, true, addresses.map(\.text).joined(separator: ", "), started))
        // As libcurl does: one address after the other, until one takes the connection.
        var failed: [RouteHop] = []
        for address in addresses {
            started = clock.now
            do throws(NetworkPath.Failure) {
                let source = try NetworkPath.source(to: address)
                failed.append(hop(.route, true, "from \(source)", started))
            } catch {
                failed.append(hop(.route, false, "\(address.text): \(error.reason)", started))
                continue
            }
            started = clock.now
            do throws(NetworkPath.Failure) {
                try NetworkPath.connectOnce(to: address)
                return hops + failed.suffix(1) + [hop(.tcp, true, "\(address.text) port \(url.port)", started)]
            } catch {
                failed.append(hop(.tcp, false, "\(address.text) port \(url.port): \(error.reason)", started))
            }
        }
        // The address that came furthest tells most.
        if let index = failed.lastIndex(where: { $0.kind == .tcp }) { return hops + failed[(index - 1)...index] }
        return hops + failed.suffix(1)
    }

    private func pingHops() async -> [RouteHop] {
        let isTLS = url?.scheme == "https"
        let started = clock.now
        let answer = await transport.ping(deadline: started + .seconds(10))
        switch answer {
        case .status(let status, let isGood):
            let wanted = settings.server.probesStrictly && !isGood ? ", wanted 204: this is not the database" : ""
            let ping = hop(.ping, isGood, "status \(status)\(wanted)", started)
            let verified =
                settings.server.connection.skipsVerification ? "encrypted, certificate not verified" : "verified"
            return isTLS ? [hop(.tls, true, verified, started), ping] : [ping]
        case .failure(let failure):
            // libcurl counts the handshake as part of connecting, and TCP stands by now.
            let isHandshake = isTLS && failure.kind == .timeout && failure.reason.hasPrefix("Connection timed out")
            let kind: RouteHop.Kind =
                switch failure.kind {
                case _ where isHandshake: .tls
                case .tls: .tls
                case .dns: .name
                case .hardDown: .tcp
                case .timeout, .reset, .invalid, .cancelled: .ping
                }
            return [hop(kind, false, failure.description, started)]
        case .secret(let error): return [hop(.ping, false, error.description, started)]
        }
    }
}
