/// What came of a configuration.
public struct ConfigReport: Sendable, Hashable {
    /// nil when there is an error: nothing is started with half a configuration.
    public var config: Config?
    /// Everything that is wrong or worth knowing, in the order of the files.
    public var issues: [ConfigIssue]
    /// Where sections and plugins stand: `agent`, `inputs.cpu#2` (by id), and their options: `inputs.cpu#2/percpu`.
    public var origins: [String: ConfigOrigin]

    public init(config: Config?, issues: [ConfigIssue], origins: [String: ConfigOrigin] = [:]) {
        self.config = config
        self.issues = issues
        self.origins = origins
    }
}

/// Checks a tree of values and makes a `Config` of it.
///
/// What it promises: all errors at once, each with file, line and key; the same tree gives the same result; no trap.
public struct ConfigDecoder: Sendable {
    /// The inputs that exist.
    public var inputs: [PluginSpec]
    public var outputs: [PluginSpec]
    public var processors = ProcessorSpecs.all
    public var aggregators = AggregatorSpecs.all
    /// The files in the order in which they were read: processors of one `order` run as they stand there.
    public var files: [String] = []
    /// Plugins and sections that do not exist are skipped with a warning.
    public var skipsUnknown: Bool
    /// A configuration without outputs will do (`godwit once`).
    public var allowsNoOutputs: Bool
    /// A config with errors comes out too, for those who look for more of them.
    public var keepsFaulty = false
    /// Files that other users of the machine can read.
    public var filesReadableByOthers: Set<String>

    public init(
        inputs: [PluginSpec], outputs: [PluginSpec] = OutputSpecs.all, skipsUnknown: Bool = false,
        allowsNoOutputs: Bool = false, filesReadableByOthers: Set<String> = []
    ) {
        self.inputs = inputs
        self.outputs = outputs
        self.skipsUnknown = skipsUnknown
        self.allowsNoOutputs = allowsNoOutputs
        self.filesReadableByOthers = filesReadableByOthers
    }

    /// `issues` are those of reading and merging the files; with an error among them no config comes out, unless faulty
    /// ones are kept.
    public func decode(_ root: ConfigNode, issues: [ConfigIssue] = []) -> ConfigReport {
        var run = ConfigDecodingRun(decoder: self, issues: issues)
        let config = run.decode(root)
        let sorted = run.issues.sorted()
        return ConfigReport(
            config: sorted.hasErrors && !keepsFaulty ? nil : config, issues: sorted, origins: run.origins)
    }
}

/// One run of the decoder: collects issues and places.
struct ConfigDecodingRun {
    let decoder: ConfigDecoder
    var issues: [ConfigIssue]
    var origins: [String: ConfigOrigin] = [:]
    /// Ids of plugins so far, with their group, and the number that the next one of a name may get.
    var ids: Set<String> = []
    var numbers: [String: Int] = [:]
    /// Unknown plugins already reported.
    var reported: Set<String> = []
    /// Those of them that are left out.
    var skipped: [String] = []
    /// Routes through tunnels of our own, whose names are checked when all tunnels are known.
    var roads: [(road: TunnelRoad, place: ConfigOrigin, key: String)] = []
    /// `metric_buffer_limit` of each output.
    var bufferLimits: [Int64] = []
    private let hadErrors: Bool

    init(decoder: ConfigDecoder, issues: [ConfigIssue]) {
        self.decoder = decoder
        self.issues = issues
        hadErrors = issues.hasErrors
    }

    static let sections = [
        "global_tags", "agent", "spill", "status", "inputs", "outputs", "processors", "aggregators", "tunnels",
        "forwards", "metadata_relay", "pushprox",
    ]
    /// Sections of Telegraf and of later versions.
    static let unavailableSections: Set<String> = [
        "secretstores", "api", "hub",
    ]

    mutating func decode(_ root: ConfigNode) -> Config {
        checkSections(root)
        let agent = AgentConfig(section("agent", SectionSpecs.agent, root))
        var config = Config(
            globalTags: globalTags(root), agent: agent, spill: SpillConfig(section("spill", SectionSpecs.spill, root)),
            status: StatusConfig(section("status", SectionSpecs.status, root)))
        for name in ["inputs", "plugins"] {
            for instance in instances(name, root) { add(input: instance, agent, &config.inputs) }
        }
        for instance in instances("outputs", root) { add(output: instance, agent, &config.outputs) }
        addProcessing(root, agent, &config)
        applyBufferLimits(root["spill"], &config.spill)
        config.tunnels = tunnels(root)
        config.relay = relay(root)
        config.pushprox = pushprox(root)
        addRoads(to: &config.tunnels)
        checkPresence(config, root)
        config.skipped = skipped
        return config
    }

    private mutating func checkSections(_ root: ConfigNode) {
        for entry in root.entries {
            let isOldInputs = entry.key == "plugins" && !entry.value.entries.isEmpty
            if ConfigDecodingRun.sections.contains(entry.key) || entry.key == "tags" || isOldInputs { continue }
            if ConfigDecodingRun.unavailableSections.contains(entry.key) || entry.key == "plugins" {
                refuse(entry.key, entry.origin, "this section is not available in this version")
                continue
            }
            let message: String
            switch entry.value.kind {
            case .table, .array: message = "unknown section"
            default: message = "an option must stand in a section such as [agent]"
            }
            issues.append(
                ConfigIssue(
                    .error, entry.origin, entry.key, message,
                    nearest: NearestName.find(entry.key, among: ConfigDecodingRun.sections)))
        }
    }

    /// An error, or a warning where the unknown is skipped. Once per name.
    mutating func refuse(_ key: String, _ origin: ConfigOrigin, _ message: String, nearest: String? = nil) {
        guard reported.insert(key).inserted else { return }
        let skips = decoder.skipsUnknown
        if skips { skipped.append(key) }
        issues.append(
            ConfigIssue(
                skips ? .warning : .error, origin, key, skips ? "\(message); skipped" : message, nearest: nearest))
    }

    private mutating func section(_ name: String, _ specs: [OptionSpec], _ root: ConfigNode) -> OptionValues {
        guard let node = root[name] else { return OptionValues(specs) }
        guard case .table(let entries) = node.kind else {
            issues.append(
                ConfigIssue(.error, node.origin, name, "expected a section [\(name)], found \(node.kindName)"))
            return OptionValues(specs)
        }
        origins[name] = node.origin
        let reader = OptionReader(path: name, specs: specs, filesReadableByOthers: decoder.filesReadableByOthers)
        return OptionValues(specs, set: reader.read(entries, &issues).values)
    }

    private mutating func globalTags(_ root: ConfigNode) -> [Tag] {
        var tags: [Tag] = []
        // The old spelling first: a tag under the new one wins.
        for name in ["tags", "global_tags"] {
            guard let node = root[name] else { continue }
            guard case .table(let entries) = node.kind else {
                issues.append(
                    ConfigIssue(.error, node.origin, name, "expected a section [\(name)], found \(node.kindName)"))
                continue
            }
            origins["global_tags"] = node.origin
            for entry in entries {
                if case .string(let text) = entry.value.kind {
                    tags.append(Tag(entry.key, text))
                } else {
                    let message = "expected a string, found \(entry.value.kindName)"
                    issues.append(ConfigIssue(.error, entry.origin, "\(name).\(entry.key)", message))
                }
            }
        }
        return Series.normalized(tags)
    }

    /// A configuration that does nothing is a mistake; but after other errors nobody knows what is missing.
    private mutating func checkPresence(_ config: Config, _ root: ConfigNode) {
        guard !hadErrors, !issues.hasErrors else { return }
        // A relay or a scrape proxy need not collect anything.
        let hasRole = !config.tunnels.isEmpty || config.relay != nil || !config.pushprox.isEmpty
        if hasRole, config.inputs.isEmpty, config.outputs.isEmpty { return }
        let place = ConfigOrigin(file: root.origin.file, line: 0)
        if config.inputs.isEmpty {
            issues.append(
                ConfigIssue(.error, place, "inputs", "no input is configured; add one, such as [[inputs.cpu]]"))
        }
        if config.outputs.isEmpty, !decoder.allowsNoOutputs {
            let message = "no output is configured; add [[outputs.influxdb]] or [[outputs.file]]"
            issues.append(ConfigIssue(.error, place, "outputs", message))
        }
    }

    // MARK: Plugin tables

    /// One plugin table of the file.
    struct Instance {
        /// `inputs`, `outputs`, `processors` or `aggregators`, as written.
        var group: String
        var plugin: String
        var origin: ConfigOrigin
        var entries: [ConfigEntry]
        var path: String { plugin.isEmpty ? group : "\(group).\(plugin)" }
    }

    /// All tables of a group in the order of the files: `[[inputs.cpu]]` and the old `[inputs.cpu]`.
    mutating func instances(_ group: String, _ root: ConfigNode) -> [Instance] {
        guard let node = root[group] else { return [] }
        guard case .table(let plugins) = node.kind else {
            if group != "plugins" {
                let message = "expected sections such as [[\(group).name]], found \(node.kindName)"
                issues.append(ConfigIssue(.error, node.origin, group, message))
            }
            return []
        }
        var found: [Instance] = []
        for plugin in plugins {
            let tables: [ConfigNode]
            if case .array(let nodes) = plugin.value.kind { tables = nodes } else { tables = [plugin.value] }
            for table in tables {
                guard case .table(let entries) = table.kind else {
                    let message = "expected [[\(group).\(plugin.key)]], found \(table.kindName)"
                    issues.append(ConfigIssue(.error, table.origin, "\(group).\(plugin.key)", message))
                    continue
                }
                found.append(Instance(group: group, plugin: plugin.key, origin: table.origin, entries: entries))
            }
        }
        return found
    }
}
