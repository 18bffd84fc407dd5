extension Config {
    /// Eight hex digits that are equal on hosts that run the same configuration, whatever its files look like. Secrets
    /// do not enter it.
    public var fingerprint: String {
        var lines =
            globalTags.map { "\($0.key)=\($0.value)" } + agent.values.lines + spill.values.lines + status.values.lines
        for input in inputs {
            lines += ["[\(input.id)]", "\(input.schedule)", "\(input.metric)"] + input.options.lines
        }
        for output in outputs {
            lines +=
                ["[\(output.id)]", "\(output.flush)", "\(output.metric)", "\(output.routes)"] + output.options.lines
        }
        for tunnel in tunnels {
            lines += ["[[tunnels]]", tunnel.spec.line] + tunnel.forwards.map { "\($0)" }
        }
        for part in [pushprox.proxy, pushprox.client] {
            guard let part else { continue }
            lines += ["[pushprox]"] + part.values.lines
            lines += part.tables.sorted { $0.key < $1.key }.flatMap { $0.value.flatMap(\.lines) }
        }
        if let relay { lines += ["[metadata_relay]"] + relay.values.lines }
        lines += processors.flatMap(\.lines) + aggregators.flatMap(\.lines)
        let digest = CRC32C.checksum(Array(lines.joined(separator: "\n").utf8), seed: 0)
        let digits = String(digest, radix: 16)
        return String(repeating: "0", count: 8 - digits.utf8.count) + digits
    }
}
