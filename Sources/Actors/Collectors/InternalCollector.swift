import CLinux
import Glibc
import Pipeline

/// Input `internal`: the agent's own counters, one measurement a kind of part, `internal_` in front.
///
/// Keeps: series and schemas by what they show. Rules: `docs/inputs.md`. Of the fields of `internal_memstats`, which are
/// terms of Telegraf's runtime, those have a value that the C library's allocator knows; the others are 0, so that
/// columns stay.
public actor InternalCollector: Collector {
    public static let spec = PluginSpec(
        name: "internal", summary: "The agent's own counters.",
        options: [
            OptionSpec("collect_memstats", .bool(true), "The measurement internal_memstats."),
            OptionSpec(
                "collect_gostats", .bool(false), "Figures of the Go runtime.",
                ignoredBecause: "there is no Go runtime"),
            OptionSpec("per_instance", .bool(false), "Instances of one plugin apart, with the tag _id."),
        ])

    private struct Key: Hashable {
        var measurement: String
        var tags: [Tag]
    }

    private static let memorySchema = Schema(
        [
            "alloc_bytes", "total_alloc_bytes", "sys_bytes", "pointer_lookups", "mallocs", "frees", "heap_alloc_bytes",
            "heap_sys_bytes", "heap_idle_bytes", "heap_in_use_bytes", "heap_released_bytes", "heap_objects", "num_gc",
        ].map { .uint($0) })

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
