import Pipeline
import Synchronization

/// What input `internal` asks: the counters of the agent that it runs in.
public protocol AgentCounters: Sendable {
    var version: String { get }
    func statistics() async -> [AgentStatistic]
}

/// An agent that counts nothing, for tests and for a single gather.
public struct NoAgentCounters: AgentCounters {
    public let version: String

    public init(version: String = "") { self.version = version }

    public func statistics() async -> [AgentStatistic] { [] }
}

/// An output's figures at one moment. Points, unless said.
public struct OutputFigures: Sendable, Hashable {
    public var plugin: String
    public var alias: String
    public var id: String
    public var added: UInt64 = 0
    public var written: UInt64 = 0
    public var rejected: UInt64 = 0
    public var dropped: UInt64 = 0
    public var pending: UInt64 = 0
    /// Points that the backlog can hold, at the size that points have now.
    public var limit: UInt64 = 0
    /// Requests that did not deliver.
    public var failures: UInt64 = 0
    /// Bytes of the bodies of requests.
    public var bytes: UInt64 = 0
    public var latency = Duration.zero

    public init(plugin: String, alias: String, id: String) {
        self.plugin = plugin
        self.alias = alias
        self.id = id
    }
}

/// The counters of the whole process: they survive reloads, which replace inputs and outputs.
///
/// Inputs are counted here as they gather; outputs are asked when somebody reads.
public final class AgentLedger: AgentCounters {
    /// Who an input is, for tags.
    public struct Input: Sendable, Hashable {
        public var plugin: String
        public var alias: String
        public var id: String

        public init(plugin: String, alias: String, id: String) {
            self.plugin = plugin
            self.alias = alias
            self.id = id
        }
    }

    private struct Gathers {
        var points: Int64 = 0
        var errors: Int64 = 0
        var failed: Int64 = 0
        var timeouts: Int64 = 0
        var time = AverageStatistic()
    }

    /// A counter that begins anew with its output goes on from where it was.
    private struct Monotone {
        var base: Int64 = 0
        var last: Int64 = 0

        mutating func follow(_ value: UInt64) -> Int64 {
            let value = Int64(clamping: value)
            if value < last { base = base.addingSaturated(last) }
            last = value
            return base.addingSaturated(value)
        }
    }

    private struct State {
        var inputs: [Input: Gathers] = [:]
        var outputs: [String: [String: Monotone]] = [:]
        var source: (@Sendable () async -> [OutputFigures])?
    }

    public let version: String
    private let state = Mutex(State())

    public init(version: String) { self.version = version }

    /// Who knows the outputs.
    public func connect(_ source: @escaping @Sendable () async -> [OutputFigures]) {
        state.withLock { $0.source = source }
    }

    /// One gather has ended, or (without a time) points have come from outside.
    public func gathered(_ input: Input, points: Int, errors: Int, time: Duration?) {
        state.withLock { state in
            state.inputs[input, default: Gathers()].points &+= Int64(points)
            state.inputs[input, default: Gathers()].errors &+= Int64(errors)
            state.inputs[input, default: Gathers()].failed &+= errors > 0 ? 1 : 0
            if let time { state.inputs[input, default: Gathers()].time.add(time.wholeNanoseconds) }
        }
    }

    /// A gather has run past ticks of its input.
    public func timedOut(_ input: Input, ticks: UInt64) {
        state.withLock { $0.inputs[input, default: Gathers()].timeouts &+= Int64(clamping: ticks) }
    }

    public func statistics() async -> [AgentStatistic] {
        let figures = await state.withLock(\.source)?() ?? []
        return state.withLock { state in
            var statistics: [AgentStatistic] = []
            var sums: [String: Int64] = [:]
            for (input, _) in state.inputs.sorted(by: { $0.key.id < $1.key.id }) {
                guard var gathers = state.inputs[input] else { continue }
                let tags = AgentLedger.tags("input", input.plugin, input.alias)
                for (field, value) in [
                    ("errors", gathers.errors), ("gather_errors", gathers.failed),
                    ("gather_time_ns", gathers.time.read()), ("gather_timeouts", gathers.timeouts),
                    ("metrics_gathered", gathers.points), ("startup_errors", 0),
                ] {
                    statistics.append(
                        AgentStatistic(
                            measurement: "gather", field: field, tags: tags, instance: input.id, value: value))
                    sums[field, default: 0] &+= value
                }
                state.inputs[input] = gathers
            }
            for output in figures { statistics += AgentLedger.write(output, &state, &sums) }
            for field in [
                "gather_errors", "gather_timeouts", "metrics_dropped", "metrics_gathered", "metrics_rejected",
                "metrics_written", "write_errors",
            ] {
                statistics.append(
                    AgentStatistic(measurement: "agent", field: field, tags: [], value: sums[field] ?? 0))
            }
            return statistics
        }
    }

    private static func tags(_ kind: String, _ plugin: String, _ alias: String) -> [Tag] {
        [Tag(kind, plugin)] + (alias.isEmpty ? [] : [Tag("alias", alias)])
    }

    private static func write(
        _ output: OutputFigures, _ state: inout State, _ sums: inout [String: Int64]
    ) -> [AgentStatistic] {
        var counters: [(String, UInt64)] = [
            ("errors", output.failures), ("metrics_added", output.added), ("metrics_dropped", output.dropped),
            ("metrics_filtered", 0), ("metrics_rejected", output.rejected), ("metrics_written", output.written),
            ("startup_errors", 0), ("write_errors", output.failures),
        ]
        if output.plugin.hasPrefix("influxdb") { counters.append(("bytes_written", output.bytes)) }
        var fields: [(String, Int64)] = []
        for (field, value) in counters {
            let total = state.outputs[output.id, default: [:]][field, default: Monotone()].follow(value)
            fields.append((field, total))
            sums[field, default: 0] &+= total
        }
        fields.append(("buffer_limit", Int64(clamping: output.limit)))
        fields.append(("buffer_size", Int64(clamping: output.pending)))
        fields.append(("write_time_ns", output.latency.wholeNanoseconds))
        let tags = tags("output", output.plugin, output.alias)
        return fields.map {
            AgentStatistic(measurement: "write", field: $0.0, tags: tags, instance: output.id, value: $0.1)
        }
    }
}
