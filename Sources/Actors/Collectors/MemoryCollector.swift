import Pipeline

/// Input `mem`: what the memory is used for, from /proc/meminfo.
///
/// Rules: `docs/inputs.md`. A used amount that would be negative (LXC shows more available than total) reads 0.
public actor MemoryCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "mem", summary: "What the memory is used for.",
            options: [
                OptionSpec(
                    "collect_extended", .bool(false),
                    "Also active_file, inactive_file, active_anon, inactive_anon, unevictable, percpu."),
                OptionSpec(
                    "used_formula", .string("available"),
                    "What used means: total - available (Telegraf 1.36 and later), or total - free - buffered - cached.",
                    choices: ["available", "cached"]),
                OptionSpec("rates", .bool(true), "The field free_percent, which Telegraf does not have."),
            ],
            metrics: [
                MetricSpec("mem", fields: computed + (plain + extended).map(declaration) + [freePercent])
            ])
    }

    private let host: any Host
    private let isExtended: Bool
    private let hasFreePercent: Bool
    private let usesAvailable: Bool
    private let schema: Schema
    private let series = Series("mem")
    private let file = HostFile(.proc, "meminfo", isSinglePiece: true)
    private let zones = HostFile(.proc, "zoneinfo")
    private var buffer: [UInt8] = []

    private static let computed: [MetricSpec.Field] = [
        .uint("total", .bytes, "/proc/meminfo: MemTotal"),
        .uint("available", .bytes, "/proc/meminfo: MemAvailable; before Linux 3.14 the kernel's own formula"),
        .uint("used", .bytes, "total - available; see option used_formula"),
        .float("used_percent", .percent, "used, of total"),
        .float("available_percent", .percent, "available, of total"),
        .uint("cached", .bytes, "/proc/meminfo: Cached + SReclaimable"),
        .uint("huge_pages_total", .pages, "/proc/meminfo: HugePages_Total"),
        .uint("huge_pages_free", .pages, "/proc/meminfo: HugePages_Free"),
    ]
    private static let freePercent = MetricSpec.Field.float(
        "free_percent", .percent, "free, of total; option rates")
    /// Fields that are a value of the file in bytes, in the schema's order.
    private static let plain: [(String, ProcMeminfo.Key)] = [
        ("free", .memFree), ("buffered", .buffers), ("active", .active), ("inactive", .inactive), ("shared", .shmem),
        ("slab", .slab), ("sreclaimable", .sReclaimable), ("sunreclaim", .sUnreclaim), ("page_tables", .pageTables),
        ("mapped", .mapped), ("dirty", .dirty), ("write_back", .writeback), ("write_back_tmp", .writebackTmp),
        ("commit_limit", .commitLimit), ("committed_as", .committedAS), ("swap_total", .swapTotal),
        ("swap_free", .swapFree), ("swap_cached", .swapCached), ("high_total", .highTotal), ("high_free", .highFree),
        ("low_total", .lowTotal), ("low_free", .lowFree), ("huge_page_size", .hugepagesize),
        ("vmalloc_total", .vmallocTotal), ("vmalloc_used", .vmallocUsed), ("vmalloc_chunk", .vmallocChunk),
    ]
    private static let extended: [(String, ProcMeminfo.Key)] = [
        ("active_file", .activeFile), ("inactive_file", .inactiveFile), ("active_anon", .activeAnon),
        ("inactive_anon", .inactiveAnon), ("unevictable", .unevictable), ("percpu", .percpu),
    ]

    private static func declaration(_ name: String, _ key: ProcMeminfo.Key) -> MetricSpec.Field {
        let condition = extended.contains { $0.1 == key } ? "; option collect_extended" : ""
        return .uint(name, .bytes, "/proc/meminfo: \(key.spelling)\(condition)")
    }

    public init(options: OptionValues, host: any Host) {
        self.host = host
        hasFreePercent = options.bool("rates")
        isExtended = options.bool("collect_extended")
        usesAvailable = options.string("used_formula") == "available"
        let named = MemoryCollector.plain + (isExtended ? MemoryCollector.extended : [])
        schema = Schema(
            declared: MemoryCollector.computed + named.map(MemoryCollector.declaration)
                + (hasFreePercent ? [MemoryCollector.freePercent] : []))
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        do {
            try host.read(file, into: &buffer)
            return Gather(samples: samples(try ProcMeminfo.parse(buffer), time))
        } catch {
            return Gather(errors: ["\(error)"])
        }
    }

    private func samples(_ memory: ProcMeminfo, _ time: Timestamp) -> SampleSet {
        let total = memory.bytes(.memTotal)
        let free = memory.bytes(.memFree)
        let cached = memory.bytes(.cached).addingSaturated(memory.bytes(.sReclaimable))
        let available = memory.has(.memAvailable) ? memory.bytes(.memAvailable) : estimatedAvailable(memory)
        let used =
            usesAvailable
            ? total.subtractingSaturated(available)
            : total.subtractingSaturated(free).subtractingSaturated(memory.bytes(.buffers))
                .subtractingSaturated(cached)
        var samples = SampleSet()
        samples.append(series, schema, at: time)
        samples.uint(total)
        samples.uint(available)
        samples.uint(used)
        // Without a total both are no number, and such fields are left out of the line.
        samples.float(100 * Double(used) / Double(total))
        samples.float(100 * Double(available) / Double(total))
        samples.uint(cached)
        samples.uint(memory.count(.hugePagesTotal))
        samples.uint(memory.count(.hugePagesFree))
        for (_, key) in MemoryCollector.plain { samples.uint(memory.bytes(key)) }
        if isExtended {
            for (_, key) in MemoryCollector.extended { samples.uint(memory.bytes(key)) }
        }
        if hasFreePercent { samples.float(100 * Double(free) / Double(total)) }
        return samples
    }

    private func estimatedAvailable(_ memory: ProcMeminfo) -> UInt64 {
        var pages: UInt64?
        do throws(HostError) {
            try host.read(zones, into: &buffer)
            pages = ProcZoneinfo.lowWatermarkPages(buffer)
        } catch {
            pages = nil
        }
        return memory.estimatedAvailable(lowWatermarkPages: pages, pageSize: host.pageSize)
    }
}
