import Actors
import Pipeline

/// The tunnels of the daemon: a supervisor of their own below the root, made with the first tunnel.
struct TunnelFleet {
    var tunnels: [String: Tunnel] = [:]
    var supervisor: Supervisor?
    let threads = BlockingThreads()
    let crowd: SharedCrowd = {
        var system = SystemRandomNumberGenerator()
        return SharedCrowd(seed: system.next())
    }()
    /// Which processes at servers may still hold ports of ours, also over a restart.
    var holders: HolderFile?
}

extension Wiring {
    /// One tunnel, with its forwards, over the one that it jumps through.
    func tunnel(_ config: TunnelConfig, in fleet: TunnelFleet) async -> Tunnel {
        var system = SystemRandomNumberGenerator()
        let tunnel = Tunnel(
            spec: config.spec, via: config.spec.jump.last.flatMap { fleet.tunnels[$0] }, loop: loops.io,
            threads: fleet.threads, crowd: fleet.crowd, holders: fleet.holders, seed: system.next(),
            log: log.logger("tunnel"))
        await tunnel.configure(forwards: config.allForwards(roadsIn: roadDirectory))
        await tunnels.set(config.id, tunnel)
        return tunnel
    }

    /// The state file of the tunnels.
    func holderFile(_ threads: BlockingThreads) -> HolderFile {
        let log = log.logger("tunnel")
        return HolderFile(path: stateDirectory + "/tunnel-holders", threads: threads) { complaint in
            log.warning("what a server may hold for us is not kept", metadata: ["error": "\(complaint)"])
        }
    }

    func tunnelChild(_ tunnel: Tunnel) -> ChildSpec {
        ChildSpec(
            id: "tunnel:\(tunnel.spec.name)", whenExhausted: .park,
            intensity: RestartIntensity(count: 10, period: .seconds(600)), stopTimeout: .seconds(2)
        ) { context in
            context.ready()
            try await withTaskExecutorPreference(loops.io) { try await tunnel.run() }
        }
    }

    func tunnelSupervisor(_ children: [ChildSpec]) -> Supervisor {
        var system = SystemRandomNumberGenerator()
        return Supervisor(
            id: "tunnels", strategy: .oneForOne, intensity: RestartIntensity(count: 10, period: .seconds(600)),
            stopOrder: .together, children: children, clock: loops.main, loop: loops.main, seed: system.next(),
            log: log.logger("supervisor"))
    }
}

extension Daemon {
    /// The supervisor of the configured tunnels as a child of the root; none without tunnels.
    func tunnelChildren() async -> [ChildSpec] {
        guard !config.tunnels.isEmpty else { return [] }
        openHolders()
        var children: [ChildSpec] = []
        for each in config.tunnels {
            let tunnel = await wiring.tunnel(each, in: fleet)
            fleet.tunnels[each.id] = tunnel
            children.append(wiring.tunnelChild(tunnel))
        }
        let supervisor = wiring.tunnelSupervisor(children)
        fleet.supervisor = supervisor
        return [Daemon.child(supervisor)]
    }

    private func openHolders() {
        if fleet.holders == nil { fleet.holders = wiring.holderFile(fleet.threads) }
        fleet.holders?.keep(config.tunnels.map(\.spec))
    }

    private static func child(_ supervisor: Supervisor) -> ChildSpec {
        ChildSpec(
            supervisor: supervisor, intensity: RestartIntensity(count: 3, period: .seconds(60)),
            stopTimeout: .seconds(3))
    }

    /// Applies a new configuration: sessions whose options did not change stay, with all forwards that did not change.
    func changeTunnels(_ diff: ConfigDiff, _ tree: Wiring.Tree) async {
        guard !diff.tunnels.isEmpty || !diff.forwardsChanged.isEmpty else { return }
        if fleet.supervisor == nil {
            let supervisor = wiring.tunnelSupervisor([])
            fleet.supervisor = supervisor
            await tree.root.add(Daemon.child(supervisor))
        }
        guard let supervisor = fleet.supervisor else { return }
        openHolders()
        // What goes through a tunnel that is made anew is made anew too.
        var rebuilt = Set(diff.tunnels.added + diff.tunnels.changed)
        for each in config.tunnels where each.spec.jump.last.map(rebuilt.contains) ?? false { rebuilt.insert(each.id) }
        // Old ones end first, so that what they listen at is free.
        for id in diff.tunnels.removed + rebuilt.sorted() where fleet.tunnels[id] != nil {
            await supervisor.remove("tunnel:\(id)")
            fleet.tunnels[id] = nil
            await wiring.tunnels.set(id, nil)
        }
        for each in config.tunnels {
            if rebuilt.contains(each.id) {
                let tunnel = await wiring.tunnel(each, in: fleet)
                fleet.tunnels[each.id] = tunnel
                await supervisor.replace(wiring.tunnelChild(tunnel))
            } else if diff.forwardsChanged.contains(each.id) {
                let forwards = each.allForwards(roadsIn: wiring.roadDirectory)
                await fleet.tunnels[each.id]?.configure(forwards: forwards)
            }
        }
    }

    func fillTunnels(_ report: inout StatusReport, _ notes: inout [Health.Reason]) async {
        let present = config.tunnels.compactMap { fleet.tunnels[$0.id] }
        if !present.isEmpty { report.tunnels += await Tunnel.statuses(of: present, on: wiring.loops.io) }
        for each in config.tunnels where fleet.tunnels[each.id] != nil {
            if each.spec.hostKeyPolicy == .acceptNew {
                notes.append(
                    Health.Reason(.degraded, "tunnel \(each.id) trusts the first host key it sees (accept-new)"))
            }
        }
    }
}
