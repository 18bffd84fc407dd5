import Pipeline

/// Input `system`: load, CPUs, users, uptime, and on request what the machine is (`os`, `dmi`).
///
/// Rules: `docs/inputs.md`. With `legacy` three points; the other groups share one.
/// Keeps: the CPU counts while the kernel's list of online CPUs stays the same (at most a minute), since /proc/cpuinfo
/// is long and asks every core for its clock; `os` and `dmi` for the time that their options say.
public actor SystemCollector: Collector {
    public static let groups = ["legacy", "load", "users", "cpus", "uptime", "os", "dmi"]
    public static var spec: PluginSpec {
        PluginSpec(
            name: "system", summary: "Load, CPUs, users, uptime, operating system, hardware.",
            options: [
                OptionSpec("include", .strings(["legacy"]), "What to report.", choices: groups),
                OptionSpec("os_cache_ttl", .duration(.seconds(28_800)), "How long the group os is remembered."),
                OptionSpec("dmi_cache_ttl", .duration(.seconds(28_800)), "How long the group dmi is remembered."),
                OptionSpec(
                    "rates", .bool(true), "Load per CPU, which Telegraf does not have: load1_pcore and its like."),
            ],
            metrics: [
                MetricSpec(
                    "system", fields: SystemFields.all,
                    note: "Which groups of fields there are, the option `include` says; os and dmi are not by default.")
            ])
    }

    private typealias Cell = (field: MetricSpec.Field, value: Value)
    private enum Value {
        case int(Int64)
        case uint(UInt64)
        case float(Double)
        case string(String)
    }
    private struct Remembered {
        var cells: [Cell]
        var until: Instant
    }
    private struct CPUCounts {
        var logical: Int
        var physical: Int
        /// The list of online CPUs that the counts belong to.
        var online: [UInt8]
        var until: Instant
    }

    private static let cpuCountsAge = Duration.seconds(60)

    private let host: any Host
    private let hasPerCore: Bool
    private let include: Set<String>
    private let osAge: Duration
    private let dmiAge: Duration
    private let series = Series("system")
    private let loadFile = HostFile(.proc, "loadavg", isSinglePiece: true)
    private let onlineFile = HostFile(.sys, "devices/system/cpu/online", isSinglePiece: true)
    private let utmpFile = HostFile(.variable, "run/utmp")
    private var buffer: [UInt8] = []
    private var cpuCounts: CPUCounts?
    private var osCells: Remembered?
    private var dmiCells: Remembered?
    /// Schemas by their keys: the same ones come every tick.
    private var schemas: [[String]: Schema] = [:]

    /// Errors: an unknown group.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        hasPerCore = options.bool("rates")
        let groups = options.strings("include")
        for group in groups where !SystemCollector.groups.contains(group) {
            throw CollectorError("include: unknown group '\(group)'", option: "include")
        }
        include = groups.isEmpty ? ["legacy"] : Set(groups)
        osAge = options.duration("os_cache_ttl")
        dmiAge = options.duration("dmi_cache_ttl")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        if include.contains("legacy") { gatherLegacy(time, now, &gather) }
        var cells: [Cell] = []
        attempt(&gather) { _ in
            guard include.contains("load") else { return }
            let load = try load()
            cells += self.cells(load)
            // Without a count of CPUs the load alone; the group cpus tells why.
            if hasPerCore { do { cells += perCore(load, try currentCPUCounts(now)) } catch {} }
        }
        attempt(&gather) { _ in
            if include.contains("cpus") { cells += self.cells(try currentCPUCounts(now)) }
        }
        attempt(&gather) { _ in
            if include.contains("uptime") { cells += uptime(try host.figures()) }
        }
        if include.contains("users") { cells += users() }
        if include.contains("os") { cells += os(now) }
        if include.contains("dmi") { cells += dmi(now) }
        append(cells, time, &gather)
        return gather
    }

    /// Three points; an error loses those that come after it.
    private func gatherLegacy(_ time: Timestamp, _ now: Instant, _ gather: inout Gather) {
        attempt(&gather) { gather in
            let load = try load()
            let counts = try currentCPUCounts(now)
            append(cells(load) + cells(counts) + users() + perCore(load, counts), time, &gather)
            let figures = try host.figures()
            append(uptime(figures), time, &gather)
            append(cells(SystemFields.uptimeFormat, [.string(Uptime.format(figures.uptime))]), time, &gather)
        }
    }

    private func attempt(_ gather: inout Gather, _ body: (inout Gather) throws -> Void) {
        do { try body(&gather) } catch { gather.errors.append("\(error)") }
    }

    private func append(_ cells: [Cell], _ time: Timestamp, _ gather: inout Gather) {
        guard !cells.isEmpty else { return }
        let names = cells.map(\.field.name)
        let schema = schemas[names] ?? Schema(declared: cells.map(\.field))
        schemas[names] = schema
        gather.samples.append(series, schema, at: time)
        for cell in cells {
            switch cell.value {
            case .int(let value): gather.samples.int(value)
            case .uint(let value): gather.samples.uint(value)
            case .float(let value): gather.samples.float(value)
            case .string(let value): gather.samples.string(value)
            }
        }
    }

    private func cells(_ fields: [MetricSpec.Field], _ values: [Value]) -> [Cell] { Array(zip(fields, values)) }

    // MARK: Load, users

    private func uptime(_ figures: SystemFigures) -> [Cell] { cells(SystemFields.uptime, [.uint(figures.uptime)]) }

    private func load() throws -> ProcLoadavg {
        var load: ProcLoadavg?
        do {
            try host.read(loadFile, into: &buffer)
            load = try ProcLoadavg.parse(buffer)
        } catch {
            load = try host.figures().load
        }
        guard let load else { throw CollectorError("no load average") }
        return load
    }

    private func cells(_ load: ProcLoadavg) -> [Cell] {
        cells(SystemFields.load, [.float(load.load1), .float(load.load5), .float(load.load15)])
    }

    private func perCore(_ load: ProcLoadavg, _ counts: CPUCounts) -> [Cell] {
        guard hasPerCore, counts.logical > 0 else { return [] }
        return cells(
            SystemFields.loadPerCore,
            [load.load1, load.load5, load.load15].map { .float($0 / Double(counts.logical)) })
    }

    /// Nothing where there is no utmp: Debian 13, many containers.
    private func users() -> [Cell] {
        do throws(HostError) { try host.read(utmpFile, into: &buffer) } catch { return [] }
        let users = Utmp.users(buffer)
        return cells(SystemFields.users, [.int(Int64(users.sessions)), .int(Int64(users.distinct))])
    }

    // MARK: CPUs

    private func cells(_ counts: CPUCounts) -> [Cell] {
        cells(SystemFields.cpus, [.int(Int64(counts.logical)), .int(Int64(counts.physical))])
    }

    private func currentCPUCounts(_ now: Instant) throws -> CPUCounts {
        do throws(HostError) { try host.read(onlineFile, into: &buffer) } catch { buffer.removeAll() }
        let online = buffer
        if let cpuCounts, !online.isEmpty, cpuCounts.online == online, now < cpuCounts.until { return cpuCounts }
        let info: ProcCPUInfo
        do throws(HostError) {
            try host.read(HostFile(.proc, "cpuinfo", isKept: false), into: &buffer)
            info = ProcCPUInfo.parse(buffer)
        } catch {
            info = ProcCPUInfo()
        }
        var logical = info.processors.count
        if logical == 0 {
            try host.read(HostFile(.proc, "stat", isKept: false), into: &buffer)
            logical = ProcStat.cpuCount(buffer)
        }
        let counts = CPUCounts(
            logical: logical, physical: physicalCPUs() ?? info.coreCount, online: online,
            until: now + SystemCollector.cpuCountsAge)
        cpuCounts = counts
        return counts
    }

    /// Distinct groups of CPUs that share a core; nil when the kernel does not tell.
    private func physicalCPUs() -> Int? {
        let folder = "devices/system/cpu"
        let cpus = host.names(in: .sys, folder).filter { name in
            guard name.hasPrefix("cpu"), let digit = name.utf8.dropFirst(3).first else { return false }
            return digit &- UInt8(ascii: "0") < 10
        }
        for list in ["core_cpus_list", "thread_siblings_list"] {
            var groups: Set<String> = []
            for cpu in cpus {
                if let group = host.text(.sys, "\(folder)/\(cpu)/topology/\(list)"), !group.isEmpty,
                    !group.utf8.contains(UInt8(ascii: "\n"))
                {
                    groups.insert(group)
                }
            }
            if !groups.isEmpty { return groups.count }
        }
        return nil
    }

    // MARK: What the machine is

    private func os(_ now: Instant) -> [Cell] {
        if let osCells, now < osCells.until { return osCells.cells }
        var release = OSRelease()
        do throws(HostError) {
            try host.read(HostFile(.etc, "os-release", isKept: false), into: &buffer)
            release = OSRelease.parse(buffer)
        } catch {
            // Without the file the platform stays empty; kernel and machine are known all the same.
        }
        let kernel = host.kernel
        let texts = [
            "linux", kernel.machine, release.platform, release.family, release.version, kernel.release,
        ]
        let cells = cells(SystemFields.os, texts.map { .string($0) })
        osCells = Remembered(cells: cells, until: now + osAge)
        return cells
    }

    private func dmi(_ now: Instant) -> [Cell] {
        if let dmiCells, now < dmiCells.until { return dmiCells.cells }
        var texts: [String] = []
        var chassis = ""
        for (field, file) in SystemFields.dmiFiles {
            let value = host.text(.sys, "class/dmi/id/\(file)") ?? "unknown"
            texts.append(value)
            if field == "chassis_type_code" { chassis = ChassisType.name(value) }
        }
        let cells = cells(SystemFields.dmi, (texts + [chassis]).map { .string($0) })
        dmiCells = Remembered(cells: cells, until: now + dmiAge)
        return cells
    }
}
