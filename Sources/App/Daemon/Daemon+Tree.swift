import Actors
import Pipeline

/// The supervisor tree of the daemon's actors, with the children that look after the process itself.
extension Daemon {
    func makeTree(roles: [ChildSpec]) -> Wiring.Tree {
        var control: [ChildSpec] = []
        if config.status.isEnabled { control.append(statusChild()) }
        if notify.watchdogInterval != nil { control.append(watchdogChild()) }
        return wiring.tree(
            control: control, roles: roles,
            store: layout.streams.compactMap { stream in streams[stream.name].map(wiring.storeChild) }
                + orphans.sorted { $0.key < $1.key }.map { wiring.storeChild($0.value) },
            egress: config.outputs.compactMap { output in
                senders[output.id].map { wiring.egressChild($0, output) }
            },
            batcher: batcher,
            collectors: config.inputs.compactMap { input in
                runners[input.id].map { wiring.collectorChild($0, input, parked: wiring.crashes.verdicts[input.id]) }
            })
    }

    private func statusChild() -> ChildSpec {
        var limits = StatusServer.limits
        limits.clients = config.status.clientLimit
        let server = StatusServer(
            socketPath: socketPath, group: config.status.group, limits: limits,
            sources: StatusServer.Sources(
                report: { await self.report() }, reload: { await self.reload() },
                taps: { [taps = wiring.taps] in taps.subscribe($0) }),
            clock: wiring.loops.main, eventLoop: wiring.loops.main.eventLoop, log: wiring.log.logger("status"))
        return ChildSpec(
            id: "status", whenExhausted: .park, intensity: RestartIntensity(count: 5, period: .seconds(60)),
            stopTimeout: .seconds(1)
        ) { context in
            do { try await server.run(context) } catch {
                // The pipeline must start without it: the failure is for the log and the tree.
                context.ready()
                throw error
            }
        }
    }

    var socketPath: String { Paths.statusSocket(config) }

    /// Feeds systemd's watchdog, but only while batches are sealed and taken by the spill: a process that lives and does
    /// nothing is restarted.
    private func watchdogChild() -> ChildSpec {
        ChildSpec(
            id: "watchdog", whenExhausted: .park, intensity: RestartIntensity(count: 5, period: .seconds(60)),
            stopTimeout: .seconds(1)
        ) { context in
            context.ready()
            let clock = self.wiring.loops.main
            let period = self.notify.watchdogInterval ?? .seconds(30)
            while true {
                if await self.isProgressing() { self.notify.watchdog() }
                try await clock.sleep(for: period / 2)
            }
        }
    }

    /// Whether the batcher has handled a flush lately. The flush waits for the spill log, so it vouches for both.
    private func isProgressing() async -> Bool {
        let now = wiring.loops.main.now
        let schedule = wiring.flushSchedule(layout, config)
        let patience = schedule.interval * 2 + schedule.offset + schedule.jitter + .seconds(15)
        return now - (await batcher.status().lastFlush ?? started.now) < patience
    }
}
