/// Tunnels and forwards as the status surface shows them.
extension TunnelStatus {
    /// Names are public: they are only ever added.
    var json: JSONValue {
        [
            "name": .string(name),
            "server": .string(server),
            "state": .string(state.rawValue),
            "reason": .optional(reason?.rawValue),
            "message": .string(message),
            "since_seconds": .number(since.inSeconds),
            "last_ok_age_seconds": .optional(lastOK),
            "restarts": .init(exactly: restarts),
            "retry_in_seconds": .optional(retryIn),
            "round_trip_seconds": .optional(roundTrip),
            "method": .string(method),
            "host_key": .string(fingerprint),
            "open_connections": .init(exactly: openConnections),
            "forwards": .array(forwards.map(\.json)),
        ]
    }
}

extension ForwardStatus {
    var json: JSONValue {
        [
            "id": .string(id),
            "kind": .string(kind.rawValue),
            "bind": .string(bind),
            "target": .string(target),
            "internal": .bool(isInternal),
            "state": .string(state.rawValue),
            "reason": .optional(reason?.rawValue),
            "message": .string(message),
            "since_seconds": .number(since.inSeconds),
            "last_ok_age_seconds": .optional(lastOK),
            "restarts": .init(exactly: restarts),
            "port": port.map { .init(exactly: $0) } ?? .null,
            "open_connections": .init(exactly: openConnections),
            "connections": .init(exactly: connections),
            "failures": .init(exactly: failures),
            "sent_bytes": .init(exactly: sentBytes),
            "received_bytes": .init(exactly: receivedBytes),
        ]
    }
}

extension StatusReport {
    /// What tunnels and forwards say about the agent's health.
    func tunnelReasons() -> [Health.Reason] {
        var reasons: [Health.Reason] = []
        func add(_ what: String, _ state: TunnelState, _ reason: TunnelReason?, _ message: String) {
            guard state == .down || state == .degraded else { return }
            let why = [reason?.rawValue ?? "", message].filter { !$0.isEmpty }.joined(separator: ": ")
            reasons.append(Health.Reason(.degraded, "\(what) is \(state.rawValue)\(why.isEmpty ? "" : ": \(why)")"))
        }
        for tunnel in tunnels {
            add("tunnel \(tunnel.name)", tunnel.state, tunnel.reason, tunnel.message)
            guard tunnel.state == .up else { continue }
            for forward in tunnel.forwards {
                add("forward \(forward.id) of \(tunnel.name)", forward.state, forward.reason, forward.message)
            }
        }
        return reasons
    }
}

/// The section of the page that `godwit status` prints.
extension StatusText {
    static func tunnel(_ tunnel: TunnelStatus) -> [String] {
        var line = "  \(Readable.line(tunnel.name)) (\(Readable.line(tunnel.server))): \(tunnel.state.rawValue)"
        line += " for \(Readable.duration(tunnel.since))"
        if let reason = tunnel.reason { line += ", \(reason.rawValue)" }
        if !tunnel.message.isEmpty { line += ": \(Readable.line(tunnel.message))" }
        if let retry = tunnel.retryIn { line += "; next try in \(Readable.duration(retry))" }
        var lines = [line]
        if tunnel.state == .up {
            lines.append(
                "    \(Readable.line(tunnel.method)), last answer \(ago(tunnel.lastOK)), \(tunnel.restarts) restarts")
        }
        for forward in tunnel.forwards {
            let from = forward.isInternal ? "routes" : "\(forward.kind.rawValue) \(Readable.line(forward.bind))"
            var line = "    \(from) to \(Readable.line(forward.target)):"
            line += " \(forward.state.rawValue) for \(Readable.duration(forward.since))"
            if let reason = forward.reason { line += ", \(reason.rawValue)" }
            if !forward.message.isEmpty { line += ": \(Readable.line(forward.message))" }
            line += "; last ok \(ago(forward.lastOK)), \(forward.openConnections) open of"
            line += " \(Readable.count(forward.connections)), \(Readable.bytes(forward.sentBytes)) sent,"
            line += " \(Readable.bytes(forward.receivedBytes)) received, \(forward.restarts) restarts"
            lines.append(line)
        }
        return lines
    }
}

/// The families of `/metrics`.
extension StatusMetrics {
    static func tunnels(_ tunnels: [TunnelStatus], _ text: inout PrometheusText) {
        guard !tunnels.isEmpty else { return }
        text.family("godwit_tunnel_state", .gauge, "1 for the state and reason each tunnel is in.")
        for tunnel in tunnels {
            text.sample(
                [("tunnel", tunnel.name), ("state", tunnel.state.rawValue), ("reason", tunnel.reason?.rawValue ?? "")],
                1.0)
        }
        text.family("godwit_tunnel_restarts_total", .counter, "Sessions made after the first.")
        for tunnel in tunnels { text.sample([("tunnel", tunnel.name)], tunnel.restarts) }
        text.family("godwit_tunnel_round_trip_seconds", .gauge, "The last question to the server and back.")
        for tunnel in tunnels { text.age([("tunnel", tunnel.name)], tunnel.roundTrip) }
        text.family("godwit_tunnel_last_ok_age_seconds", .gauge, "How long ago the server last answered.")
        for tunnel in tunnels { text.age([("tunnel", tunnel.name)], tunnel.lastOK) }
        let forwards = tunnels.flatMap { tunnel in tunnel.forwards.map { (tunnel.name, $0) } }
        func labels(_ tunnel: String, _ forward: ForwardStatus) -> [(String, String)] {
            [("tunnel", tunnel), ("forward", forward.id)]
        }
        text.family("godwit_forward_state", .gauge, "1 for the state and reason each forward is in.")
        for (tunnel, forward) in forwards {
            text.sample(
                labels(tunnel, forward) + [
                    ("state", forward.state.rawValue), ("reason", forward.reason?.rawValue ?? ""),
                ], 1.0)
        }
        text.family("godwit_forward_connections_total", .counter, "Connections that reached the target.")
        for (tunnel, forward) in forwards { text.sample(labels(tunnel, forward), forward.connections) }
        text.family("godwit_forward_failures_total", .counter, "Connections that did not.")
        for (tunnel, forward) in forwards { text.sample(labels(tunnel, forward), forward.failures) }
        text.family("godwit_forward_open_connections", .gauge, "Connections open now.")
        for (tunnel, forward) in forwards { text.sample(labels(tunnel, forward), Double(forward.openConnections)) }
        text.family("godwit_forward_sent_bytes_total", .counter, "Bytes to the server.")
        for (tunnel, forward) in forwards { text.sample(labels(tunnel, forward), forward.sentBytes) }
        text.family("godwit_forward_received_bytes_total", .counter, "Bytes from the server.")
        for (tunnel, forward) in forwards { text.sample(labels(tunnel, forward), forward.receivedBytes) }
    }
}
