import Pipeline

/// Input `conntrack`: how full the kernel's table of connections is, and what its tracker did.
///
/// Limits come from small files in folders of /proc/sys; missing ones are passed, none at all is an error. Statistics
/// come from /proc/net/stat. Honours HOST_PROC for paths that begin with /proc/ (the reference does not).
public actor ConntrackCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "conntrack", summary: "The table of connections of the packet filter.",
            options: [
                OptionSpec(
                    "collect", .strings(["all", "percpu"]), "Statistics of the tracker: of all CPUs together, of each.",
                    choices: ["all", "percpu"]),
                OptionSpec("dirs", .strings(folders), "Folders in which the files are looked for."),
                OptionSpec("files", .strings(names), "Files of limits and counts, each a number."),
            ],
            metrics: [
                MetricSpec(
                    "conntrack",
                    fields: [
                        MetricSpec.Field("ip_conntrack_count", .float, .count, "ip_ or nf_conntrack_count in dirs"),
                        MetricSpec.Field("ip_conntrack_max", .float, .count, "ip_ or nf_conntrack_max in dirs"),
                    ]),
                MetricSpec(
                    "conntrack", tags: ["cpu"],
                    fields: ConntrackStat.names.map {
                        MetricSpec.Field($0, .uint, .count, "/proc/net/stat/nf_conntrack")
                    }),
            ])
    }

    private static let folders = ["/proc/sys/net/ipv4/netfilter", "/proc/sys/net/netfilter"]
    private static let names = ["ip_conntrack_count", "ip_conntrack_max", "nf_conntrack_count", "nf_conntrack_max"]
    private static let schema = Schema(ConntrackStat.names.map { .uint($0) })

    private let host: any Host
    private let wantsAll: Bool
    private let wantsEach: Bool
    private let limits: [(key: String, file: HostFile)]
    private let file = HostFile(.proc, "net/stat/nf_conntrack")
    private let limitSeries = Series("conntrack")
    private let allSeries = Series("conntrack", tags: [Tag("cpu", "all")])
    private var series: [Series] = []
    private var buffer: [UInt8] = []
    private var row = FieldRow()

    public init(options: OptionValues, host: any Host) {
        self.host = host
        wantsAll = options.strings("collect").contains("all")
        wantsEach = options.strings("collect").contains("percpu")
        let folders = options.strings("dirs").isEmpty ? ConntrackCollector.folders : options.strings("dirs")
        let names = options.strings("files").isEmpty ? ConntrackCollector.names : options.strings("files")
        limits = folders.flatMap { folder in
            names.compactMap { name in
                // Names without an underscore have no second half to be named after.
                guard let mark = name.firstIndex(of: "_") else { return nil }
                return ("ip" + name[mark...], ConntrackCollector.file("\(folder)/\(name)"))
            }
        }
    }

    private static func file(_ path: String) -> HostFile {
        path.hasPrefix("/proc/")
            ? HostFile(.proc, String(path.dropFirst(6)), isKept: false) : HostFile(.absolute, path, isKept: false)
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        appendLimits(time, to: &gather)
        guard wantsAll || wantsEach else { return gather }
        do {
            try host.read(file, into: &buffer)
            let rows = try ConntrackStat.parse(buffer)
            guard !rows.isEmpty else { throw ParseError("net/stat/nf_conntrack", "has no line of numbers") }
            append(rows, time, to: &gather.samples)
        } catch {
            gather.errors.append("\(error)")
        }
        return gather
    }

    private func appendLimits(_ time: Timestamp, to gather: inout Gather) {
        var values: [String: Double] = [:]
        for (key, file) in limits {
            do throws(HostError) { try host.read(file, into: &buffer) } catch {
                if !error.isMissing { gather.errors.append("\(error)") }
                continue
            }
            guard let value = NumberFile.decimal(buffer) else {
                gather.errors.append("\(String(decoding: file.path, as: UTF8.self)): is no number")
                continue
            }
            values[key] = value
        }
        row.begin()
        for (key, value) in values.sorted(by: { $0.key < $1.key }) { row.float(key, value) }
        if row.isEmpty, gather.errors.isEmpty {
            gather.errors.append("conntrack: no file of limits exists; is the kernel module nf_conntrack loaded?")
        }
        row.append(limitSeries, at: time, to: &gather.samples)
    }

    private func append(_ rows: [[UInt64]], _ time: Timestamp, to samples: inout SampleSet) {
        if wantsAll {
            samples.append(allSeries, ConntrackCollector.schema, at: time)
            for column in ConntrackStat.names.indices {
                samples.uint(rows.reduce(0) { $0.addingSaturated($1[column]) })
            }
        }
        guard wantsEach else { return }
        while series.count < rows.count {
            series.append(Series("conntrack", tags: [Tag("cpu", "cpu\(series.count)")]))
        }
        for (series, row) in zip(series, rows) {
            samples.append(series, ConntrackCollector.schema, at: time)
            for value in row { samples.uint(value) }
        }
    }
}
