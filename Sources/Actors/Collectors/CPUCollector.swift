import Pipeline

/// Input `cpu`: time and usage of each CPU and of all together, from /proc/stat.
///
/// Keeps: the counters of the previous gather, and the `Series` of each CPU. Rules: `docs/inputs.md`.
/// A CPU whose total time fell (suspend, migration, LXC) gets no usage in that tick and one error; the others go on.
public actor CPUCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "cpu", summary: "Time and usage of each CPU and of all together.",
            options: [
                OptionSpec("percpu", .bool(true), "A point for each CPU."),
                OptionSpec("totalcpu", .bool(true), "A point for all CPUs together, tagged cpu-total."),
                OptionSpec("collect_cpu_time", .bool(false), "The time_ fields: seconds since boot."),
                OptionSpec("report_active", .bool(false), "The fields usage_active and time_active: all but idle."),
                OptionSpec("core_tags", .bool(false), "The tags core_id and physical_id, read once at start."),
                OptionSpec(
                    "rates", .bool(true), "Fields that Telegraf does not have.",
                    ignoredBecause: "the usage_ fields are rates already"),
            ],
            metrics: [MetricSpec("cpu", tags: ["cpu", "core_id", "physical_id"], fields: timeFields + usageFields)])
    }

    /// In the order of the schemas; `active` is last, since it may be missing.
    private static let columns = [
        "user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice", "active",
    ]
    private static let timeFields: [MetricSpec.Field] = columns.map { column in
        let source = column == "active" ? "all columns but idle, guest, guest_nice" : "column \(column)"
        let option = column == "active" ? "collect_cpu_time, report_active" : "collect_cpu_time"
        return .float("time_" + column, .seconds, "/proc/stat: \(source), divided by CLK_TCK; option \(option)")
    }
    private static let usageFields: [MetricSpec.Field] = columns.map { column in
        let source =
            switch column {
            case "user": "user without guest"
            case "nice": "nice without guest_nice"
            case "active": "all columns but idle"
            default: column
            }
        let option = column == "active" ? "; option report_active" : ""
        return .float("usage_" + column, .percent, "/proc/stat: growth of \(source), of that of all time\(option)")
    }

    private struct Known {
        var times: CPUTimes
        let series: Series
    }

    private let host: any Host
    private let eachCPU: Bool
    private let hasTotal: Bool
    private let hasTimes: Bool
    private let hasActive: Bool
    private let timeSchema: Schema
    private let usageSchema: Schema
    private let file = HostFile(.proc, "stat", isSinglePiece: true)
    private var buffer: [UInt8] = []
    private var previous: [Known] = []
    /// nil until read; stays empty without `core_tags`.
    private var coreTags: [String: [Tag]]?

    public init(options: OptionValues, host: any Host) {
        self.host = host
        eachCPU = options.bool("percpu")
        hasTotal = options.bool("totalcpu")
        hasTimes = options.bool("collect_cpu_time")
        hasActive = options.bool("report_active")
        coreTags = options.bool("core_tags") ? nil : [:]
        let left = hasActive ? 0 : 1
        timeSchema = Schema(declared: CPUCollector.timeFields.dropLast(left))
        usageSchema = Schema(declared: CPUCollector.usageFields.dropLast(left))
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        let tags = readCoreTags()
        // An unreadable file is no error: the reference has neither points nor error then.
        do throws(HostError) { try host.read(file, into: &buffer) } catch { buffer.removeAll(keepingCapacity: true) }
        let stat = ProcStat.parse(buffer, eachCPU: eachCPU)
        var rows = stat.cpus
        if hasTotal, let total = stat.total { rows.append(total) }
        var current: [Known] = []
        current.reserveCapacity(rows.count)
        for (index, times) in rows.enumerated() {
            let before = known(times.name, near: index)
            let series =
                before?.series
                ?? Series("cpu", tags: [Tag("cpu", times.name)] + (tags[times.name] ?? []))
            if hasTimes { appendTimes(times, series, time, to: &gather.samples) }
            if let before { appendUsage(times, before.times, series, time, to: &gather) }
            current.append(Known(times: times, series: series))
        }
        previous = current
        return gather
    }

    /// What the previous gather had under this name: as a rule at the same place.
    private func known(_ name: String, near index: Int) -> Known? {
        if index < previous.count, previous[index].times.name == name { return previous[index] }
        return previous.last { $0.times.name == name }
    }

    private func appendTimes(_ times: CPUTimes, _ series: Series, _ time: Timestamp, to samples: inout SampleSet) {
        let ticks = host.ticksPerSecond
        samples.append(series, timeSchema, at: time)
        samples.float(times.user / ticks)
        samples.float(times.system / ticks)
        samples.float(times.idle / ticks)
        samples.float(times.nice / ticks)
        samples.float(times.iowait / ticks)
        samples.float(times.irq / ticks)
        samples.float(times.softirq / ticks)
        samples.float(times.steal / ticks)
        samples.float(times.guest / ticks)
        samples.float(times.guestNice / ticks)
        if hasActive { samples.float(times.active / ticks) }
    }

    private func appendUsage(
        _ times: CPUTimes, _ before: CPUTimes, _ series: Series, _ time: Timestamp, to gather: inout Gather
    ) {
        let elapsed = times.total - before.total
        guard elapsed >= 0 else {
            gather.errors.append("\(times.name): current total CPU time is less than previous total CPU time")
            return
        }
        guard elapsed > 0 else { return }
        func percent(_ part: Double) -> Double { 100 * part / elapsed }
        gather.samples.append(series, usageSchema, at: time)
        gather.samples.float(percent((times.user - before.user) - (times.guest - before.guest)))
        gather.samples.float(percent(times.system - before.system))
        gather.samples.float(percent(times.idle - before.idle))
        gather.samples.float(percent((times.nice - before.nice) - (times.guestNice - before.guestNice)))
        gather.samples.float(percent(times.iowait - before.iowait))
        gather.samples.float(percent(times.irq - before.irq))
        gather.samples.float(percent(times.softirq - before.softirq))
        gather.samples.float(percent(times.steal - before.steal))
        gather.samples.float(percent(times.guest - before.guest))
        gather.samples.float(percent(times.guestNice - before.guestNice))
        if hasActive { gather.samples.float(percent(times.active - before.active)) }
    }

    /// The tags of `core_tags` by CPU name, read at the first gather.
    private func readCoreTags() -> [String: [Tag]] {
        if let coreTags { return coreTags }
        var tags: [String: [Tag]] = [:]
        var bytes: [UInt8] = []
        do throws(HostError) {
            try host.read(HostFile(.proc, "cpuinfo", isKept: false), into: &bytes)
        } catch {
            bytes = []
        }
        for processor in ProcCPUInfo.parse(bytes).processors {
            let name = "cpu\(processor.number)"
            let core =
                processor.coreID.isEmpty
                ? host.text(.sys, "devices/system/cpu/\(name)/topology/core_id") ?? "" : processor.coreID
            tags[name] = [Tag("core_id", core), Tag("physical_id", processor.physicalID)]
        }
        coreTags = tags
        return tags
    }
}
