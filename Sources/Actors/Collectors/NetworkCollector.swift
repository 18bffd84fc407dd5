import Pipeline

/// Input `net`: counters and speed of the interfaces, from /proc/net/dev and /sys/class/net, and with `interface=all`
/// the protocol counters of /proc/net/snmp.
///
/// Selection: with `interfaces` exactly the matching names; otherwise what the kernel knows, is up and no loopback;
/// with a moved /proc (HOST_PROC) everything, since flags can only be asked for this process's own network namespace.
/// Keeps: `Series` and the open speed file of each interface, dropped when the interface is gone.
public actor NetworkCollector: Collector {
    public static let spec = PluginSpec(
        name: "net", summary: "Counters of network interfaces and protocols.",
        options: [
            OptionSpec(
                "interfaces", .strings([]), "Names or globs of interfaces; empty: those that are up, no loopback."),
            OptionSpec(
                "ignore_protocol_stats", .bool(false), "No point interface=all with the counters of /proc/net/snmp."),
        ])

    private struct Known {
        let name: [UInt8]
        let series: Series
        let speed: HostFile
        let isSelected: Bool
    }

    /// Speed files that are kept open; further ones are opened each time. Bounds the descriptors on hosts with
    /// thousands of virtual interfaces.
    private static let keptSpeedFiles = 64
    private static let schema = Schema([
        .uint("bytes_recv"), .uint("packets_recv"), .uint("err_in"), .uint("drop_in"), .uint("bytes_sent"),
        .uint("packets_sent"), .uint("err_out"), .uint("drop_out"), .int("speed"),
    ])

    private let host: any Host
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
        let names = options.strings("interfaces")
        patterns = names.isEmpty ? nil : try PatternList(names)
        hasProtocols = !options.bool("ignore_protocol_stats")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        do {
            try host.read(devices, into: &buffer)
            appendInterfaces(try ProcNetDev.parse(buffer), time, to: &gather.samples)
        } catch {
            return Gather(errors: ["\(error)"])
        }
        if hasProtocols { appendProtocols(time, to: &gather.samples) }
        return gather
    }

    private func appendInterfaces(_ rows: [InterfaceCounters], _ time: Timestamp, to samples: inout SampleSet) {
        var current: [Known] = []
        current.reserveCapacity(rows.count)
        for (index, row) in rows.enumerated() {
            let interface = entry(row.name, near: index)
            current.append(interface)
            guard isReported(interface) else { continue }
            samples.append(interface.series, NetworkCollector.schema, at: time)
            samples.uint(row.bytesReceived)
            samples.uint(row.packetsReceived)
            samples.uint(row.errorsIn)
            samples.uint(row.dropsIn)
            samples.uint(row.bytesSent)
            samples.uint(row.packetsSent)
            samples.uint(row.errorsOut)
            samples.uint(row.dropsOut)
            samples.int(speed(interface))
        }
        known = current
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
