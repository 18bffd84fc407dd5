import Actors
import Glibc
import Pipeline

/// The agent's report about itself, put together from what its parts say.
extension Daemon {
    func report() async -> StatusReport {
        let clock = wiring.loops.main
        var report = StatusReport()
        report.version = Version.current
        report.pid = Int(getpid())
        report.hostname = NodeName.current
        report.started = started.wall
        report.uptime = clock.now - started.now
        report.config.paths = ConfigPaths(options).all
        report.config.hash = config.fingerprint
        report.config.skipped = config.skipped
        report.config.lastReload = lastReload
        if let tree { report.tree = await tree.root.snapshot() }
        report.notReady = isStopping ? "stopping" : await batcher.status().lastFlush == nil ? "no flush yet" : nil
        await fillInputs(&report)
        await fillBatcher(&report)
        for stream in layout.streams {
            if let spill = streams[stream.name] { report.streams.append(await spill.status()) }
        }
        for (_, spill) in orphans.sorted(by: { $0.key < $1.key }) { report.streams.append(await spill.status()) }
        await fillOutputs(&report)
        report.process = StatusReport.Process(OwnProcess.read())
        report.headlines = Headlines.make(from: await batcher.latestSamples())
        var notes: [Health.Reason] = []
        for output in config.outputs where output.skipsVerification {
            notes.append(Health.Reason(.degraded, "output \(output.id) does not verify the server's certificate"))
        }
        await fillTunnels(&report, &notes)
        await fillRelay(&report, &notes)
        await fillPushProx(&report, &notes)
        report.assessHealth(notes: notes)
        return report
    }

    private func fillInputs(_ report: inout StatusReport) async {
        let wall = wiring.loops.main.wall
        for input in config.inputs {
            var entry = StatusReport.Input(id: input.id, interval: input.schedule.interval)
            if let status = await runners[input.id]?.currentStatus() {
                entry.lastGather = status.lastGather.map { max(.zero, wall - $0) }
                entry.lastDuration = status.gathers > 0 ? status.lastDuration : nil
                entry.points = status.points
                entry.errors = status.errors
                entry.skippedTicks = status.skippedTicks
                entry.lastError = status.lastError
            }
            report.inputs.append(entry)
        }
    }

    private func fillBatcher(_ report: inout StatusReport) async {
        let status = await batcher.status()
        report.batcher.receivedPoints = status.receivedPoints
        report.batcher.openPoints = status.openPoints
        report.processors = status.processors
        report.aggregators = status.aggregators
        report.batcher.sealedPoints = status.sealedPoints
        report.batcher.sealedBatches = status.sealedBatches
        report.batcher.encodedBytes = status.encodedBytes
        report.batcher.sealedBytes = status.sealedBytes
        report.batcher.dropped = [
            "filtered": status.filteredPoints, "unencodable": status.unencodablePoints,
            "channel_full": status.droppedInChannel,
        ]
    }

    private func fillOutputs(_ report: inout StatusReport) async {
        let clock = wiring.loops.main
        for output in config.outputs {
            guard let stream = layout.stream(of: output.id), let sender = senders[output.id] else { continue }
            let status = await sender.status()
            var entry = StatusReport.Output(id: output.id, kind: output.plugin, stream: stream.name)
            let spill = report.streams.first { $0.name == stream.name }
            if let reader = spill?.readers.first(where: { $0.name == SpillFiles.sanitised(output.id) }) {
                entry.balance = reader.balance
                entry.backlogBatches = reader.backlogBatches
                entry.backlogPoints = reader.backlogPoints
                entry.liveBatches = reader.liveBatches
            }
            entry.backlogBytes = entry.balance.pending > 0 ? UInt64(clamping: spill?.bytes ?? 0) : 0
            entry.activeRoute = status.router.active
            entry.activeSince = clock.now - status.router.activeSince
            entry.lastSwitch = status.router.lastSwitch.map { change in
                StatusReport.Switch(
                    from: change.from, to: change.to, age: clock.now - change.at, cause: change.cause)
            }
            entry.switches = status.router.switches
            for route in status.router.routes { entry.routes.append(await self.route(route, of: output)) }
            for (outcome, count) in status.requests { entry.requests[outcome.rawValue] = count }
            entry.retries = status.retries
            entry.sentBytes = status.bytes
            entry.lastDelivery = status.lastDelivery.map { max(.zero, clock.wall - $0) }
            entry.failingAfter = max(output.flush.interval * 3, .seconds(10))
            entry.droppedRecently = droppedRecently(output.id, entry.balance.droppedTotal)
            report.outputs.append(entry)
        }
    }

    private func route(
        _ status: RouterStatus.RouteStatus, of output: OutputConfig
    ) async -> StatusReport.Route {
        let now = wiring.loops.main.now
        var entry = StatusReport.Route(name: status.id, breaker: status.breaker, lastError: status.lastError)
        entry.destinations = destinations(of: output, route: status.id)
        entry.since = now - status.since
        entry.nextTry = status.nextTry.map { max(.zero, $0 - now) }
        entry.road = output.routes.first { $0.id == status.id }?.road
        // What the tunnel says now, not what it said when something was sent last.
        if let road = entry.road, case .down = await wiring.tunnels.condition(of: road) {
            entry.lastError = await wiring.tunnels.condition(of: road).complaint(of: road)
        }
        return entry
    }

    /// Where a route leads, as it may be shown: credentials may stand in user information and query.
    private func destinations(of output: OutputConfig, route: String) -> [String] {
        guard output.options.has("urls") else { return [] }
        let own = output.routes.first { $0.id == route }?.urls ?? []
        let urls = own.isEmpty ? output.options.strings("urls") : own
        return urls.compactMap(HTTPURL.init).map { "\($0.scheme)://\($0.authority)\($0.path)" }
    }

    /// Points of an output dropped within the last ten minutes, from samples taken whenever a report is made.
    private func droppedRecently(_ output: String, _ total: UInt64) -> UInt64 {
        let now = wiring.loops.main.now
        var history = dropHistory[output] ?? [(now, total)]
        while history.count > 1, history[1].at <= now - .seconds(600) { history.removeFirst() }
        if let last = history.last, now - last.at >= .seconds(10) { history.append((now, total)) }
        dropHistory[output] = history
        let before = history.first?.dropped ?? total
        return total >= before ? total - before : 0
    }
}

extension StatusReport.Process {
    init(_ own: OwnProcess) {
        self.init()
        residentBytes = own.residentBytes
        anonymousBytes = own.anonymousBytes
        cpuSeconds = own.cpuSeconds
        threads = own.threads
        openDescriptors = own.openDescriptors
        voluntarySwitches = own.voluntarySwitches
        involuntarySwitches = own.involuntarySwitches
    }
}
