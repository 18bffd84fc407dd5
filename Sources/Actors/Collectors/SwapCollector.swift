import Pipeline

/// Input `swap`: size and use of the swap space, from sysinfo(2), and what was swapped, from /proc/vmstat.
///
/// Two points with one timestamp, as the reference has it. Bytes swapped count pages of the host's own size (the
/// reference always counts 4096 bytes a page, which is wrong on kernels with 16 or 64 KiB).
public actor SwapCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "swap", summary: "Size of the swap space and what was swapped.",
            options: [OptionSpec("rates", .bool(true), "The fields in_bps and out_bps, which Telegraf does not have.")],
            metrics: [MetricSpec("swap", fields: sizeFields + flowFields + rateFields)])
    }

    private static let sizeFields: [MetricSpec.Field] = [
        .uint("total", .bytes, "sysinfo(2): totalswap"), .uint("used", .bytes, "total - free"),
        .uint("free", .bytes, "sysinfo(2): freeswap"),
        .float("used_percent", .percent, "used, of total; 0 without swap"),
    ]
    private static let flowFields: [MetricSpec.Field] = [
        .uint("in", .bytes, "/proc/vmstat: pswpin, times the page size"),
        .uint("out", .bytes, "/proc/vmstat: pswpout, times the page size"),
    ]
    /// With the option `rates`.
    private static let rateFields: [MetricSpec.Field] = [
        .float("in_bps", .bytesPerSecond, "growth of in; option rates"),
        .float("out_bps", .bytesPerSecond, "growth of out; option rates"),
    ]
    private static let sizeSchema = Schema(declared: sizeFields)

    private let host: any Host
    private let hasRates: Bool
    private let flowSchema: Schema
    private let series = Series("swap")
    private let file = HostFile(.proc, "vmstat", isSinglePiece: true)
    private var buffer: [UInt8] = []
    private var meter = RateMeter<2>()

    public init(options: OptionValues, host: any Host) {
        self.host = host
        hasRates = options.bool("rates")
        flowSchema = Schema(declared: SwapCollector.flowFields + (hasRates ? SwapCollector.rateFields : []))
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let figures: SystemFigures
        do throws(HostError) {
            figures = try host.figures()
            try host.read(file, into: &buffer)
        } catch {
            return Gather(errors: ["\(error)"])
        }
        let pages = ProcVmstat.swapPages(buffer)
        let used = figures.swapTotal.subtractingSaturated(figures.swapFree)
        var gather = Gather()
        gather.samples.append(series, SwapCollector.sizeSchema, at: time)
        gather.samples.uint(figures.swapTotal)
        gather.samples.uint(used)
        gather.samples.uint(figures.swapFree)
        gather.samples.float(figures.swapTotal > 0 ? 100 * Double(used) / Double(figures.swapTotal) : 0)
        gather.samples.append(series, flowSchema, at: time)
        let swappedIn = pages.in.multipliedSaturated(by: host.pageSize)
        let swappedOut = pages.out.multipliedSaturated(by: host.pageSize)
        gather.samples.uint(swappedIn)
        gather.samples.uint(swappedOut)
        if hasRates {
            let growth = meter.advance(to: [swappedIn, swappedOut], at: now)
            // What is no number is left out of the line.
            gather.samples.float(growth?.perSecond(0) ?? .nan)
            gather.samples.float(growth?.perSecond(1) ?? .nan)
        }
        return gather
    }
}
