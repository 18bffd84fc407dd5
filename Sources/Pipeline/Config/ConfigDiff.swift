/// What changes from one configuration to the next, in the terms of those who apply it.
public struct ConfigDiff: Sendable, Hashable {
    /// The plugins of one kind, by id, in the order of the configuration.
    public struct Plugins: Sendable, Hashable {
        /// In the old one only.
        public var removed: [String] = []
        /// In the new one only.
        public var added: [String] = []
        /// In both, with another value: stopped and started anew.
        public var changed: [String] = []
        /// Keep running with all their state.
        public var unchanged: [String] = []

        public init() {}

        public var isEmpty: Bool { removed.isEmpty && added.isEmpty && changed.isEmpty }
    }

    public var inputs: Plugins
    public var outputs: Plugins
    /// By the session's own options; a change of forwards alone is in `forwardsChanged`.
    public var tunnels: Plugins
    /// Tunnels whose session stays and whose forwards change, those for routes of outputs included.
    public var forwardsChanged: [String]
    /// `[metadata_relay]` came, went or changed.
    public var relayChanged: Bool
    /// `[pushprox.proxy]`, `[pushprox.client]` came, went or changed.
    public var scrapeProxyChanged: Bool
    public var scrapeClientChanged: Bool
    public var processors: Plugins
    public var aggregators: Plugins
    /// Whether the same processors stand in another order.
    public var processorsMoved: Bool
    /// The tags that every point gets, the host tag included.
    public var globalTagsChanged: Bool
    public var agentChanged: Bool
    public var spillChanged: Bool
    public var statusChanged: Bool
    /// Keys whose new value counts from the next start on: `spill.directory`.
    public var restartKeys: [String]

    /// Keys that name places which open files and sockets depend on.
    private static let restartNames: [(section: String, names: [String])] = [
        ("agent", ["state_directory", "logfile", "logformat"]),
        ("spill", ["directory", "mode"]),
        ("status", ["enabled", "socket", "group", "max_clients"]),
    ]

    public init(from old: Config, to new: Config) {
        inputs = ConfigDiff.compare(old.inputs, new.inputs, id: \.id)
        outputs = ConfigDiff.compare(old.outputs, new.outputs, id: \.id)
        tunnels = ConfigDiff.compare(old.tunnels.map(\.spec), new.tunnels.map(\.spec), id: \.name)
        forwardsChanged = ConfigDiff.changedForwards(old, new, staying: tunnels.unchanged)
        relayChanged = old.relay != new.relay
        scrapeProxyChanged = old.pushprox.proxy != new.pushprox.proxy
        scrapeClientChanged = old.pushprox.client != new.pushprox.client
        processors = ConfigDiff.compare(old.processors, new.processors, id: \.id)
        aggregators = ConfigDiff.compare(old.aggregators, new.aggregators, id: \.id)
        // The same ones in another order give other points.
        processorsMoved = processors.isEmpty && old.processors != new.processors
        globalTagsChanged =
            old.globalTags != new.globalTags || old.agent.hostname != new.agent.hostname
            || old.agent.omitsHostname != new.agent.omitsHostname
        agentChanged = old.agent != new.agent
        spillChanged = old.spill != new.spill
        statusChanged = old.status != new.status
        let sections = [
            "agent": (old.agent.values, new.agent.values), "spill": (old.spill.values, new.spill.values),
            "status": (old.status.values, new.status.values),
        ]
        restartKeys = ConfigDiff.restartNames.flatMap { section, names in
            names.filter { name in sections[section].map { $0.0[name] != $0.1[name] } ?? false }.map {
                "\(section).\($0)"
            }
        }
    }

    /// Whether nothing at all changes.
    public var isEmpty: Bool {
        inputs.isEmpty && outputs.isEmpty && processors.isEmpty && aggregators.isEmpty && tunnels.isEmpty
            && forwardsChanged.isEmpty && !relayChanged && !scrapeProxyChanged && !scrapeClientChanged
            && !processorsMoved
            && !globalTagsChanged && !agentChanged && !spillChanged && !statusChanged
    }

    /// Whether a part of the change waits for a restart.
    public var needsRestart: Bool { !restartKeys.isEmpty }

    private static func changedForwards(_ old: Config, _ new: Config, staying: [String]) -> [String] {
        staying.filter { name in
            let before = old.tunnels.first { $0.id == name }
            let after = new.tunnels.first { $0.id == name }
            return before?.forwards != after?.forwards || before?.roads != after?.roads
        }
    }

    private static func compare<Plugin: Equatable>(
        _ old: [Plugin], _ new: [Plugin], id: KeyPath<Plugin, String>
    ) -> Plugins {
        let before = Dictionary(old.map { ($0[keyPath: id], $0) }, uniquingKeysWith: { first, _ in first })
        let after = Set(new.map { $0[keyPath: id] })
        var plugins = Plugins()
        plugins.removed = old.map { $0[keyPath: id] }.filter { !after.contains($0) }
        for plugin in new {
            let name = plugin[keyPath: id]
            switch before[name] {
            case nil: plugins.added.append(name)
            case plugin?: plugins.unchanged.append(name)
            default: plugins.changed.append(name)
            }
        }
        return plugins
    }
}
