import Glibc
import Pipeline

/// Input `systemd_units`: the states of systemd's units, as the program `systemctl` lists them.
///
/// The states take one program; with `details` a second round asks for the properties of the units that were found,
/// `groupSize` a program, and units on disk that are not loaded take a list of files and such a round too. All together
/// have `timeout`, or nine tenths of the interval. A state that nobody knows is an error and leaves its unit out.
/// Why systemctl and not the bus: a reader of the bus protocol would be hundreds of lines for the same answer.
public actor SystemdUnitsCollector: Collector {
    static let properties = [
        "Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "UnitFilePreset", "StatusErrno", "NRestarts",
        "MainPID", "MemoryCurrent", "MemoryPeak", "MemorySwapCurrent", "MemorySwapPeak", "MemoryAvailable",
        "ActiveEnterTimestamp",
    ]
    /// Units that one program is asked for: the names must fit into its arguments, the answer into the output limit.
    private static let groupSize = 200

    private let host: any Host
    private let patterns: [String]
    private let selection: [String]
    /// systemctl with its scope.
    private let program: [String]
    private let userTags: [Tag]
    private let wantsDisabled: Bool
    private let wantsDetails: Bool
    private let timeout: Duration
    /// Whether this systemctl knows `--timestamp`; older ones end with an error.
    private var knowsTimestamps = true
    private var series = SeriesCache()
    private var row = FieldRow()

    public init(options: OptionValues, host: any Host) {
        self.host = host
        patterns = options.string("pattern").split(separator: " ").map(String.init)
        selection = ["--all", "--plain", "--no-legend", "--no-pager", "--full", "--type=" + options.string("unittype")]
        if options.string("scope") == "user" {
            // systemctl finds the user's systemd by this variable alone.
            let number = getuid()
            program = ["env", "XDG_RUNTIME_DIR=/run/user/\(number)", "systemctl", "--user"]
            let users = PasswdFile.parse(Array((host.text(.etc, "passwd") ?? "").utf8))
            userTags = [Tag("user", users.names[number] ?? "\(number)")]
        } else {
            program = ["systemctl"]
            userTags = []
        }
        wantsDisabled = options.bool("collect_disabled_units")
        wantsDetails = options.bool("details")
        timeout = options.duration("timeout")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        let until = now + min(timeout, (deadline - now) * 9 / 10)
        do {
            for unit in try await units(&gather.errors, until: until) { append(unit, time, &gather) }
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return gather
        }
        series.finish()
        return gather
    }

    // MARK: What systemctl says

    private func units(_ errors: inout [String], until deadline: Instant) async throws -> [SystemdUnit] {
        var commands = [program + ["list-units"] + selection + ["--"] + patterns]
        if wantsDisabled {
            let options = selection.filter { $0 != "--all" && $0 != "--plain" }
            commands.append(program + ["list-unit-files"] + options + ["--"] + patterns)
        }
        let results = try await host.run(commands, until: deadline)
        var outputs: [[UInt8]] = []
        for result in results {
            switch result {
            case .output(let bytes): outputs.append(bytes)
            case .failed(let reason):
                errors.append("systemd_units: \(reason)")
                return []
            }
        }
        let listed = SystemdUnit.list(outputs.first ?? [])
        var asked: [String] = wantsDetails ? listed.map(\.name) : []
        if outputs.count > 1 {
            let known = Set(listed.map(\.name))
            asked += SystemdUnit.fileNames(outputs[1]).filter { !known.contains($0) }
        }
        guard !asked.isEmpty else { return listed }
        let shown = try await show(asked, &errors, until: deadline)
        if wantsDetails { return shown }
        return listed + shown
    }

    private func show(
        _ names: [String], _ errors: inout [String], until deadline: Instant
    ) async throws -> [SystemdUnit] {
        let groups = stride(from: 0, to: names.count, by: SystemdUnitsCollector.groupSize).map {
            Array(names[$0..<min($0 + SystemdUnitsCollector.groupSize, names.count)])
        }
        let property = "--property=" + SystemdUnitsCollector.properties.joined(separator: ",")
        for attempt in 0..<2 {
            let form = knowsTimestamps ? ["--timestamp=us+utc"] : []
            let results = try await host.run(
                groups.map { program + ["show", "--no-pager", property] + form + ["--"] + $0 }, until: deadline)
            var units: [SystemdUnit] = []
            var failure: String?
            for result in results {
                switch result {
                case .output(let bytes): units += SystemdUnit.show(bytes)
                case .failed(let reason): failure = reason
                }
            }
            guard let failure else { return units }
            guard attempt == 0, knowsTimestamps, failure.contains("timestamp") else {
                errors.append("systemd_units: \(failure)")
                return units
            }
            knowsTimestamps = false
        }
        return []
    }

    // MARK: Points

    private func append(_ unit: SystemdUnit, _ time: Timestamp, _ gather: inout Gather) {
        guard let load = SystemdUnit.loadCodes[unit.load], let active = SystemdUnit.activeCodes[unit.active],
            let sub = SystemdUnit.subCodes[unit.sub]
        else {
            gather.errors.append("systemd_units: \(unit.name) is in a state that is not known")
            return
        }
        var tags =
            [Tag("name", unit.name), Tag("load", unit.load), Tag("active", unit.active), Tag("sub", unit.sub)]
            + userTags
        row.begin()
        row.int("load_code", load)
        row.int("active_code", active)
        row.int("sub_code", sub)
        if wantsDetails {
            tags += [("state", "UnitFileState"), ("preset", "UnitFilePreset")].compactMap { tag, property in
                unit.properties[property].flatMap { $0.isEmpty ? nil : Tag(tag, $0) }
            }
            for (name, property) in [("status_errno", "StatusErrno"), ("restarts", "NRestarts"), ("pid", "MainPID")] {
                row.int(name, unit.number(property).map { Int64(clamping: $0) })
            }
            for (name, property) in SystemdUnitsCollector.sizes { row.uint(name, unit.number(property)) }
            row.uint("active_enter_timestamp_us", unit.activeSince)
        }
        row.append(series.series("systemd_units", tags), at: time, to: &gather.samples)
    }

    private static let sizes = [
        ("mem_current", "MemoryCurrent"), ("mem_peak", "MemoryPeak"), ("swap_current", "MemorySwapCurrent"),
        ("swap_peak", "MemorySwapPeak"), ("mem_avail", "MemoryAvailable"),
    ]

    public static var spec: PluginSpec {
        PluginSpec(
            name: "systemd_units", summary: "States of systemd's units, from the program systemctl.",
            options: [
                OptionSpec("pattern", .string("*"), "Patterns of names, with blanks between them."),
                OptionSpec(
                    "unittype", .string("service"), "Kind of the units.",
                    choices: [
                        "service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice",
                        "scope",
                    ]),
                OptionSpec(
                    "scope", .string("system"), "Units of the system, or of the agent's user.",
                    choices: ["system", "user"]),
                OptionSpec("collect_disabled_units", .bool(false), "Units on disk that are not loaded, too."),
                OptionSpec("details", .bool(false), "Memory, restarts, main process and more of each unit."),
                OptionSpec("timeout", .duration(.seconds(5)), "Longest time for all answers.", bounds: 0.001...3600),
            ],
            metrics: [
                MetricSpec(
                    "systemd_units", tags: ["name", "load", "active", "sub", "user", "state", "preset"],
                    fields: ["load_code", "active_code", "sub_code"].map {
                        MetricSpec.Field($0, .int, .none, "systemctl list-units")
                    } + [
                        MetricSpec.Field("status_errno", .int, .none, "systemctl show, StatusErrno"),
                        MetricSpec.Field("restarts", .int, .count, "systemctl show, NRestarts"),
                        MetricSpec.Field("pid", .int, .none, "systemctl show, MainPID"),
                        MetricSpec.Field(
                            "active_enter_timestamp_us", .uint, .microseconds, "systemctl show, ActiveEnterTimestamp"),
                    ] + sizes.map { MetricSpec.Field($0.0, .uint, .bytes, "systemctl show, \($0.1)") })
            ])
    }
}
