/// One `[[inputs.…]]`, with what it inherits from the agent already filled in: two equal values behave the same.
public struct InputConfig: Sendable, Hashable {
    /// Stable across reloads: `cpu`, `cpu::alias`, `cpu#2` for the second without an alias.
    public var id: String
    public var plugin: String
    public var alias: String
    public var schedule: InputSchedule
    public var metric: MetricOptions
    /// nil = the agent's.
    public var logLevel: ConfigLogLevel?
    /// The plugin's own options.
    public var options: OptionValues

    public init(
        id: String, plugin: String, alias: String = "", schedule: InputSchedule,
        metric: MetricOptions = MetricOptions(),
        logLevel: ConfigLogLevel? = nil, options: OptionValues
    ) {
        self.id = id
        self.plugin = plugin
        self.alias = alias
        self.schedule = schedule
        self.metric = metric
        self.logLevel = logLevel
        self.options = options
    }
}

/// When an input is read, and what its timestamps are.
public struct InputSchedule: Sendable, Hashable {
    public enum TimeSource: String, Sendable, Hashable {
        case metric
        case collectionStart = "collection_start"
        case collectionEnd = "collection_end"
    }

    public var interval: Duration
    public var roundsInterval: Bool
    public var jitter: Duration
    public var offset: Duration
    /// Timestamps are rounded to the nearest multiple; 0 = not at all.
    public var precision: Duration
    public var timeSource: TimeSource
    /// What timestamps of points are rounded to that come from elsewhere: the same, but for service inputs only what the
    /// plugin's own table asks for.
    public var arrivalPrecision: Duration

    public init(
        interval: Duration, roundsInterval: Bool = true, jitter: Duration = .zero, offset: Duration = .zero,
        precision: Duration? = nil, timeSource: TimeSource = .metric,
        arrivalPrecision: Duration? = nil
    ) {
        self.interval = interval
        self.roundsInterval = roundsInterval
        self.jitter = jitter
        self.offset = offset
        self.precision = precision ?? TickSchedule.precision(configured: .zero, interval: interval)
        self.timeSource = timeSource
        self.arrivalPrecision = arrivalPrecision ?? self.precision
    }
}

/// One `[[outputs.…]]`, with what it inherits from the agent already filled in.
public struct OutputConfig: Sendable, Hashable {
    /// Stable across reloads, as for inputs. The backlog of an output belongs to its id.
    public var id: String
    public var plugin: String
    public var alias: String
    public var flush: FlushConfig
    public var metric: MetricOptions
    /// In order of preference; never empty for outputs with a server.
    public var routes: [RouteConfig]
    /// nil = the agent's.
    public var logLevel: ConfigLogLevel?
    /// The plugin's own options.
    public var options: OptionValues

    public init(
        id: String, plugin: String, alias: String = "", flush: FlushConfig, metric: MetricOptions = MetricOptions(),
        routes: [RouteConfig] = [], logLevel: ConfigLogLevel? = nil, options: OptionValues
    ) {
        self.id = id
        self.plugin = plugin
        self.alias = alias
        self.flush = flush
        self.metric = metric
        self.routes = routes
        self.logLevel = logLevel
        self.options = options
    }

    /// Whether its destination refuses a sample that is older than the newest one of its series.
    public var keepsOrder: Bool { options.isOn("in_order") }

    /// How the points of this output are encoded and cut into batches. Outputs with equal encodings can share a stream.
    public var encoding: OutputEncoding {
        OutputEncoding(
            metric: metric, flush: flush, writesUnsigned: options.isOn("influx_uint_support"),
            omitsTimestamp: options.isOn("influx_omit_timestamp"),
            isCompressed: options.has("content_encoding") ? options.string("content_encoding") == "gzip" : nil,
            writesSpecials: OutputSpecs.takingSpecials.contains(plugin))
    }

    /// The id as the name of a folder: letters, digits, `_`, `-`, `:` and `#` as they are, other bytes as `%2F`.
    /// No two ids have one name, and none is hidden or leads out of its parent.
    public var folderName: String {
        var name = ""
        for byte in id.utf8 {
            let scalar = Unicode.Scalar(byte)
            if byte < 0x80, scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "_-:#".utf8.contains(byte)
            {
                name.unicodeScalars.append(scalar)
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                name += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
            }
        }
        return name
    }
}

/// What decides the bytes of an output's batches.
public struct OutputEncoding: Sendable, Hashable {
    /// Names and filters of the output.
    public var metric: MetricOptions
    public var flush: FlushConfig
    /// Write unsigned fields as `123u`.
    public var writesUnsigned: Bool
    public var omitsTimestamp: Bool
    /// Whether the output wants gzip; nil = it takes both.
    public var isCompressed: Bool?
    /// Whether ends of series, NaN and infinities are written too, as no database takes them.
    public var writesSpecials: Bool

    public init(
        metric: MetricOptions, flush: FlushConfig, writesUnsigned: Bool, omitsTimestamp: Bool, isCompressed: Bool?,
        writesSpecials: Bool = false
    ) {
        self.metric = metric
        self.flush = flush
        self.writesUnsigned = writesUnsigned
        self.omitsTimestamp = omitsTimestamp
        self.isCompressed = isCompressed
        self.writesSpecials = writesSpecials
    }
}

/// When an output's batches are sealed.
public struct FlushConfig: Sendable, Hashable {
    public var interval: Duration
    public var jitter: Duration
    /// Points at which a batch is sealed early.
    public var batchSize: Int

    public init(interval: Duration, jitter: Duration = .zero, batchSize: Int) {
        self.interval = interval
        self.jitter = jitter
        self.batchSize = batchSize
    }

    /// As the agent says.
    public init(_ agent: AgentConfig) {
        self.init(interval: agent.flushInterval, jitter: agent.flushJitter, batchSize: agent.batchSize)
    }
}
