extension Config {
    /// The configuration in one line per section, for people who want to see that it was understood. No secrets.
    public var summary: [String] {
        [agentSummary] + inputs.map(\.summary) + processors.map(\.summary) + aggregators.map(\.summary)
            + outputs.map(\.summary) + tunnels.map(\.summary) + (relay.map { [$0.summary] } ?? []) + pushprox.summary
            + [spillSummary, statusSummary]
    }

    private var agentSummary: String {
        var parts = [
            "reads every \(Quantity.text(agent.interval))", "flushes every \(Quantity.text(agent.flushInterval))",
        ]
        if agent.omitsHostname {
            parts.append("no host tag")
        } else if !agent.hostname.isEmpty {
            parts.append("host \"\(agent.hostname)\"")
        }
        if !globalTags.isEmpty {
            parts.append(globalTags.count == 1 ? "1 global tag" : "\(globalTags.count) global tags")
        }
        return line("agent", parts)
    }

    private var spillSummary: String {
        let settings = spill.settings
        var parts = ["mode \(settings.mode.rawValue)"]
        if settings.mode != .off {
            parts += [
                "at most \(Quantity.text(size: Int64(settings.bytesLimit))) and \(Quantity.text(settings.ageLimit))",
                spill.directory.isEmpty ? "in the state directory" : "in \(spill.directory)",
            ]
        }
        return line("spill", parts)
    }

    private var statusSummary: String {
        guard status.isEnabled else { return line("status", ["off"]) }
        return line("status", [status.socket.isEmpty ? "socket in the runtime directory" : "socket \(status.socket)"])
    }
}

extension InputConfig {
    fileprivate var summary: String {
        var parts = ["every \(Quantity.text(schedule.interval))"]
        if metric.filter != .open { parts.append("filtered") }
        let sample = metric.namePrefix + (metric.nameOverride.isEmpty ? "*" : metric.nameOverride) + metric.nameSuffix
        if sample != "*" { parts.append("as \(sample)") }
        return line("inputs.\(id)", parts)
    }
}

extension ProcessorConfig {
    fileprivate var summary: String {
        var parts = ["order \(order)"]
        if filter != .open { parts.append("filtered") }
        return line("processors.\(id)", parts)
    }
}

extension AggregatorConfig {
    fileprivate var summary: String {
        var parts = ["every \(Quantity.text(period))"]
        if dropsOriginal { parts.append("drops the original") }
        if metric.filter != .open { parts.append("filtered") }
        return line("aggregators.\(id)", parts)
    }
}

extension OutputConfig {
    fileprivate var summary: String {
        var parts = routes.map(\.description)
        if options.has("database") { parts.append("database \(options.string("database"))") }
        if options.has("bucket") { parts.append("bucket \(options.string("bucket"))") }
        if options.has("listen") { parts.append("on \(options.string("listen"))\(options.string("path"))") }
        if plugin == "file" {
            let directory = options.string("directory")
            parts.append(directory.isEmpty ? "in the state directory" : "in \(directory)")
        }
        if metric.filter != .open { parts.append("filtered") }
        return line("outputs.\(id)", parts)
    }
}

extension TunnelConfig {
    fileprivate var summary: String {
        var parts = ["\(spec.user) at \(spec.server)"]
        if !spec.jump.isEmpty { parts.append("through \(spec.jump.joined(separator: ", "))") }
        parts += forwards.map { "\($0.kind.rawValue) \($0.bind) to \($0.target)" }
        return line("tunnels.\(spec.name)", parts)
    }
}

extension PushProxConfig {
    fileprivate var summary: [String] {
        var lines: [String] = []
        if let proxy {
            let listeners = proxy.tables["listeners", default: []]
            lines.append(
                line(
                    "pushprox.proxy",
                    listeners.map { "\($0.strings("serves").joined(separator: " and ")) at \($0.string("listen"))" }))
        }
        if let client {
            let proxies = client.tables["proxies", default: []].count
            lines.append(
                line(
                    "pushprox.client",
                    ["\(proxies) \(proxies == 1 ? "proxy" : "proxies")"]
                        + client.tables["targets", default: []].map { "\($0.string("name")):\($0.integer("port"))" }))
        }
        return lines
    }
}

extension RelayConfig {
    fileprivate var summary: String {
        line(
            "metadata_relay",
            [
                "on \(listeners.map(\.description).joined(separator: " and "))", "guests in \(guestsFile)",
                "to \(values.strings("urls").map { Secret.redacted(url: $0) }.joined(separator: " or "))",
                "database \(values.string("database"))",
            ])
    }
}

private func line(_ name: String, _ parts: [String]) -> String {
    ConfigIssue.printable("\(name): \(parts.joined(separator: ", "))")
}
