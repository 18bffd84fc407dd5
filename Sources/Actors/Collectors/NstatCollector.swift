import Pipeline

/// Input `nstat`: the kernel's network counters, from /proc/net/netstat, snmp and snmp6.
///
/// The files: the option of that name, else the variable PROC_NET_NETSTAT (and its sisters), else PROC_ROOT with
/// `/net/netstat` below it, else /proc. Up to three points, tag `name`. A missing snmp6 is no error; any other file that
/// cannot be read ends the gather, points made before stay.
public actor NstatCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "nstat", summary: "The kernel's network counters, as nstat(8) shows them.",
            options: [
                OptionSpec("proc_net_netstat", .string(""), "Path instead of /proc/net/netstat."),
                OptionSpec("proc_net_snmp", .string(""), "Path instead of /proc/net/snmp."),
                OptionSpec("proc_net_snmp6", .string(""), "Path instead of /proc/net/snmp6."),
                OptionSpec("dump_zeros", .bool(false), "Counters that are 0 too."),
            ],
            metrics: [MetricSpec("nstat", tags: ["name"], fields: fields, note: "One point a file, named by the tag.")])
    }

    /// What the counters of the three files begin with.
    private static let fields: [MetricSpec.Field] = [
        .int("TcpExt*", .count, "/proc/net/netstat: TcpExt"), .int("IpExt*", .count, "/proc/net/netstat: IpExt"),
        .int("MPTcpExt*", .count, "/proc/net/netstat: MPTcpExt"), .int("Ip*", .count, "/proc/net/snmp: Ip"),
        .int("Icmp*", .count, "/proc/net/snmp: Icmp, IcmpMsg"), .int("Tcp*", .count, "/proc/net/snmp: Tcp"),
        .int("Udp*", .count, "/proc/net/snmp: Udp, UdpLite"), .int("Ip6*", .count, "/proc/net/snmp6: Ip6"),
        .int("Icmp6*", .count, "/proc/net/snmp6: Icmp6"), .int("Udp*6*", .count, "/proc/net/snmp6: Udp6, UdpLite6"),
    ]

    private struct Source {
        let file: HostFile
        let series: Series
        let isList: Bool
        var counters = ProcNetCounters()
        var schema = Schema([])
        var generation: UInt64 = 0
    }

    private let host: any Host
    private let keepsZeros: Bool
    private var sources: [Source]
    private var buffer: [UInt8] = []

    public init(options: OptionValues, host: any Host) {
        self.host = host
        keepsZeros = options.bool("dump_zeros")
        sources = ["netstat", "snmp", "snmp6"].map { name in
            Source(
                file: NstatCollector.file(name, options.string("proc_net_\(name)"), host),
                series: Series("nstat", tags: [Tag("name", name)]), isList: name == "snmp6")
        }
    }

    private static func file(_ name: String, _ option: String, _ host: any Host) -> HostFile {
        let path = option.isEmpty ? host.environment("PROC_NET_\(name.uppercased())") : option
        if !path.isEmpty { return HostFile(.absolute, path) }
        let root = host.environment("PROC_ROOT")
        return root.isEmpty ? HostFile(.proc, "net/\(name)") : HostFile(.absolute, "\(root)/net/\(name)")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        for index in sources.indices {
            do throws(HostError) {
                try host.read(sources[index].file, into: &buffer)
            } catch {
                if sources[index].isList, error.isMissing { continue }
                gather.errors.append("\(error)")
                return gather
            }
            append(&sources[index], time, to: &gather.samples)
        }
        return gather
    }

    private func append(_ source: inout Source, _ time: Timestamp, to samples: inout SampleSet) {
        if source.isList {
            source.counters.updateList(buffer, keepsZeros: keepsZeros)
        } else {
            source.counters.updatePairs(buffer, keepsZeros: keepsZeros)
        }
        guard !source.counters.values.isEmpty else { return }
        if source.generation != source.counters.generation {
            source.generation = source.counters.generation
            source.schema = Schema(source.counters.names.map { .int($0) })
        }
        samples.append(source.series, source.schema, at: time)
        for value in source.counters.values { samples.int(value) }
    }
}
