import Pipeline

/// Input `interrupts`: how often each CPU served each interrupt, from /proc/interrupts and /proc/softirqs.
///
/// Keeps: the series of the rows, which stand where they stood as a rule. Honours HOST_PROC (the reference does not).
public actor InterruptsCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "interrupts", summary: "Interrupts and software interrupts of each CPU.",
            options: [
                OptionSpec("cpu_as_tag", .bool(false), "A point for each CPU with the tag cpu, instead of a field.")
            ],
            metrics: [("interrupts", "interrupts"), ("soft_interrupts", "softirqs")].map { measurement, file in
                MetricSpec(
                    measurement, tags: ["irq", "type", "device", "cpu"],
                    fields: [
                        MetricSpec.Field("CPU*", .int, .count, "/proc/\(file), without cpu_as_tag"),
                        MetricSpec.Field("total", .int, .count, "/proc/\(file), sum of the row, without cpu_as_tag"),
                        MetricSpec.Field("count", .int, .count, "/proc/\(file), with cpu_as_tag"),
                    ])
            })
    }

    /// A row as it was in the tick before.
    private struct Known {
        let name: [UInt8]
        let rest: [UInt8]
        /// One, or one a CPU.
        let series: [Series]
    }

    private struct Table {
        let measurement: String
        let source: String
        let file: HostFile
        var known: [Known] = []
        /// Names of the CPUs that `known` was made for.
        var cpus: [String] = []
        /// By number of counts.
        var schemas: [Int: Schema] = [:]
    }

    private static let countSchema = Schema([.int("count")])

    private let host: any Host
    private let hasCPUTag: Bool
    private var tables = [
        Table(measurement: "interrupts", source: "interrupts", file: HostFile(.proc, "interrupts")),
        Table(measurement: "soft_interrupts", source: "softirqs", file: HostFile(.proc, "softirqs")),
    ]
    private var buffer: [UInt8] = []

    public init(options: OptionValues, host: any Host) {
        self.host = host
        hasCPUTag = options.bool("cpu_as_tag")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        for index in tables.indices {
            do {
                try host.read(tables[index].file, into: &buffer)
                let parsed = try ProcInterrupts.parse(buffer, source: tables[index].source)
                append(parsed, &tables[index], time, to: &gather.samples)
            } catch {
                gather.errors.append("\(error)")
            }
        }
        return gather
    }

    private func append(
        _ parsed: ProcInterrupts, _ table: inout Table, _ time: Timestamp, to samples: inout SampleSet
    ) {
        let cursor = ByteCursor(buffer)
        if table.cpus.count != parsed.cpus.count
            || !zip(table.cpus, parsed.cpus).allSatisfy({ cursor.equals($1, Array($0.utf8)) })
        {
            table.cpus = parsed.cpus.map(cursor.text)
            table.known = []
            table.schemas = [:]
        }
        for (index, row) in parsed.rows.enumerated() {
            let series = series(of: row, at: index, cursor, &table)
            let counts = parsed.counts[row.counts]
            if hasCPUTag {
                for (series, count) in zip(series, counts) {
                    samples.append(series, InterruptsCollector.countSchema, at: time)
                    samples.int(count)
                }
            } else if let first = series.first {
                samples.append(first, schema(counts.count, &table), at: time)
                for count in counts { samples.int(count) }
                samples.int(counts.reduce(0) { $0.addingSaturated($1) })
            }
        }
        if table.known.count > parsed.rows.count { table.known.removeLast(table.known.count - parsed.rows.count) }
    }

    private func schema(_ count: Int, _ table: inout Table) -> Schema {
        if let found = table.schemas[count] { return found }
        let made = Schema(table.cpus.prefix(count).map { .int($0) } + [.int("total")])
        table.schemas[count] = made
        return made
    }

    private func series(
        of row: ProcInterrupts.Row, at index: Int, _ cursor: ByteCursor, _ table: inout Table
    ) -> [Series] {
        func isSame(_ known: Known) -> Bool {
            cursor.equals(row.name, known.name) && cursor.equals(row.rest, known.rest)
        }
        if index < table.known.count, isSame(table.known[index]) { return table.known[index].series }
        var entry: Known
        if let moved = table.known.first(where: isSame) {
            entry = moved
        } else {
            let tags = ProcInterrupts.tags(row, buffer)
            let series =
                hasCPUTag
                ? table.cpus.map { Series(table.measurement, tags: tags + [Tag("cpu", $0.lowercased())]) }
                : [Series(table.measurement, tags: tags)]
            entry = Known(name: Array(buffer[row.name]), rest: Array(buffer[row.rest]), series: series)
        }
        if index < table.known.count { table.known[index] = entry } else { table.known.append(entry) }
        return entry.series
    }
}
