import Pipeline

/// How a tunnel is, for status, metrics and health.
extension Tunnel {
    /// The states of many tunnels of one loop, all of the same moment, by one job: a loop that is busy is waited for once.
    public static func statuses(of tunnels: [Tunnel], on loop: WorkLoop) async -> [TunnelStatus] {
        await withCheckedContinuation { continuation in
            loop.post { continuation.resume(returning: tunnels.map { $0.assumeIsolated { $0.status() } }) }
        }
    }

    public func status() -> TunnelStatus {
        let now = loop.now
        var status = TunnelStatus(name: spec.name, server: "\(spec.server)")
        status.state = tracker.state
        status.reason = tracker.reason
        status.message = tracker.message
        status.since = now - tracker.since
        status.lastOK = link?.monitor.lastAnswer.map { now - $0 }
        status.restarts = tracker.restarts
        status.retryIn = nextTry.map { max(.zero, $0 - now) }
        status.roundTrip = link?.monitor.roundTrip
        status.method = outcome.method
        status.fingerprint = outcome.fingerprint
        status.forwards = forwards.map(\.status)
        status.openConnections = status.forwards.reduce(0) { $0 + $1.openConnections }
        return status
    }
}
