import Pipeline

/// Input `swap`: size and use of the swap space, from sysinfo(2), and what was swapped, from /proc/vmstat.
///
/// Two points with one timestamp, as the reference has it. Bytes swapped count pages of the host's own size (the
/// reference always counts 4096 bytes a page, which is wrong on kernels with 16 or 64 KiB).
public actor SwapCollector: Collector {
    public static let spec = PluginSpec(
        name: "swap", summary: "Size of the swap space and what was swapped.", options: [])

    private static let sizeSchema = Schema([.uint("total"), .uint("used"), .uint("free"), .float("used_percent")])
    private static let flowSchema = Schema([.uint("in"), .uint("out")])

    private let host: any Host
    private let series = Series("swap")
    private let file = HostFile(.proc, "vmstat", isSinglePiece: true)
    private var buffer: [UInt8] = []

    public init(host: any Host) { self.host = host }

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
        gather.samples.append(series, SwapCollector.flowSchema, at: time)
        gather.samples.uint(pages.in.multipliedSaturated(by: host.pageSize))
        gather.samples.uint(pages.out.multipliedSaturated(by: host.pageSize))
        return gather
    }
}
