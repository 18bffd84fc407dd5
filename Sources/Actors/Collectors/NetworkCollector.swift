import Pipeline

/// Input `net`: counters and speed of the interfaces, from /proc/net/dev and /sys/class/net, and with `interface=all`
/// the protocol counters of /proc/net/snmp.
///
/// Selection: with `interfaces` exactly the matching names; otherwise what the kernel knows, is up and no loopback;
/// with a moved /proc (HOST_PROC) everything, since flags can only be asked for this process's own network namespace.
/// Keeps: `Series` and the open speed file of each interface, dropped when the interface is gone.
public actor NetworkCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "net", summary: "Counters of network interfaces and protocols.",
            options: [
                OptionSpec(
                    "interfaces", .strings([]), "Names or globs of interfaces; empty: those that are up, no loopback."),
                OptionSpec(
                    "ignore_protocol_stats", .bool(false), "No point interface=all with the counters of /proc/net/snmp."
                ),
                OptionSpec(
                    "rates", .bool(true), "Rates a second, and the use of the link, that Telegraf does not have."),
            ],
            metrics: [
                MetricSpec(
                    "net", tags: ["interface"], fields: fields + rateFields + protocolFields,
                    note: "The fields with `*` are on the point `interface=all`, which has no others.")
            ])
    }

    private static let fields: [MetricSpec.Field] = [
        .uint("bytes_recv", .bytes, "/proc/net/dev: column 1"),
        .uint("packets_recv", .count, "/proc/net/dev: column 2"),
        .uint("err_in", .count, "/proc/net/dev: column 3"), .uint("drop_in", .count, "/proc/net/dev: column 4"),
        .uint("bytes_sent", .bytes, "/proc/net/dev: column 9"),
        .uint("packets_sent", .count, "/proc/net/dev: column 10"),
        .uint("err_out", .count, "/proc/net/dev: column 11"), .uint("drop_out", .count, "/proc/net/dev: column 12"),
        .int("speed", .megabitsPerSecond, "/sys/class/net/NAME/speed; -1 if it does not say"),
    ]
    /// With the option `rates`.
    private static let rateFields: [MetricSpec.Field] = [
        .float("bps_recv", .bitsPerSecond, "growth of bytes_recv, times 8; option rates"),
        .float("pps_recv", .perSecond, "growth of packets_recv; option rates"),
        .float("pps_err_in", .perSecond, "growth of err_in; option rates"),
        .float("pps_drop_in", .perSecond, "growth of drop_in; option rates"),
        .float("bps_sent", .bitsPerSecond, "growth of bytes_sent, times 8; option rates"),
        .float("pps_sent", .perSecond, "growth of packets_sent; option rates"),
        .float("pps_err_out", .perSecond, "growth of err_out; option rates"),
        .float("pps_drop_out", .perSecond, "growth of drop_out; option rates"),
        .float("if_in_percent", .percent, "bps_recv, of speed; only where speed is known; option rates"),
        .float("if_out_percent", .percent, "bps_sent, of speed; only where speed is known; option rates"),
    ]
    private static let protocolFields: [MetricSpec.Field] = ["icmp", "icmpmsg", "ip", "tcp", "udp", "udplite"].map {
        .int($0 + "_*", .count, "/proc/net/snmp: the counters of this prefix, lower case")
    }

    private struct Known {
        let name: [UInt8]
        let series: Series
        let speed: HostFile
        let isSelected: Bool
        var meter = RateMeter<8>()
    }

    /// Speed files that are kept open; further ones are opened each time. Bounds the descriptors on hosts with
    /// thousands of virtual interfaces.
    private static let keptSpeedFiles = 64

    private let host: any Host
    private let hasRates: Bool
    private let schema: Schema
    private let patterns: PatternList?
    private let hasProtocols: Bool
    private let devices = HostFile(.proc, "net/dev")
    private let protocolFile = HostFile(.proc, "net/snmp")
    private let protocolSeries = Series("net", tags: [Tag("interface", "all")])
    private var protocolSchema = Schema([])
    private var protocols = ProcNetSnmp()
    private var buffer: [UInt8] = []
    private var speedBuffer: [UInt8] = []
    private var known: [Known] = []

    /// Errors: a glob of `interfaces` that cannot be compiled.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        hasRates = options.bool("rates")
        schema = Schema(declared: NetworkCollector.fields + (hasRates ? NetworkCollector.rateFields : []))
        let names = options.strings("interfaces")
        patterns = names.isEmpty ? nil : try PatternList(names)
        hasProtocols = !options.bool("ignore_protocol_stats")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        do {
            try host.read(devices, into: &buffer)
            appendInterfaces(try ProcNetDev.parse(buffer), time, now, to: &gather.samples)
        } catch {
            return Gather(errors: ["\(error)"])
        }
        if hasProtocols { appendProtocols(time, to: &gather.samples) }
        return gather
    }

    private func appendInterfaces(
        _ rows: [InterfaceCounters], _ time: Timestamp, _ now: Instant, to samples: inout SampleSet
    ) {
        var current: [Known] = []
        current.reserveCapacity(rows.count)
        for (index, row) in rows.enumerated() {
            var interface = entry(row.name, near: index)
            // Of all rows, so that one that is reported again has rates of the last interval.
            let growth = hasRates ? interface.meter.advance(to: row.growing, at: now) : nil
            current.append(interface)
            guard isReported(interface) else { continue }
            samples.append(interface.series, schema, at: time)
            samples.uint(row.bytesReceived)
            samples.uint(row.packetsReceived)
            samples.uint(row.errorsIn)
            samples.uint(row.dropsIn)
            samples.uint(row.bytesSent)
            samples.uint(row.packetsSent)
            samples.uint(row.errorsOut)
            samples.uint(row.dropsOut)
            let speed = speed(interface)
            samples.int(speed)
            if hasRates { NetworkCollector.appendRates(growth, speed, to: &samples) }
        }
        known = current
    }

    /// What is no number is left out of the line.
    private static func appendRates(_ growth: CounterGrowth<8>?, _ speed: Int64, to samples: inout SampleSet) {
        func perSecond(_ index: Int) -> Double { growth?.perSecond(index) ?? .nan }
        let bitsIn = perSecond(0) * 8
        let bitsOut = perSecond(4) * 8
        samples.float(bitsIn)
        for index in 1...3 { samples.float(perSecond(index)) }
        samples.float(bitsOut)
        for index in 5...7 { samples.float(perSecond(index)) }
        let percentOfLink = speed > 0 ? 100 / (Double(speed) * 1_000_000) : .nan
        samples.float(bitsIn * percentOfLink)
        samples.float(bitsOut * percentOfLink)
    }

    /// What is kept of the interface: as a rule it stands where it stood.
    private func entry(_ name: Range<Int>, near index: Int) -> Known {
        let cursor = ByteCursor(buffer)
        if index < known.count, cursor.equals(name, known[index].name) { return known[index] }
        if let found = known.first(where: { cursor.equals(name, $0.name) }) { return found }
        let bytes = Array(buffer[name])
        let text = cursor.text(name)
        return Known(
            name: bytes, series: Series("net", tags: [Tag("interface", text)]),
            speed: HostFile(
                .sys, path: Array("class/net/".utf8) + bytes + Array("/speed".utf8), isSinglePiece: true,
                isKept: index < NetworkCollector.keptSpeedFiles),
            isSelected: patterns?.matches(text) ?? false)
    }

    private func isReported(_ interface: Known) -> Bool {
        if patterns != nil { return interface.isSelected }
        if host.isMoved(.proc) { return true }
        guard let flags = host.interfaceFlags(interface.name) else { return false }
        return flags.isUp && !flags.isLoopback
    }

    /// Units: Mbit/s; -1 when the link does not say: down and virtual ones answer with an error.
    private func speed(_ interface: Known) -> Int64 {
        guard !interface.name.contains(UInt8(ascii: "/")) else { return -1 }
        do throws(HostError) { try host.read(interface.speed, into: &speedBuffer) } catch { return -1 }
        let cursor = ByteCursor(speedBuffer)
        return cursor.signed(in: cursor.trimmed(0..<speedBuffer.count)) ?? -1
    }

    /// An unreadable or odd file is no error here: no point, as the reference has it.
    private func appendProtocols(_ time: Timestamp, to samples: inout SampleSet) {
        do {
            try host.read(protocolFile, into: &buffer)
            if try protocols.update(buffer) { protocolSchema = Schema(protocols.names.map { .int($0) }) }
        } catch {
            return
        }
        guard !protocols.values.isEmpty else { return }
        samples.append(protocolSeries, protocolSchema, at: time)
        for value in protocols.values { samples.int(value) }
    }
}
