import Actors
import Glibc
import Pipeline

/// How a new configuration becomes the running one: checked first, then applied as a difference. What did not change
/// keeps running with its counters, schedule, sessions and backlog.
extension Daemon {
    func apply() async -> ReloadVerdict {
        // Also for a file that is refused: logrotate has renamed the log and waits for nothing else.
        if !wiring.log.reopen() {
            logger.error("cannot reopen the log file", metadata: ["reason": "\(String(cString: strerror(errno)))"])
        }
        // Renewed files stand under their old names, so that no option changes.
        for trouble in wiring.certificates.reload() {
            logger.error("a listener keeps its certificate", metadata: ["error": "\(trouble)"])
        }
        let report = options.load()
        let now = wiring.loops.main.wall
        guard !isStopping else {
            return ReloadVerdict(time: now, isAccepted: false, errors: ["the agent is stopping"])
        }
        guard let new = report.config else {
            let errors = report.issues.filter { $0.severity == .error }.map { "\($0)" }
            return ReloadVerdict(time: now, isAccepted: false, errors: errors)
        }
        for issue in report.issues where issue.severity == .warning {
            logger.warning("configuration", metadata: ["issue": "\(issue)"])
        }
        let diff = ConfigDiff(from: config, to: new)
        config.skipped = new.skipped
        guard !diff.isEmpty else { return ReloadVerdict(time: now, isAccepted: true) }
        // Everything that can fail is made before anything is changed.
        var made: [String: CollectorRunner] = [:]
        do {
            for input in new.inputs where diff.inputs.added.contains(input.id) || diff.inputs.changed.contains(input.id)
            {
                made[input.id] = try wiring.runner(input)
            }
        } catch {
            return ReloadVerdict(time: now, isAccepted: false, errors: options.explain(error))
        }
        await change(to: new, diff, made)
        // What parsing and checking touched is not needed again soon.
        OwnProcess.dropColdPages()
        return ReloadVerdict(time: now, isAccepted: true, changes: Daemon.changes(diff))
    }

    private func change(to new: Config, _ diff: ConfigDiff, _ made: [String: CollectorRunner]) async {
        guard let tree else { return }
        let old = layout
        let oldRelay = config.relay
        config = new
        layout = StreamLayout(new)
        await changeTunnels(diff, tree)
        await changeRelay(from: oldRelay, diff, tree)
        await changePushProx(diff, tree)
        if diff.agentChanged { _ = wiring.log.configure(new.agent, reopen: false) }
        for id in diff.inputs.removed {
            await tree.collectors.remove(id)
            runners[id] = nil
        }
        await addStreams(from: old, tree)
        let plans = layout.streams.compactMap { stream in
            streams[stream.name].map { wiring.plan(stream, $0, new) }
        }
        // Before any output leaves its stream: what was collected under the old rules is still its own.
        await batcher.configure(streams: plans, chain: wiring.chain(new), flush: wiring.flushSchedule(layout, new))
        await drainMoved(from: old)
        await changeOutputs(diff, old, tree)
        for stream in layout.streams { await streams[stream.name]?.setReaders(stream.outputs) }
        await leaveStreams(of: old, tree)
        for input in new.inputs {
            guard let runner = made[input.id] else { continue }
            runners[input.id] = runner
            await tree.collectors.replace(wiring.collectorChild(runner, input, parked: nil))
        }
    }

    /// Brings every stream of the new layout up; those that leave a stream still read it.
    private func addStreams(from old: StreamLayout, _ tree: Wiring.Tree) async {
        let count = layout.streams.count
        for stream in layout.streams {
            if let orphan = orphans.removeValue(forKey: SpillFiles.sanitised(stream.name)) {
                streams[stream.name] = orphan
            }
            if let spill = streams[stream.name] {
                let leaving = old.streams.first { $0.name == stream.name }?.outputs ?? []
                await spill.setReaders(stream.outputs + leaving.filter { !stream.outputs.contains($0) })
                await spill.configure(wiring.spillSettings(config, streams: count))
            } else {
                let spill = wiring.spillLog(stream.name, readers: stream.outputs, config, streams: count)
                streams[stream.name] = spill
                await tree.store.add(wiring.storeChild(spill))
            }
        }
    }

    /// Streams that no output reads any more end, unless they hold a backlog: then they stay until it expires.
    private func leaveStreams(of old: StreamLayout, _ tree: Wiring.Tree) async {
        for stream in old.streams where layout.streams.allSatisfy({ $0.name != stream.name }) {
            guard let spill = streams.removeValue(forKey: stream.name) else { continue }
            await spill.setReaders([])
            if await spill.status().readers.contains(where: { $0.balance.pending > 0 }) {
                orphans[SpillFiles.sanitised(stream.name)] = spill
            } else {
                await tree.store.remove("spill:\(spill.name)")
            }
        }
    }

    /// How long an output that gets a stream of its own may take to deliver what it has in its old one. What is left
    /// then stays there as an orphan.
    private static let moveTime = Duration.seconds(3)

    private func drainMoved(from old: StreamLayout) async {
        let moved = config.outputs.map(\.id).compactMap { id in
            old.stream(of: id).flatMap { $0.name == layout.stream(of: id)?.name ? nil : (id, streams[$0.name]) }
        }
        let clock = wiring.loops.main
        let deadline = clock.now + Daemon.moveTime
        for (id, spill) in moved {
            guard let spill else { continue }
            while clock.now < deadline, await spill.hasPending(for: id) {
                guard (try? await clock.sleep(for: .milliseconds(20))) != nil else { return }
            }
        }
    }

    private func changeOutputs(_ diff: ConfigDiff, _ old: StreamLayout, _ tree: Wiring.Tree) async {
        for id in diff.outputs.removed {
            await tree.egress.remove(id)
            senders[id] = nil
        }
        for output in config.outputs {
            guard let stream = layout.stream(of: output.id), let spill = streams[stream.name] else { continue }
            let moved = old.stream(of: output.id)?.name != stream.name
            guard moved || diff.spillChanged || !diff.outputs.unchanged.contains(output.id) else { continue }
            let sender = wiring.sender(output, spill, config)
            senders[output.id] = sender
            await tree.egress.replace(wiring.egressChild(sender, output))
        }
    }

    private static func changes(_ diff: ConfigDiff) -> [String] {
        func lines(_ kind: String, _ plugins: ConfigDiff.Plugins) -> [String] {
            plugins.removed.map { "\(kind) \($0) removed" } + plugins.added.map { "\(kind) \($0) added" }
                + plugins.changed.map { "\(kind) \($0) changed" }
        }
        var changes =
            lines("input", diff.inputs) + lines("processor", diff.processors)
            + lines("aggregator", diff.aggregators) + lines("output", diff.outputs)
        if diff.processorsMoved { changes.append("processors in another order") }
        changes += lines("tunnel", diff.tunnels)
        changes += diff.forwardsChanged.map { "forwards of tunnel \($0) changed" }
        if diff.scrapeProxyChanged { changes.append("scrape proxy changed") }
        if diff.scrapeClientChanged { changes.append("scrape client changed") }
        if diff.relayChanged { changes.append("metadata relay changed") }
        if diff.globalTagsChanged { changes.append("global tags changed") }
        if diff.agentChanged { changes.append("agent changed") }
        if diff.spillChanged { changes.append("spill changed") }
        if diff.statusChanged { changes.append("status changed") }
        return changes + diff.restartKeys.map { "\($0) takes effect at the next start" }
    }
}
