/// A checked configuration: everything has a value, nothing is left to guess.
public struct Config: Sendable, Hashable {
    /// Tags for the points of all inputs, sorted; without `host`, which only the running machine knows.
    public var globalTags: [Tag]
    public var agent: AgentConfig
    public var spill: SpillConfig
    public var status: StatusConfig
    public var inputs: [InputConfig]
    public var outputs: [OutputConfig]
    /// In the order of the files; they run by their `order`.
    public var processors: [ProcessorConfig] = []
    public var aggregators: [AggregatorConfig] = []
    /// Plugins and sections of the files that this version does not have and was told to skip: `inputs.kafka_consumer`.
    public var skipped: [String] = []
    /// Each after those that it goes through.
    public var tunnels: [TunnelConfig]
    /// `[metadata_relay]`; nil without it.
    public var relay: RelayConfig?
    /// `[pushprox.proxy]` and `[pushprox.client]`.
    public var pushprox = PushProxConfig()

    public init(
        globalTags: [Tag] = [], agent: AgentConfig = AgentConfig(), spill: SpillConfig = SpillConfig(),
        status: StatusConfig = StatusConfig(), inputs: [InputConfig] = [], outputs: [OutputConfig] = [],
        tunnels: [TunnelConfig] = []
    ) {
        self.globalTags = globalTags
        self.agent = agent
        self.spill = spill
        self.status = status
        self.inputs = inputs
        self.outputs = outputs
        self.tunnels = tunnels
    }

    /// Whether points go through processors or aggregators.
    public var hasChain: Bool { !processors.isEmpty || !aggregators.isEmpty }

    /// The global tags with `host`, unless it is omitted or set by hand. `nodeName` is the kernel's name of the machine.
    public func globalTags(nodeName: String) -> [Tag] {
        guard !agent.omitsHostname else { return globalTags }
        let host = agent.hostname.isEmpty ? nodeName : agent.hostname
        return Series.normalized([Tag("host", host)] + globalTags)
    }
}

/// `[agent]`.
public struct AgentConfig: Sendable, Hashable {
    public let values: OptionValues

    /// All defaults, or the values of a file.
    public init(_ values: OptionValues = OptionValues(SectionSpecs.agent)) { self.values = values }

    public var interval: Duration { values.duration("interval") }
    public var roundsInterval: Bool { values.bool("round_interval") }
    public var collectionJitter: Duration { values.duration("collection_jitter") }
    public var collectionOffset: Duration { values.duration("collection_offset") }
    /// As configured: 0 = by the interval. Inputs carry what results.
    public var precision: Duration { values.duration("precision") }
    public var flushInterval: Duration { values.duration("flush_interval") }
    public var flushJitter: Duration { values.duration("flush_jitter") }
    /// Points at which a batch is sealed.
    public var batchSize: Int { Int(clamping: values.integer("metric_batch_size")) }
    /// Empty = the kernel's name of the machine.
    public var hostname: String { values.string("hostname") }
    public var omitsHostname: Bool { values.bool("omit_hostname") }
    /// Empty = standard error.
    public var logFile: String { values.string("logfile") }
    public var logsJSON: Bool { values.string("logformat") == "structured" }
    public var logLevel: ConfigLogLevel {
        if values.bool("debug") { return .debug }
        return values.bool("quiet") ? .error : .info
    }
    /// Empty = by the environment.
    public var stateDirectory: String { values.string("state_directory") }
    public var keepsLocalTags: Bool { values.bool("always_include_local_tags") }
    public var keepsGlobalTags: Bool { values.bool("always_include_global_tags") }
    /// Whether points of inputs, and whether aggregates, go through the processors.
    public var processesOriginals: Bool { !values.bool("skip_processors_before_aggregators") }
    public var processesAggregates: Bool { !values.bool("skip_processors_after_aggregators") }
}

/// How much is logged.
public enum ConfigLogLevel: String, Sendable, Hashable {
    case error, warn, info, debug, trace
}

/// `[spill]`.
public struct SpillConfig: Sendable, Hashable {
    public let values: OptionValues

    public init(_ values: OptionValues = OptionValues(SectionSpecs.spill)) { self.values = values }

    /// Empty = `spill` in the state directory.
    public var directory: String { values.string("directory") }
    /// Rate at which backlog is sent beside live data.
    public var replayBytesPerSecond: Int { Int(clamping: values.size("replay_bytes_per_second")) }

    /// The limits of each stream's log.
    public var settings: SpillSettings {
        var settings = SpillSettings()
        settings.mode = SpillMode(rawValue: values.string("mode")) ?? .always
        settings.bytesLimit = Int(clamping: values.size("max_bytes"))
        settings.ageLimit = values.duration("max_age")
        settings.freeFloorBytes = Int(clamping: values.size("min_free_bytes"))
        settings.freeFloorPercent = Int(clamping: values.integer("min_free_percent"))
        settings.segmentBytes = Int(clamping: values.size("segment_bytes"))
        settings.segmentAge = values.duration("segment_age")
        settings.syncInterval = values.duration("sync_interval")
        settings.syncBytes = Int(clamping: values.size("sync_bytes"))
        settings.memoryBytes = Int(clamping: values.size("memory_bytes"))
        settings.strictFIFO = values.bool("strict_fifo")
        return settings
    }
}

/// `[status]`.
public struct StatusConfig: Sendable, Hashable {
    public let values: OptionValues

    public init(_ values: OptionValues = OptionValues(SectionSpecs.status)) { self.values = values }

    public var isEnabled: Bool { values.bool("enabled") }
    /// Empty = `godwit.sock` in the runtime directory.
    public var socket: String { values.string("socket") }
    public var group: String { values.string("group") }
    public var clientLimit: Int { Int(clamping: values.integer("max_clients")) }
}
