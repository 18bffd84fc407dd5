import Pipeline

/// Input `kernel`: counters of the whole system from /proc/stat, the entropy estimate, and on request the figures of
/// memory merging (ksm) and the waiting times of PSI (measurement `pressure`).
///
/// A keyword that is missing leaves its field out; one without a number, or no entropy file, fails the point. What of
/// /proc/pressure cannot be read is an error of its own. Honours HOST_PROC and HOST_SYS (the reference does not).
public actor KernelCollector: Collector {
    public static let spec = PluginSpec(
        name: "kernel", summary: "Interrupts, context switches, forks and boot time.",
        options: [
            OptionSpec(
                "collect", .strings([]),
                "What to add: ksm (merging of memory pages), psi (waiting times); other words are ignored.")
        ])

    private static let ksmNames = [
        "full_scans", "max_page_sharing", "merge_across_nodes", "pages_shared", "pages_sharing", "pages_to_scan",
        "pages_unshared", "pages_volatile", "run", "sleep_millisecs", "stable_node_chains",
        "stable_node_chains_prune_millisecs", "stable_node_dups", "use_zero_pages",
    ]
    /// Not on all kernels; left out in silence.
    private static let ksmExtra = "general_profit"
    private static let ksmFolder = "kernel/mm/ksm"
    private static let totalSchema = Schema([.uint("total")])
    private static let averageSchema = Schema([.float("avg10"), .float("avg60"), .float("avg300")])
    /// From Linux 5.18 the estimate stays at 256 once the generator is ready, and reading it costs as much as all of
    /// /proc/stat and more: then it is read once in this time.
    private static let entropyAge = Duration.seconds(60)
    private static let settledEntropy: Int64 = 256

    private struct Pressure {
        let resource: String
        let file: HostFile
        let some: Series
        /// nil where the figure means nothing: the CPU is never fully lacking.
        let full: Series?
    }

    private let host: any Host
    private let series = Series("kernel")
    private let file = HostFile(.proc, "stat", isSinglePiece: true)
    private let entropyFile = HostFile(.proc, "sys/kernel/random/entropy_avail")
    private let ksm: [(key: String, file: HostFile, isOptional: Bool)]
    private let pressures: [Pressure]
    private let entropySettles: Bool
    private var entropyUntil: Instant?
    private var buffer: [UInt8] = []
    private var schema = Schema([])
    /// Keys of `schema`, in its order.
    private var keys: [String] = []

    /// Errors: ksm is asked for and the kernel has none.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        let wanted = options.strings("collect")
        if wanted.contains("ksm"), host.names(in: .sys, KernelCollector.ksmFolder).isEmpty {
            throw CollectorError("kernel: /sys/\(KernelCollector.ksmFolder) does not exist, so collect cannot have ksm")
        }
        ksm =
            wanted.contains("ksm")
            ? (KernelCollector.ksmNames + [KernelCollector.ksmExtra]).map {
                ("ksm_" + $0, HostFile(.sys, "\(KernelCollector.ksmFolder)/\($0)"), $0 == KernelCollector.ksmExtra)
            } : []
        pressures =
            wanted.contains("psi")
            ? ["cpu", "memory", "io"].map { resource in
                func series(_ type: String) -> Series {
                    Series("pressure", tags: [Tag("resource", resource), Tag("type", type)])
                }
                return Pressure(
                    resource: resource, file: HostFile(.proc, "pressure/\(resource)"), some: series("some"),
                    full: resource == "cpu" ? nil : series("full"))
            } : []
        entropySettles = KernelCollector.isAtLeast5_18(host.kernel.release)
    }

    private static func isAtLeast5_18(_ release: String) -> Bool {
        let numbers = release.split(separator: ".", maxSplits: 2).prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0] > 5 || numbers[0] == 5 && numbers[1] >= 18)
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        do {
            appendRow(try fields(now), time, to: &gather.samples)
        } catch {
            gather.errors.append("\(error)")
            return gather
        }
        for pressure in pressures {
            do {
                try host.read(pressure.file, into: &buffer)
                let parsed = try ProcPressure.parse(buffer, resource: pressure.resource)
                if let line = parsed.some { append(line, pressure.some, time, to: &gather.samples) }
                if let line = parsed.full, let series = pressure.full {
                    append(line, series, time, to: &gather.samples)
                }
            } catch {
                gather.errors.append("\(error)")
            }
        }
        return gather
    }

    // MARK: The point kernel

    private func fields(_ now: Instant) throws -> [(String, Int64)] {
        try host.read(file, into: &buffer)
        let counters = try ProcStatCounters.parse(buffer)
        var fields: [(String, Int64)] = []
        fields.reserveCapacity(7 + ksm.count)
        let named = [
            ("boot_time", counters.bootTime), ("context_switches", counters.contextSwitches),
            ("interrupts", counters.interrupts), ("processes_forked", counters.processesForked),
            ("disk_pages_in", counters.pagesIn), ("disk_pages_out", counters.pagesOut),
        ]
        for case (let key, .some(let value)) in named { fields.append((key, value)) }
        fields.append(("entropy_avail", try entropy(now)))
        for (key, file, isOptional) in ksm {
            do { fields.append((key, try number(file))) } catch { if !isOptional { throw error } }
        }
        return fields
    }

    private func entropy(_ now: Instant) throws -> Int64 {
        if let until = entropyUntil, now < until { return KernelCollector.settledEntropy }
        let value = try number(entropyFile)
        let isSettled = entropySettles && value == KernelCollector.settledEntropy
        entropyUntil = isSettled ? now + KernelCollector.entropyAge : nil
        return value
    }

    /// The content of a file of one number.
    private func number(_ file: HostFile) throws -> Int64 {
        try host.read(file, into: &buffer)
        let cursor = ByteCursor(buffer)
        guard let value = cursor.signed(in: cursor.trimmed(0..<buffer.count)) else {
            throw ParseError(String(decoding: file.path, as: UTF8.self), "is no number")
        }
        return value
    }

    private func appendRow(_ fields: [(String, Int64)], _ time: Timestamp, to samples: inout SampleSet) {
        if !fields.elementsEqual(keys, by: { $0.0 == $1 }) {
            keys = fields.map(\.0)
            schema = Schema(keys.map { .int($0) })
        }
        samples.append(series, schema, at: time)
        for (_, value) in fields { samples.int(value) }
    }

    // MARK: The points pressure

    private func append(_ line: ProcPressure.Line, _ series: Series, _ time: Timestamp, to samples: inout SampleSet) {
        samples.append(series, KernelCollector.totalSchema, at: time)
        samples.uint(line.total)
        samples.append(series, KernelCollector.averageSchema, at: time)
        samples.float(line.avg10)
        samples.float(line.avg60)
        samples.float(line.avg300)
    }
}
