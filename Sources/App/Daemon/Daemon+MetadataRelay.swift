import Actors
import Pipeline

/// The metadata relay of the daemon: a supervisor of its own below the root, made with the section.
struct RelayRole {
    let relay: MetadataRelay
    let supervisor: Supervisor
    /// What the bodies of all listeners share.
    var budget: BodyBudget
    /// By where they listen.
    var listeners: [String: RelayListener]
}

extension Wiring {
    static let relayChildName = "metadata_relay"

    /// The relay with its listeners. Its thread starts with the first request.
    func relayRole(_ config: RelayConfig) -> RelayRole {
        let relay = MetadataRelay(
            config: config, client: http, worker: WorkLoop(name: "godwit-relay"), clock: loops.main,
            version: Version.current)
        let budget = BodyBudget(bytes: config.memoryBytes)
        let listeners = config.listeners.map { relayListener($0, relay, config, budget) }
        var system = SystemRandomNumberGenerator()
        let supervisor = Supervisor(
            id: Wiring.relayChildName, strategy: .oneForOne,
            intensity: RestartIntensity(count: 10, period: .seconds(600)), stopOrder: .together,
            children: [guestsChild(relay)] + listeners.map(listenerChild), clock: loops.main, loop: loops.main,
            seed: system.next(), log: log.logger("supervisor"))
        return RelayRole(
            relay: relay, supervisor: supervisor, budget: budget,
            listeners: Dictionary(uniqueKeysWithValues: listeners.map { ($0.place.description, $0) }))
    }

    func relayChild(_ role: RelayRole) -> ChildSpec {
        ChildSpec(
            supervisor: role.supervisor, intensity: RestartIntensity(count: 3, period: .seconds(60)),
            stopTimeout: .seconds(4))
    }

    func relayListener(
        _ place: RelayPlace, _ relay: MetadataRelay, _ config: RelayConfig, _ budget: BodyBudget
    ) -> RelayListener {
        RelayListener(
            place: place, relay: relay, config: config, budget: budget, certificates: certificates, loop: loops.main,
            log: log.logger("relay"))
    }

    func listenerChild(_ listener: RelayListener) -> ChildSpec {
        ChildSpec(
            id: "listener:\(listener.place)", whenExhausted: .park,
            intensity: RestartIntensity(count: 5, period: .seconds(60)), stopTimeout: .milliseconds(3_500)
        ) { context in
            context.ready()
            try await listener.run()
        }
    }

    private func guestsChild(_ relay: MetadataRelay) -> ChildSpec {
        ChildSpec(
            id: "guests", whenExhausted: .park, intensity: RestartIntensity(count: 5, period: .seconds(60)),
            stopTimeout: .seconds(1)
        ) { context in
            await relay.look()
            context.ready()
            try await relay.watch()
        }
    }
}

extension Daemon {
    /// The relay's supervisor as a child of the root; none without the section.
    func relayChildren() -> [ChildSpec] {
        guard let section = config.relay else { return [] }
        let role = wiring.relayRole(section)
        relay = role
        return [wiring.relayChild(role)]
    }

    /// Applies a new configuration: a listener goes on with its connections unless its own part changed.
    func changeRelay(from old: RelayConfig?, _ diff: ConfigDiff, _ tree: Wiring.Tree) async {
        guard diff.relayChanged else { return }
        guard let new = config.relay else {
            await tree.root.remove(Wiring.relayChildName)
            relay = nil
            return
        }
        guard var role = relay, let old else {
            let role = wiring.relayRole(new)
            relay = role
            await tree.root.add(wiring.relayChild(role))
            return
        }
        await role.relay.configure(new)
        let keeps = new.isEqual(to: old, in: RelayConfig.listenerOptions)
        let wanted = Set(new.listeners.map(\.description))
        // Old ones end first, so that what they listen at is free.
        for name in role.listeners.keys.sorted() where !keeps || !wanted.contains(name) {
            await role.supervisor.remove("listener:\(name)")
            role.listeners[name] = nil
        }
        if !keeps { role.budget = BodyBudget(bytes: new.memoryBytes) }
        for place in new.listeners where role.listeners[place.description] == nil {
            let listener = wiring.relayListener(place, role.relay, new, role.budget)
            role.listeners[place.description] = listener
            await role.supervisor.add(wiring.listenerChild(listener))
        }
        relay = role
    }

    func fillRelay(_ report: inout StatusReport, _ notes: inout [Health.Reason]) async {
        guard let section = config.relay, let relay else { return }
        var status = await relay.relay.status()
        for place in section.listeners {
            if let listener = relay.listeners[place.description] { status.listeners.append(await listener.status()) }
        }
        report.relay = status
        if section.skipsVerification {
            notes.append(
                Health.Reason(.degraded, "the metadata relay does not verify the database's certificate"))
        }
    }
}
