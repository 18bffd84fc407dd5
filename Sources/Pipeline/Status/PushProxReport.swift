/// The scrape proxy and the scrape client in the agent's report; nil for a role that is not there.
public struct PushProxStatus: Sendable, Hashable {
    public var proxy: ScrapeProxyFigures?
    public var client: ScrapeClientFigures?

    public init() {}

    /// What they say about the agent's health.
    var reasons: [Health.Reason] {
        var reasons: [Health.Reason] = []
        if let trouble = proxy?.trouble {
            reasons.append(Health.Reason(.degraded, "the scrape proxy is down: \(trouble)"))
        }
        for poll in client?.polls ?? [] where !poll.isUp && !poll.lastError.isEmpty {
            reasons.append(
                Health.Reason(.degraded, "no scrapes from \(poll.proxy) for \(poll.name): \(poll.lastError)"))
        }
        return reasons
    }

    /// Names are public: they are only ever added.
    var json: JSONValue { ["proxy": proxy?.json ?? .null, "client": client?.json ?? .null] }
}

extension ScrapeProxyFigures {
    fileprivate var json: JSONValue {
        [
            "listening": .array(listening.map { .string($0) }),
            "trouble": trouble.map { .string($0) } ?? .null,
            "clients": .init(exactly: clients),
            "waiting_polls": .init(exactly: waitingPolls),
            "open_scrapes": .init(exactly: openScrapes),
            "connections": .init(exactly: connections),
            "polls": .init(exactly: counters.polls),
            "evictions": .init(exactly: counters.evictions),
            "lost_polls": .init(exactly: counters.lostPolls),
            "expired_polls": .init(exactly: counters.expiredPolls),
            "handed_out": .init(exactly: counters.handedOut),
            "late_pushes": .init(exactly: counters.latePushes),
            "refusals": .init(exactly: counters.refusals.values.reduce(0) { $0.addingSaturated($1) }),
            "refusals_by_reason": .object(
                ProxyRefusal.allCases.compactMap { reason in
                    counters.refusals[reason].map { JSONMember(reason.rawValue, .init(exactly: $0)) }
                }),
            "body_bytes": .init(exactly: counters.bodyBytes),
            "pushed_bytes": .init(exactly: counters.pushedBytes),
            "instruction_bytes": .init(exactly: counters.instructionBytes),
            "scrapes": .object(
                counters.scrapes.sorted { $0.key < $1.key }.map { JSONMember($0.key, .init(exactly: $0.value)) }),
            "tls_failures": .object(
                HandshakeFailure.allCases.compactMap { reason in
                    let count = tls.reduce(0) { $0.addingSaturated($1.figures.failures[reason] ?? 0) }
                    return count > 0 ? JSONMember(reason.rawValue, .init(exactly: count)) : nil
                }),
            "tls_listeners": .object(tls.map { JSONMember($0.listener, $0.figures.json) }),
        ]
    }
}

extension ScrapeClientFigures {
    fileprivate var json: JSONValue {
        [
            "running": .init(exactly: running),
            "evictions": .init(exactly: evictions),
            "push_errors": .init(exactly: pushErrors),
            "scrapes": .object(scrapes.sorted { $0.key < $1.key }.map { JSONMember($0.key, .init(exactly: $0.value)) }),
            "polls": .array(
                polls.map { poll in
                    [
                        "proxy": .string(poll.proxy), "name": .string(poll.name), "up": .bool(poll.isUp),
                        "polls": .init(exactly: poll.polls), "errors": .init(exactly: poll.errors),
                        "last_error": .string(poll.lastError),
                    ]
                }),
        ]
    }
}

/// The section of the page that `godwit status` prints.
extension StatusText {
    static func pushprox(_ status: PushProxStatus) -> [String] {
        var lines: [String] = []
        if let proxy = status.proxy {
            lines.append(
                "  proxy at \(proxy.listening.joined(separator: ", ")): "
                    + (proxy.trouble.map { "down: \(Readable.line($0))" }
                        ?? "\(proxy.clients) clients, \(proxy.waitingPolls) waiting, \(proxy.openScrapes) scrapes open")
            )
            let outcomes = proxy.counters.scrapes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            if !outcomes.isEmpty { lines.append("    scrapes: \(outcomes.joined(separator: ", "))") }
        }
        if let client = status.client {
            for poll in client.polls {
                let state =
                    poll.isUp ? "up" : poll.lastError.isEmpty ? "waiting" : "down: \(Readable.line(poll.lastError))"
                lines.append("  client \(Readable.line(poll.name)) at \(Readable.line(poll.proxy)): \(state)")
            }
            let outcomes = client.scrapes.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            if !outcomes.isEmpty { lines.append("    scrapes: \(outcomes.joined(separator: ", "))") }
        }
        return lines
    }
}

/// The families of `/metrics`.
extension StatusMetrics {
    static func pushprox(_ status: PushProxStatus, _ text: inout PrometheusText) {
        if let proxy = status.proxy { ProxyMetrics.add(proxy, to: &text) }
        guard let client = status.client else { return }
        text.family("godwit_pushprox_client_up", .gauge, "Whether the last poll of a name at a proxy went well.")
        for poll in client.polls { text.sample([("proxy", poll.proxy), ("name", poll.name)], poll.isUp ? 1.0 : 0.0) }
        text.family("godwit_pushprox_client_poll_errors_total", .counter, "Polls that failed.")
        for poll in client.polls { text.sample([("proxy", poll.proxy), ("name", poll.name)], Double(poll.errors)) }
        text.single(
            "godwit_pushprox_client_push_errors_total", .counter, "Pushes that failed.", Double(client.pushErrors))
        text.family("godwit_pushprox_client_scrapes_total", .counter, "Scrapes by how they ended.")
        for (outcome, count) in client.scrapes.sorted(by: { $0.key < $1.key }) {
            text.sample([("outcome", outcome)], Double(count))
        }
    }
}
