/// The page that `godwit status` prints.
public enum StatusText {
    /// Shape: head lines, then one section a part of the agent; each line ends in LF, none has control characters.
    public static func page(_ report: StatusReport) -> String {
        var lines = head(report)
        lines += section("supervision", tree(report.tree))
        lines += section("inputs", inputs(report.inputs))
        lines += section("processors", stages("processor", report.processors))
        lines += section("aggregators", stages("aggregator", report.aggregators))
        lines += section("batches", batcher(report.batcher))
        lines += section("spill", report.streams.flatMap(stream))
        lines += section("outputs", report.outputs.flatMap(output))
        lines += section("tunnels", report.tunnels.flatMap(tunnel))
        lines += section("metadata relay", report.relay.map(relay) ?? [])
        lines += section("pushprox", pushprox(report.pushprox))
        lines += section("process", process(report.process))
        return lines.joined(separator: "\n") + "\n"
    }

    private static func section(_ title: String, _ lines: [String]) -> [String] {
        lines.isEmpty ? [] : ["", title] + lines
    }

    private static func head(_ report: StatusReport) -> [String] {
        let host = report.hostname.isEmpty ? "" : " on \(Readable.line(report.hostname))"
        var lines = [
            "godwit \(report.version)\(host), pid \(report.pid), up \(Readable.duration(report.uptime))",
            "health  \(report.health.state.rawValue)",
        ]
        lines += report.health.reasons.map { "        \($0.state.rawValue): \(Readable.line($0.text))" }
        if let reason = report.notReady { lines.append("        not ready: \(Readable.line(reason))") }
        let paths = report.config.paths.map { Readable.line($0) }.joined(separator: ", ")
        lines.append("config  \(paths.isEmpty ? "built in" : paths)  hash \(report.config.hash)")
        if !report.config.skipped.isEmpty {
            lines.append("        skipped: \(report.config.skipped.map { Readable.line($0) }.joined(separator: ", "))")
        }
        if let reload = report.config.lastReload {
            let verdict = reload.isAccepted ? "accepted" : "refused, the running configuration stays in force"
            lines.append("        last reload \(UTCTime(reload.time).text): \(verdict)")
            lines += reload.errors.map { "        \(Readable.line($0))" }
        }
        return lines
    }

    /// The supervision tree, one child a line, indented by depth.
    static func tree(_ root: ChildStatus) -> [String] {
        var table = TextTable([
            ("child", .left), ("state", .left), ("since", .right), ("restarts", .right), ("", .left),
        ])
        func add(_ child: ChildStatus, _ depth: Int) {
            var remarks: [String] = []
            if let retry = child.retryIn { remarks.append("retry in \(Readable.duration(retry))") }
            if child.abandoned > 0 { remarks.append("\(child.abandoned) left behind") }
            if let error = child.lastError { remarks.append("last error: \(Readable.line(error))") }
            table.add(
                String(repeating: "  ", count: depth) + child.id,
                child.state.rawValue.replacing("_", with: " "), Readable.duration(child.age),
                Readable.count(child.restarts), remarks.joined(separator: "; "))
            for next in child.children { add(next, depth + 1) }
        }
        add(root, 0)
        return table.lines(indent: "  ")
    }

    private static func inputs(_ inputs: [StatusReport.Input]) -> [String] {
        guard !inputs.isEmpty else { return [] }
        var table = TextTable([
            ("input", .left), ("every", .right), ("last", .right), ("took", .right), ("points", .right),
            ("errors", .right), ("skipped", .right), ("last error", .left),
        ])
        for input in inputs {
            table.add(
                input.id, Readable.duration(input.interval), ago(input.lastGather),
                input.lastDuration.map(milliseconds) ?? "-", Readable.count(input.points),
                Readable.count(input.errors), Readable.count(input.skippedTicks), input.lastError ?? "")
        }
        return table.lines(indent: "  ")
    }

    private static func batcher(_ batcher: StatusReport.Batcher) -> [String] {
        var line = "  \(Readable.count(batcher.receivedPoints)) points in, "
        line += "\(Readable.count(batcher.sealedPoints)) sealed in \(Readable.count(batcher.sealedBatches)) batches "
        line += "(\(Readable.bytes(batcher.sealedBytes)) of \(Readable.bytes(batcher.encodedBytes)) of text), "
        line += "\(batcher.openPoints) open"
        let drops = reasons(batcher.dropped)
        return drops.isEmpty ? [line] : [line, "  not batched: \(drops)"]
    }

    private static func stream(_ stream: SpillStatus) -> [String] {
        let bytes = Readable.bytes(UInt64(clamping: stream.bytes))
        let limit = Readable.bytes(UInt64(clamping: stream.bytesLimit))
        var line = "  \(Readable.line(stream.name)): \(stream.state.rawValue), \(bytes) of \(limit)"
        line += " in \(stream.segments) segment\(stream.segments == 1 ? "" : "s")"
        if let oldest = stream.oldestAge { line += ", oldest \(Readable.duration(oldest))" }
        line += ", \(Readable.bytes(UInt64(clamping: stream.dirtyBytes))) not synced"
        if stream.memoryBytes > 0 { line += ", \(Readable.bytes(UInt64(clamping: stream.memoryBytes))) in memory" }
        var lines = [line]
        let found = stream.verdictsByName.filter { $0.value > 0 }
        if !found.isEmpty { lines.append("    found: \(reasons(found))") }
        if let error = stream.lastError { lines.append("    last error: \(Readable.line(error))") }
        for reader in stream.readers where reader.isOrphaned {
            let points = Readable.count(reader.balance.pending)
            let name = Readable.line(reader.name)
            lines.append("    orphaned: \(name), \(points) points (godwit spill drop removes them)")
        }
        return lines
    }

    private static func output(_ output: StatusReport.Output) -> [String] {
        let balance = output.balance
        let dropped = reasons(balance.droppedByName)
        var lines = [
            "  \(Readable.line(output.id)) (\(output.kind)), last delivery \(ago(output.lastDelivery))",
            "    balance  \(Readable.count(balance.sealed)) sealed = \(Readable.count(balance.delivered)) delivered"
                + " + \(Readable.count(balance.rejected)) rejected + \(Readable.count(balance.droppedTotal)) dropped"
                + "\(dropped.isEmpty ? "" : " (\(dropped))") + \(Readable.count(balance.pending)) pending",
            "    backlog  \(Readable.count(output.backlogPoints)) points in \(Readable.count(output.backlogBatches))"
                + " batches, \(Readable.bytes(output.backlogBytes)); live \(Readable.count(output.liveBatches))",
        ]
        let requests = reasons(output.requests)
        if !requests.isEmpty { lines.append("    requests \(requests), \(output.retries) retries") }
        for route in output.routes {
            let isActive = route.name == output.activeRoute
            let target = route.destinations.map { " " + Readable.line($0) }.joined(separator: ",")
            let way = route.road.map { " through tunnel \(Readable.line($0.tunnel))" } ?? ""
            var line = "    route    \(Readable.line(route.name))\(target)\(way): \(route.breaker.rawValue)"
            if isActive { line += ", active \(output.activeSince.map { "for " + Readable.duration($0) } ?? "")" }
            if let error = route.lastError { line += "; last error: \(Readable.line(error))" }
            lines.append(line)
        }
        if let change = output.lastSwitch {
            let from = change.from.map { "\(Readable.line($0)) to " } ?? ""
            lines.append(
                "    last switch: \(from)\(Readable.line(change.to)), \(Readable.duration(change.age)) ago:"
                    + " \(Readable.line(change.cause))")
        }
        return lines
    }

    private static func process(_ process: StatusReport.Process) -> [String] {
        [
            "  \(Readable.bytes(process.residentBytes)) resident, \(Readable.bytes(process.anonymousBytes)) anonymous,"
                + " \(Readable.decimal(process.cpuSeconds, places: 2)) s of CPU, \(process.threads) threads,"
                + " \(process.openDescriptors) descriptors, \(Readable.count(process.voluntarySwitches)) wake-ups"
        ]
    }

    /// `a 3, b 1`, without zeros.
    static func reasons(_ counters: [String: UInt64]) -> String {
        counters.filter { $0.value > 0 }.sorted { $0.key < $1.key }
            .map { "\($0.key) \(Readable.count($0.value))" }.joined(separator: ", ")
    }

    static func ago(_ age: Duration?) -> String { age.map { Readable.duration($0) + " ago" } ?? "never" }

    static func milliseconds(_ duration: Duration) -> String {
        Readable.decimal(duration.inSeconds * 1_000, places: 2) + " ms"
    }
}
