import Pipeline

/// Input `kernel`: counters of the whole system from /proc/stat, the entropy estimate, and on request the figures of
/// memory merging (ksm) and the waiting times of PSI (measurement `pressure`).
///
/// A keyword that is missing leaves its field out; one without a number, or no entropy file, fails the point. What of
/// /proc/pressure cannot be read is an error of its own. Honours HOST_PROC and HOST_SYS (the reference does not).
public actor KernelCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "kernel", summary: "Interrupts, context switches, forks and boot time.",
            options: [
                OptionSpec(
                    "collect", .strings([]),
                    "What to add: ksm (merging of memory pages), psi (waiting times); other words are ignored."),
                OptionSpec("rates", .bool(true), "Rates a second that Telegraf does not have."),
            ],
            metrics: [
                MetricSpec("kernel", fields: counterFields + [entropyField] + ksmFields + rateFields),
                PressureReader.metrics(note: "With `collect = [\"psi\"]`; two points each."),
            ])
    }

    private static let counterFields: [MetricSpec.Field] = [
        .int("boot_time", .seconds, "/proc/stat: btime, since 1970"),
        .int("context_switches", .count, "/proc/stat: ctxt"),
        .int("interrupts", .count, "/proc/stat: first number of intr"),
        .int("processes_forked", .count, "/proc/stat: processes"),
        .int("disk_pages_in", .pages, "/proc/stat: first number of page; before Linux 2.6"),
        .int("disk_pages_out", .pages, "/proc/stat: second number of page; before Linux 2.6"),
    ]
    private static let entropyField = MetricSpec.Field.int(
        "entropy_avail", .count, "/proc/sys/kernel/random/entropy_avail: bits")
    private static let ksmFields: [MetricSpec.Field] = (ksmNames + [ksmExtra]).map { name in
        let unit: MetricUnit =
            name == ksmExtra ? .bytes : name.hasSuffix("_millisecs") ? .milliseconds : .count
        return .int("ksm_" + name, unit, "/\(HostRoot.sys.rawValue)/\(ksmFolder)/\(name); collect ksm")
    }
    /// With the option `rates`.
    private static let rateFields: [MetricSpec.Field] = [
        .float("ctxs_rate", .perSecond, "growth of context_switches; option rates"),
        .float("intr_rate", .perSecond, "growth of interrupts; option rates"),
        .float("proc_rate", .perSecond, "growth of processes_forked; option rates"),
        .float("pagein_rate", .kibibytesPerSecond, "/proc/vmstat: growth of pgpgin; option rates"),
        .float("pageout_rate", .kibibytesPerSecond, "/proc/vmstat: growth of pgpgout; option rates"),
    ]

    private static let ksmNames = [
        "full_scans", "max_page_sharing", "merge_across_nodes", "pages_shared", "pages_sharing", "pages_to_scan",
        "pages_unshared", "pages_volatile", "run", "sleep_millisecs", "stable_node_chains",
        "stable_node_chains_prune_millisecs", "stable_node_dups", "use_zero_pages",
    ]
    /// Not on all kernels; left out in silence.
    private static let ksmExtra = "general_profit"
    private static let ksmFolder = "kernel/mm/ksm"
    /// From Linux 5.18 the estimate stays at 256 once the generator is ready, and reading it costs as much as all of
    /// /proc/stat and more: then it is read once in this time.
    private static let entropyAge = Duration.seconds(60)
    private static let settledEntropy: Int64 = 256

    private let host: any Host
    private let hasRates: Bool
    private let series = Series("kernel")
    private let file = HostFile(.proc, "stat", isSinglePiece: true)
    private let entropyFile = HostFile(.proc, "sys/kernel/random/entropy_avail")
    private let pagingFile = HostFile(.proc, "vmstat", isSinglePiece: true)
    private let ksm: [(field: MetricSpec.Field, file: HostFile, isOptional: Bool)]
    private let pressure: PressureReader?
    private let entropySettles: Bool
    private var entropyUntil: Instant?
    private var buffer: [UInt8] = []
    private var schema = Schema([])
    /// Keys of the numbers of `schema`, in its order; the rates come after them.
    private var keys: [String] = []
    /// Of context switches, interrupts, forks.
    private var meters = [RateMeter<1>](repeating: RateMeter(), count: 3)
    private var pagingMeter = RateMeter<2>()

    /// Errors: ksm is asked for and the kernel has none.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        hasRates = options.bool("rates")
        let wanted = options.strings("collect")
        if wanted.contains("ksm"), host.names(in: .sys, KernelCollector.ksmFolder).isEmpty {
            throw CollectorError(
                "kernel: /sys/\(KernelCollector.ksmFolder) does not exist, so collect cannot have ksm",
                option: "collect")
        }
        ksm =
            wanted.contains("ksm")
            ? zip(KernelCollector.ksmFields, KernelCollector.ksmNames + [KernelCollector.ksmExtra]).map {
                ($0, HostFile(.sys, "\(KernelCollector.ksmFolder)/\($1)"), $1 == KernelCollector.ksmExtra)
            } : []
        pressure = wanted.contains("psi") ? PressureReader() : nil
        entropySettles = KernelCollector.isAtLeast5_18(host.kernel.release)
    }

    private static func isAtLeast5_18(_ release: String) -> Bool {
        let numbers = release.split(separator: ".", maxSplits: 2).prefix(2).compactMap { Int($0) }
        return numbers.count == 2 && (numbers[0] > 5 || numbers[0] == 5 && numbers[1] >= 18)
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        do {
            try appendRow(time, now, to: &gather.samples)
        } catch {
            gather.errors.append("\(error)")
            return gather
        }
        pressure?.append(from: host, &buffer, at: time, to: &gather)
        return gather
    }

    // MARK: The point kernel

    private func appendRow(_ time: Timestamp, _ now: Instant, to samples: inout SampleSet) throws {
        try host.read(file, into: &buffer)
        let counters = try ProcStatCounters.parse(buffer)
        var cells: [(key: String, value: Int64)] = []
        cells.reserveCapacity(7 + ksm.count)
        let values = [
            counters.bootTime, counters.contextSwitches, counters.interrupts, counters.processesForked,
            counters.pagesIn, counters.pagesOut,
        ]
        for case (let field, .some(let value)) in zip(KernelCollector.counterFields, values) {
            cells.append((field.name, value))
        }
        cells.append((KernelCollector.entropyField.name, try entropy(now)))
        for (field, file, isOptional) in ksm {
            do { cells.append((field.name, try number(file))) } catch { if !isOptional { throw error } }
        }
        if !cells.elementsEqual(keys, by: { $0.key == $1 }) {
            keys = cells.map(\.key)
            let rates = hasRates ? KernelCollector.rateFields.map { Schema.Field($0.name, $0.kind) } : []
            schema = Schema(keys.map { .int($0) } + rates)
        }
        samples.append(series, schema, at: time)
        for (_, value) in cells { samples.int(value) }
        if hasRates { appendRates(counters, now, to: &samples) }
    }

    /// What is no number is left out of the line: rates of counters that the kernel does not have, among others.
    private func appendRates(_ counters: ProcStatCounters, _ now: Instant, to samples: inout SampleSet) {
        for (index, counter) in [counters.contextSwitches, counters.interrupts, counters.processesForked].enumerated() {
            let growth = meters[index].advance(to: counter.map { [UInt64(clamping: $0)] }, at: now)
            samples.float(growth?.perSecond(0) ?? .nan)
        }
        let paged = pagingMeter.advance(to: paging(counters).map { [$0.in, $0.out] }, at: now)
        samples.float(paged?.perSecond(0) ?? .nan)
        samples.float(paged?.perSecond(1) ?? .nan)
    }

    /// What was read from and written to block devices: the old line of /proc/stat where it is, else its heirs.
    private func paging(_ counters: ProcStatCounters) -> (in: UInt64, out: UInt64)? {
        if let pagesIn = counters.pagesIn, let pagesOut = counters.pagesOut {
            return (UInt64(clamping: pagesIn), UInt64(clamping: pagesOut))
        }
        do throws(HostError) { try host.read(pagingFile, into: &buffer) } catch { return nil }
        return ProcVmstat.pagedKibibytes(buffer)
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
}
