import Pipeline

/// What one tick of a collector gave. Errors do not void the points: what could be read flows on.
public struct Gather: Sendable {
    public var samples: SampleSet
    /// What went wrong, one text an incident, for the log and the status.
    public var errors: [String]

    public init(samples: SampleSet = SampleSet(), errors: [String] = []) {
        self.samples = samples
        self.errors = errors
    }
}

/// An input: an actor that reads its kernel sources once per tick. It keeps what rates need between ticks (counters of
/// the previous gather, open descriptors, `Series`), knows nothing of schedules, names, filters or outputs.
public protocol Collector: Actor {
    /// Reads once. `time` is the timestamp of the points (the runner rounds it), `now` the monotonic clock for rates;
    /// at `deadline`, the end of the interval, it gives what it has.
    func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather
}

/// How an input is registered: its declaration and how to make one.
///
/// Why declarations are computed, here and in every plugin: they are read while a configuration is, and kept they would be
/// a twentieth of the agent's memory.
public struct InputPlugin: Sendable {
    public typealias Maker =
        @Sendable (_ options: OptionValues, _ environment: InputEnvironment) throws -> any Collector

    public var spec: PluginSpec { declaration() }
    private let declaration: @Sendable () -> PluginSpec
    private let maker: Maker

    /// An input that needs the host alone.
    public init(
        spec: @autoclosure @escaping @Sendable () -> PluginSpec,
        make: @escaping @Sendable (_ options: OptionValues, _ host: any Host) throws -> any Collector
    ) {
        declaration = spec
        maker = { options, environment in try make(options, environment.host) }
    }

    /// An input that needs more of what the agent lends.
    public init(spec: @autoclosure @escaping @Sendable () -> PluginSpec, makeIn: @escaping Maker) {
        declaration = spec
        maker = makeIn
    }

    /// Throws `CollectorError` when the options name something that cannot work on this host.
    public func make(_ options: OptionValues, in environment: InputEnvironment) throws -> any Collector {
        try maker(options, environment)
    }

    /// The same without a running agent, for tests and tools.
    public func make(
        _ options: OptionValues, _ host: any Host, agent: any AgentCounters = NoAgentCounters()
    ) throws -> any Collector {
        try maker(options, InputEnvironment(alone: host, agent: agent))
    }
}

/// Why a collector cannot be made.
public struct CollectorError: Error, CustomStringConvertible {
    public var description: String
    /// The option that is to blame; empty where it is none, or not one alone.
    public var option: String

    public init(_ description: String, option: String = "") {
        self.description = description
        self.option = option
    }
}
