import Pipeline

/// Input `kernel_vmstat`: every counter of /proc/vmstat, under the kernel's own names.
///
/// Keeps: names and schema as long as the file's names stay the same. Rules: `docs/inputs.md`.
public actor KernelVmstatCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "kernel_vmstat", summary: "Counters of the memory management, from /proc/vmstat.", options: [],
            metrics: [
                MetricSpec(
                    "kernel_vmstat",
                    fields: [.int("*", .count, "/proc/vmstat: every line, under its name; pages or events since boot")],
                    note:
                        "Which names there are depends on the kernel: as a rule 150 to 190. Those with `nr_` are levels."
                )
            ])
    }

    private let host: any Host
    private let series = Series("kernel_vmstat")
    private let file = HostFile(.proc, "vmstat", isSinglePiece: true)
    private var buffer: [UInt8] = []
    private var counters = ProcVmstat()
    private var schema = Schema([])
    private var generation: UInt64 = 0

    public init(host: any Host) { self.host = host }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        do {
            try host.read(file, into: &buffer)
            try counters.update(buffer)
        } catch {
            return Gather(errors: ["\(error)"])
        }
        guard !counters.values.isEmpty else { return Gather() }
        if generation != counters.generation {
            generation = counters.generation
            schema = Schema(counters.names.map { .int($0) })
        }
        var gather = Gather()
        gather.samples.append(series, schema, at: time)
        for value in counters.values { gather.samples.int(value) }
        return gather
    }
}
