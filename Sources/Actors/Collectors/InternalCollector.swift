import CLinux
import Glibc
import Pipeline

/// Input `internal`: the agent's own counters, one measurement a kind of part, `internal_` in front.
///
/// Keeps: series and schemas by what they show. Rules: `docs/inputs.md`. Of the fields of `internal_memstats`, which are
/// terms of Telegraf's runtime, those have a value that the C library's allocator knows; the others are 0, so that
/// columns stay.
public actor InternalCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "internal", summary: "The agent's own counters.",
            options: [
                OptionSpec("collect_memstats", .bool(true), "The measurement internal_memstats."),
                OptionSpec(
                    "collect_gostats", .bool(false), "Figures of the Go runtime.",
                    ignoredBecause: "there is no Go runtime"),
                OptionSpec("per_instance", .bool(false), "Instances of one plugin apart, with the tag _id."),
            ],
            metrics: [
                MetricSpec("internal_agent", tags: ["version"], fields: agentFields),
                MetricSpec("internal_gather", tags: ["input", "alias", "version", "_id"], fields: gatherFields),
                MetricSpec("internal_write", tags: ["output", "alias", "version", "_id"], fields: writeFields),
                MetricSpec("internal_memstats", fields: memoryFields),
            ])
    }

    private static let agentFields: [MetricSpec.Field] = [
        .int("gather_errors", .count, "gathers with an error, of all inputs"),
        .int("gather_timeouts", .count, "ticks missed, of all inputs"),
        .int("metrics_dropped", .count, "points given up, of all outputs"),
        .int("metrics_gathered", .count, "points, of all inputs"),
        .int("metrics_rejected", .count, "points refused by servers, of all outputs"),
        .int("metrics_written", .count, "points delivered, of all outputs"),
        .int("write_errors", .count, "requests that did not deliver, of all outputs"),
    ]
    private static let gatherFields: [MetricSpec.Field] = [
        .int("errors", .count, "errors that gathers reported"), .int("gather_errors", .count, "gathers with an error"),
        .int("gather_time_ns", .nanoseconds, "mean of the gathers since the last reading"),
        .int("gather_timeouts", .count, "ticks that passed while a gather was running"),
        .int("metrics_gathered", .count, "points"), .int("startup_errors", .count, "always 0"),
    ]
    private static let writeFields: [MetricSpec.Field] = [
        .int("errors", .count, "requests that did not deliver"),
        .int("metrics_added", .count, "points sealed for this output"),
        .int("metrics_dropped", .count, "points given up"), .int("metrics_filtered", .count, "always 0"),
        .int("metrics_rejected", .count, "points refused by the server"),
        .int("metrics_written", .count, "points delivered"), .int("startup_errors", .count, "always 0"),
        .int("write_errors", .count, "requests that did not deliver"),
        .int("bytes_written", .bytes, "bodies of requests as they were sent; influxdb only"),
        .int("buffer_limit", .count, "points that the backlog can hold, at their present size"),
        .int("buffer_size", .count, "points in the backlog"),
        .int("write_time_ns", .nanoseconds, "the last request that was accepted"),
    ]
    private static let memoryFields: [MetricSpec.Field] = [
        .uint("alloc_bytes", .bytes, "mallinfo2(3): in use"), .uint("total_alloc_bytes", .bytes, "always 0"),
        .uint("sys_bytes", .bytes, "mallinfo2(3): taken from the kernel"), .uint("pointer_lookups", .count, "always 0"),
        .uint("mallocs", .count, "always 0"), .uint("frees", .count, "always 0"),
        .uint("heap_alloc_bytes", .bytes, "as alloc_bytes"), .uint("heap_sys_bytes", .bytes, "as sys_bytes"),
        .uint("heap_idle_bytes", .bytes, "mallinfo2(3): held and free"),
        .uint("heap_in_use_bytes", .bytes, "as alloc_bytes"), .uint("heap_released_bytes", .bytes, "always 0"),
        .uint("heap_objects", .count, "always 0"), .uint("num_gc", .count, "always 0"),
    ]

    private struct Key: Hashable {
        var measurement: String
        var tags: [Tag]
    }

    private static let memorySchema = Schema(declared: memoryFields)

    private let agent: any AgentCounters
    private let showsMemory: Bool
    private let perInstance: Bool
    private let memorySeries = Series("internal_memstats")
    private var known: [Key: (series: Series, schema: Schema)] = [:]

    public init(options: OptionValues, agent: any AgentCounters) {
        self.agent = agent
        showsMemory = options.bool("collect_memstats")
        perInstance = options.bool("per_instance")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        if showsMemory { appendMemory(time, to: &gather.samples) }
        let points = AgentStatistic.points(
            await agent.statistics(), version: agent.version, perInstance: perInstance)
        for point in points {
            let (series, schema) = entry(point)
            gather.samples.append(series, schema, at: time)
            for (_, value) in point.fields { gather.samples.int(value) }
        }
        // Plugins that are gone are forgotten.
        if known.count > points.count {
            let present = Set(points.map { Key(measurement: $0.measurement, tags: $0.tags) })
            known = known.filter { present.contains($0.key) }
        }
        return gather
    }

    private func entry(_ point: AgentStatistic.Point) -> (series: Series, schema: Schema) {
        let key = Key(measurement: point.measurement, tags: point.tags)
        let found = known[key]
        if let found, found.schema.fields.elementsEqual(point.fields, by: { $0.key == $1.key }) { return found }
        let series = found?.series ?? Series("internal_" + point.measurement, tags: point.tags)
        let made = (series, Schema(point.fields.map { .int($0.key) }))
        known[key] = made
        return made
    }

    private func appendMemory(_ time: Timestamp, to samples: inout SampleSet) {
        let memory = mallinfo2()
        let used = UInt64(memory.uordblks).addingSaturated(UInt64(memory.hblkhd))
        let mapped = UInt64(memory.arena).addingSaturated(UInt64(memory.hblkhd))
        samples.append(memorySeries, InternalCollector.memorySchema, at: time)
        for value in [used, 0, mapped, 0, 0, 0, used, mapped, UInt64(memory.fordblks), used, 0, 0, 0] {
            samples.uint(value)
        }
    }
}
