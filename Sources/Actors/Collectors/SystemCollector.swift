import Pipeline

/// Input `system`: load, CPUs, users, uptime, and on request what the machine is (`os`, `dmi`).
///
/// Rules: `docs/inputs.md`. With `legacy` three points; the other groups share one.
/// Keeps: the CPU counts while the kernel's list of online CPUs stays the same (at most a minute), since /proc/cpuinfo
/// is long and asks every core for its clock; `os` and `dmi` for the time that their options say.
public actor SystemCollector: Collector {
    public static let groups = ["legacy", "load", "users", "cpus", "uptime", "os", "dmi"]
    public static let spec = PluginSpec(
        name: "system", summary: "Load, CPUs, users, uptime, operating system, hardware.",
        options: [
            OptionSpec("include", .strings(["legacy"]), "What to report.", choices: groups),
            OptionSpec("os_cache_ttl", .duration(.seconds(28_800)), "How long the group os is remembered."),
            OptionSpec("dmi_cache_ttl", .duration(.seconds(28_800)), "How long the group dmi is remembered."),
        ])

    private typealias Cell = (field: Schema.Field, value: Value)
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
    private var schemas: [[Schema.Field]: Schema] = [:]

    /// Errors: an unknown group.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        let groups = options.strings("include")
        for group in groups where !SystemCollector.groups.contains(group) {
            throw CollectorError("include: unknown group '\(group)'")
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
            if include.contains("load") { cells += try load() }
        }
        attempt(&gather) { _ in
            if include.contains("cpus") { cells += try cpus(now) }
        }
        attempt(&gather) { _ in
            if include.contains("uptime") { cells.append((.uint("uptime"), .uint(try host.figures().uptime))) }
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
            append(try load() + cpus(now) + users(), time, &gather)
            let uptime = try host.figures().uptime
            append([(.uint("uptime"), .uint(uptime))], time, &gather)
            append([(.string("uptime_format"), .string(Uptime.format(uptime)))], time, &gather)
        }
    }

    private func attempt(_ gather: inout Gather, _ body: (inout Gather) throws -> Void) {
        do { try body(&gather) } catch { gather.errors.append("\(error)") }
    }

    private func append(_ cells: [Cell], _ time: Timestamp, _ gather: inout Gather) {
        guard !cells.isEmpty else { return }
        let fields = cells.map(\.field)
        let schema = schemas[fields] ?? Schema(fields)
        schemas[fields] = schema
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

    // MARK: Load, users

    private func load() throws -> [Cell] {
        var load: ProcLoadavg?
        do {
            try host.read(loadFile, into: &buffer)
            load = try ProcLoadavg.parse(buffer)
        } catch {
            load = try host.figures().load
        }
        guard let load else { throw CollectorError("no load average") }
        return [
            (.float("load1"), .float(load.load1)), (.float("load5"), .float(load.load5)),
            (.float("load15"), .float(load.load15)),
        ]
    }

    /// Nothing where there is no utmp: Debian 13, many containers.
    private func users() -> [Cell] {
        do throws(HostError) { try host.read(utmpFile, into: &buffer) } catch { return [] }
        let users = Utmp.users(buffer)
        return [
            (.int("n_users"), .int(Int64(users.sessions))), (.int("n_unique_users"), .int(Int64(users.distinct))),
        ]
    }

    // MARK: CPUs

    private func cpus(_ now: Instant) throws -> [Cell] {
        let counts = try currentCPUCounts(now)
        return [
            (.int("n_cpus"), .int(Int64(counts.logical))), (.int("n_physical_cpus"), .int(Int64(counts.physical))),
        ]
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
        let cells: [Cell] = [
            ("os", "linux"), ("arch", kernel.machine), ("platform", release.platform),
            ("platform_family", release.family), ("platform_version", release.version),
            ("kernel_version", kernel.release),
        ].map { (.string($0.0), .string($0.1)) }
        osCells = Remembered(cells: cells, until: now + osAge)
        return cells
    }

    /// Field and file of /sys/class/dmi/id.
    private static let dmiFiles = [
        ("bios_vendor", "bios_vendor"), ("bios_version", "bios_version"), ("bios_date", "bios_date"),
        ("board_vendor", "board_vendor"), ("board_product", "board_name"), ("board_version", "board_version"),
        ("board_serial", "board_serial"), ("board_asset_tag", "board_asset_tag"),
        ("chassis_vendor", "chassis_vendor"), ("chassis_type_code", "chassis_type"),
        ("chassis_version", "chassis_version"), ("chassis_serial", "chassis_serial"),
        ("chassis_asset_tag", "chassis_asset_tag"), ("product_vendor", "sys_vendor"),
        ("product_name", "product_name"), ("product_family", "product_family"),
        ("product_version", "product_version"), ("product_serial", "product_serial"),
        ("product_sku", "product_sku"), ("product_uuid", "product_uuid"),
    ]

    private func dmi(_ now: Instant) -> [Cell] {
        if let dmiCells, now < dmiCells.until { return dmiCells.cells }
        var cells: [Cell] = []
        for (field, file) in SystemCollector.dmiFiles {
            let value = host.text(.sys, "class/dmi/id/\(file)") ?? "unknown"
            cells.append((.string(field), .string(value)))
            if field == "chassis_type_code" {
                cells.append((.string("chassis_type"), .string(ChassisType.name(value))))
            }
        }
        dmiCells = Remembered(cells: cells, until: now + dmiAge)
        return cells
    }
}
