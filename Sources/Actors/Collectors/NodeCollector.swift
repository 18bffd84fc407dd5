import Pipeline

/// Input `node`: what node_exporter shows by default and no other input does, under its names, so that its dashboards
/// find all they ask for.
///
/// The measurement and the field together are the name of node_exporter's metric. What this host does not have is left
/// out: no file of the kind is an error.
public actor NodeCollector: Collector {
    public static let spec = PluginSpec(
        name: "node", summary: "What node_exporter shows of a host besides the other inputs.",
        options: [
            OptionSpec(
                "collect", .strings(parts.map(\.name)), "What to collect, by the names of node_exporter's collectors.",
                choices: parts.map(\.name)),
            OptionSpec(
                "ignored_devices", .strings(["ram*", "loop*", "fd[0-9]*"]), "Globs of block devices to leave out."),
        ],
        metrics: NodeMetrics.all)

    typealias Part = (name: String, read: @Sendable (NodeReader) -> [NodeFiles.Value])

    private static let parts: [Part] = [
        ("arp", { $0.file(.proc, "net/arp") { NodeFiles.arp($0) } }),
        ("cpufreq", { $0.frequencies() }),
        ("diskstats", { $0.disks() }),
        ("entropy", { $0.number("node_entropy", "pool_size_bits", .proc, "sys/kernel/random/poolsize") }),
        ("hwmon", { $0.sensors() }),
        ("meminfo", { $0.file(.proc, "meminfo") { NodeFiles.meminfo($0) } }),
        ("netclass", { $0.interfaces() }),
        ("netdev", { $0.file(.proc, "net/dev") { NodeFiles.netDev($0) } }),
        ("os", { $0.file(.etc, "os-release") { NodeFiles.release($0) } }),
        ("schedstat", { $0.file(.proc, "schedstat") { NodeFiles.schedstat($0) } }),
        ("selinux", { $0.selinux() }),
        (
            "sockstat",
            { reader in
                reader.file(.proc, "net/sockstat") { NodeFiles.sockstat($0, pageSize: reader.host.pageSize) }
                    + reader.file(.proc, "net/sockstat6") { NodeFiles.sockstat($0, pageSize: reader.host.pageSize) }
            }
        ),
        ("softnet", { $0.file(.proc, "net/softnet_stat") { NodeFiles.softnet($0) } }),
        ("stat", { $0.file(.proc, "stat") { NodeFiles.stat($0) } }),
        ("thermal_zone", { $0.zones() }),
        ("time", { $0.clockSources() }),
        ("timex", { $0.host.clockState().map(NodeMetrics.clock) ?? [] }),
        (
            "udp_queues",
            { reader in
                reader.file(.proc, "net/udp") { NodeFiles.udpQueues($0, version: "v4") }
                    + reader.file(.proc, "net/udp6") { NodeFiles.udpQueues($0, version: "v6") }
            }
        ),
    ]

    private let reader: NodeReader
    private let wanted: [Part]
    private var cache = ForeignSeries()

    /// Errors: a glob that is none.
    public init(options: OptionValues, host: any Host) throws {
        reader = NodeReader(host: host, ignored: try PatternList(options.strings("ignored_devices")))
        let names = Set(options.strings("collect"))
        wanted = NodeCollector.parts.filter { names.contains($0.name) }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        for part in wanted {
            // Values of one series stand together, and are one point.
            let values = part.read(reader)
            var start = 0
            while start < values.count {
                var end = start + 1
                while end < values.count, values[end].measurement == values[start].measurement,
                    values[end].tags == values[start].tags
                {
                    end += 1
                }
                append(values[start..<end], time, to: &gather.samples)
                start = end
            }
        }
        return gather
    }

    private func append(_ values: ArraySlice<NodeFiles.Value>, _ time: Timestamp, to samples: inout SampleSet) {
        guard let first = values.first else { return }
        var seen: Set<String> = []
        var fields: [Schema.Field] = []
        var cells: [UInt64] = []
        for value in values where seen.insert(value.field).inserted {
            switch value.number {
            case .int(let number):
                fields.append(.int(value.field))
                cells.append(UInt64(bitPattern: number))
            case .float(let number):
                guard number.isFinite else { continue }
                fields.append(.float(value.field))
                cells.append(number.bitPattern)
            }
        }
        guard !fields.isEmpty else { return }
        samples.append(
            cache.series(first.measurement, first.tags.sorted { $0.key < $1.key }), cache.schema(fields), at: time,
            cells: cells)
    }
}
