import Glibc
import Logging
import Pipeline

/// Walks a road through tunnels hop by hop, with sessions of its own that end with it: for each server name → route →
/// TCP → handshake → host key → authentication, then the connection from the last one to the target.
///
/// A key that `accept-new` would take is not kept. For commands only. Bounds: the deadlines of the tunnels.
public struct TunnelWalk: Sendable {
    private let road: TunnelRoad
    private let tunnels: [Tunnel]
    private let clock: any Clock

    /// `chain`: the tunnels to go through, the nearest first; the last one is the road's.
    public init(road: TunnelRoad, chain: [TunnelSpec], loop: WorkLoop, threads: BlockingThreads, clock: any Clock) {
        self.road = road
        self.clock = clock
        var tunnels: [Tunnel] = []
        for spec in chain {
            tunnels.append(
                Tunnel(
                    spec: spec, via: tunnels.last, loop: loop, threads: threads, seed: 0,
                    log: Logger(label: "route") { _ in SwiftLogNoOpLogHandler() }))
        }
        self.tunnels = tunnels
    }

    /// The hops up to the first broken one. When none is broken, the road is open at `socketPath` in `directory`, until
    /// `end`.
    public func hops(socketsIn directory: String) async -> [RouteHop] {
        var hops: [RouteHop] = []
        for tunnel in tunnels {
            let own = await approach(tunnel, isNearest: hops.isEmpty)
            hops += own.map { hop in
                var hop = hop
                hop.tunnel = tunnel.spec.name
                return hop
            }
            if let last = hops.last, !last.isPassed { return hops }
        }
        guard let tunnel = tunnels.last else { return hops }
        let started = clock.now
        do throws(TunnelFailure) {
            try await tunnel.reach(road.target)
            hops.append(RouteHop(.target, true, "\(road.target) from \(tunnel.spec.server)", since: started, clock))
        } catch {
            hops.append(RouteHop(.target, false, "\(road.target): \(error)", since: started, clock))
            return hops
        }
        await tunnel.configure(forwards: [road.forward(in: directory)])
        return hops
    }

    /// Ends the sessions, the farthest first.
    public func end() async {
        for tunnel in tunnels.reversed() { await tunnel.disconnect() }
    }

    /// To the server of one tunnel, and its session.
    private func approach(_ tunnel: Tunnel, isNearest: Bool) async -> [RouteHop] {
        let server = tunnel.spec.server
        var hops = isNearest ? AddressWalk(clock: clock).hops(to: server.host, port: "\(server.port)") : []
        if let last = hops.last, !last.isPassed { return hops }
        let started = clock.now
        func hop(_ kind: RouteHop.Kind, _ isPassed: Bool, _ detail: String) -> RouteHop {
            RouteHop(kind, isPassed, detail, since: started, clock)
        }
        let isJump = hop(.tcp, true, "\(server) through the session before")
        do throws(TunnelFailure) {
            try await tunnel.connectOnce()
        } catch {
            let kind = TunnelWalk.kind(error.reason)
            if !isNearest, kind != .tcp { hops.append(isJump) }
            // What the handshake found comes before the question who we are.
            if kind == .hostkey || error.reason == .authFailed { hops.append(hop(.ssh, true, "\(server)")) }
            if error.reason == .authFailed { hops.append(hop(.hostkey, true, "as known")) }
            return hops + [hop(kind, false, "\(error)")]
        }
        if !isNearest { hops.append(isJump) }
        let status = await tunnel.status()
        return hops + [
            hop(.ssh, true, "\(server)"), hop(.hostkey, true, status.fingerprint), hop(.auth, true, status.method),
        ]
    }

    /// The hop at which a session failed.
    private static func kind(_ reason: TunnelReason) -> RouteHop.Kind {
        switch reason {
        case .dialTimeout, .dialFailed, .jumpDown: .tcp
        case .hostkeyUnknown, .hostkeyChanged, .hostkeyRevoked: .hostkey
        case .keyUnusable, .authFailed: .auth
        default: .ssh
        }
    }
}
