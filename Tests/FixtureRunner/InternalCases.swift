import Actors
import Pipeline

/// `internal/accumulate.json`
enum InternalCases: CaseList {
    private struct Counters: AgentCounters {
        let version = "<v>"
        let all: [AgentStatistic]
        func statistics() async -> [AgentStatistic] { all }
    }

    static func check(_ element: JSONValue) async throws -> [String] {
        let statistics = try (element["stats"]?.array ?? []).map { stat in
            guard let measurement = stat["measurement"]?.string, let field = stat["field"]?.string,
                let value = stat["value"]?.int64
            else { throw CaseError("a stat without measurement, field or value") }
            let tags = ConfigValues.tags(stat["tags"])
            return AgentStatistic(
                measurement: measurement, field: field, tags: tags.filter { $0.key != "_id" },
                instance: tags.first { $0.key == "_id" }?.value, value: value)
        }
        var differences: [String] = []
        for (key, perInstance) in [("per_instance_false", false), ("per_instance_true", true)] {
            guard let expected = element[key].flatMap({ ConfigValues.strings($0) }) else { continue }
            let options = OptionValues(
                InternalCollector.spec.options,
                set: ["collect_memstats": .bool(false), "per_instance": .bool(perInstance)])
            let collector = InternalCollector(options: options, agent: Counters(all: statistics))
            let now = Instant(nanoseconds: 1_000_000_000_000)
            let gather = await collector.gather(
                at: Timestamp(nanoseconds: 1_700_000_000_000_000_000), now: now, deadline: now + .seconds(10))
            differences += try LineComparison.differences(
                expected: Array((expected.joined(separator: "\n") + "\n").utf8),
                actual: try LineComparison.lines(of: gather.samples)
            ).map { "\(key): \($0)" }
        }
        if let timing = element["timing"] {
            var average = AverageStatistic()
            for value in (timing["added"]?.array ?? []).compactMap(\.int64) { average.add(value) }
            for key in ["first_read", "second_read_without_new_values"] {
                let ours = average.read()
                if timing[key]?.int64 != ours { differences.append("timing \(key): \(ours)") }
            }
        }
        return differences
    }
}
