import Pipeline

/// Which processes the input `procstat` watches, and how they are found: by one pass over /proc that opens no more than
/// the rule needs, or by a file that lists them.
///
/// | rule | looks at |
/// |---|---|
/// | exe | PID/stat of all; PID/cmdline where the kernel may have cut the name |
/// | pattern | PID/stat and PID/cmdline of all |
/// | user | PID/status of all |
/// | systemd_unit | PID/cgroup of all |
/// | cgroup, pid_file | one file a group |
/// | supervisor_units | the program supervisorctl, PID/stat of all |
///
/// Errors: what makes a rule fail as a whole. A process that vanishes meanwhile is passed.
final class ProcessSelector {
    /// Processes that were found together, with the tags that say how.
    struct Group {
        var tags: [Tag]
        var pids: [Int32]
    }

    private enum Rule {
        case supervisor([String])
        case unit(String)
        /// A path below /sys/fs/cgroup or an absolute one; globs in its parts. Several: the first that has any.
        case cgroup([String])
        case pidFile(HostFile)
        case exe(ProcessPattern)
        case pattern(ProcessPattern)
        case user(String)
    }

    private let host: any Host
    private let rule: Rule
    /// The rule as it was configured.
    let tags: [Tag]
    private let usesRealUser: Bool
    private let files = ProcessFiles()
    private var buffer: [UInt8] = []

    /// Errors: no rule is set, or its pattern cannot be compiled.
    init(_ options: OptionValues, host: any Host) throws {
        self.host = host
        usesRealUser = options.string("pid_finder") == "native"
        func set(_ name: String) -> String? { options.string(name).isEmpty ? nil : options.string(name) }
        let units = options.strings("supervisor_units") + options.strings("supervisor_unit")
        if !units.isEmpty {
            rule = .supervisor(units)
            tags = [Tag("supervisor_unit", units.joined(separator: ";"))]
        } else if let unit = set("systemd_unit"), options.bool("include_systemd_children") {
            let path = "system.slice/" + unit
            rule = .cgroup(["systemd/" + path, path])
            tags = [Tag("cgroup", "systemd/" + path)]
        } else if let unit = set("systemd_unit") {
            rule = .unit(unit)
            tags = [Tag("systemd_unit", unit)]
        } else if let path = set("cgroup") {
            rule = .cgroup([path])
            tags = [Tag("cgroup", path)]
        } else if let path = set("pid_file") {
            rule = .pidFile(HostFile(.absolute, path, isKept: false))
            tags = [Tag("pidfile", path)]
        } else if let exe = set("exe") {
            rule = .exe(try ProcessPattern(exe, option: "exe"))
            tags = [Tag("exe", exe)]
        } else if let pattern = set("pattern") {
            rule = .pattern(try ProcessPattern(pattern))
            tags = [Tag("pattern", pattern)]
        } else if let user = set("user") {
            rule = .user(user)
            tags = [Tag("user", user)]
        } else {
            throw CollectorError(
                "procstat: one of pid_file, exe, pattern, user, systemd_unit, cgroup, supervisor_units must be set")
        }
    }

    nonisolated(nonsending) func select(_ users: PasswdFile, until deadline: Instant) async throws -> [Group] {
        switch rule {
        case .supervisor(let units): return try await supervised(units, until: deadline)
        case .unit(let unit): return [Group(tags: tags, pids: try members(of: Array(unit.utf8)))]
        case .cgroup(let paths): return try cgroups(paths)
        case .pidFile(let file):
            try host.read(file, into: &buffer)
            guard let pid = pid(in: buffer, 0..<buffer.count) else {
                throw ParseError(String(decoding: file.path, as: UTF8.self), "is no number of a process")
            }
            return [Group(tags: tags, pids: [pid])]
        case .exe(let pattern):
            return [Group(tags: tags, pids: try scan { self.isNamed($0, pattern) })]
        case .pattern(let pattern):
            return [
                Group(
                    tags: tags,
                    pids: try scan { process in
                        let text = ProcessCommandLine.text(self.commandLine(process.pid))
                        // Threads of the kernel have none.
                        return pattern.matches(text.isEmpty ? process.name : text)
                    })
            ]
        case .user(let name):
            guard let number = users.numbers[name] ?? UInt32(name) else {
                throw CollectorError("procstat: there is no user \"\(name)\" in /etc/passwd")
            }
            return [Group(tags: tags, pids: owned(by: number))]
        }
    }

    // MARK: By a pass over all

    private func scan(_ isWanted: (ProcessStat) -> Bool) throws(HostError) -> [Int32] {
        var pids: [Int32] = []
        try host.readProcesses(files) { bytes in
            do throws(ParseError) {
                let process = try ProcessStat.parse(bytes)
                if isWanted(process) { pids.append(process.pid) }
            } catch {
                // Half a file: of a process that ends.
                return
            }
        }
        pids.sort()
        return pids
    }

    /// Whether the name matches, or the whole of a name that the kernel has cut.
    private func isNamed(_ process: ProcessStat, _ pattern: ProcessPattern) -> Bool {
        if pattern.matches(process.name) { return true }
        guard process.name.count >= ProcessStat.nameLimit else { return false }
        return pattern.matches(process.fullName(commandLine: commandLine(process.pid)))
    }

    private func commandLine(_ pid: Int32) -> [UInt8] {
        read("\(pid)/cmdline") ? buffer : []
    }

    private func owned(by user: UInt32) -> [Int32] {
        allProcesses().filter { pid in
            guard read("\(pid)/status") else { return false }
            let status = ProcessStatus.parse(buffer)
            return (usesRealUser ? status.realUser : status.effectiveUser) == user
        }
    }

    /// The main process of a unit: the oldest of its members whose parent is none.
    private func members(of unit: [UInt8]) throws(HostError) -> [Int32] {
        let all = Set(allProcesses().filter { read("\($0)/cgroup") && ProcessCgroup.isMember(buffer, of: unit) })
        guard !all.isEmpty else { return [] }
        var main: ProcessStat?
        for pid in all where read("\(pid)/stat") {
            guard let process = parsedStat(), !all.contains(process.parent) else { continue }
            if main.map({ ($0.startTicks, $0.pid) > (process.startTicks, process.pid) }) ?? true { main = process }
        }
        return main.map { [$0.pid] } ?? []
    }

    private func parsedStat() -> ProcessStat? {
        do throws(ParseError) { return try ProcessStat.parse(buffer) } catch { return nil }
    }

    private func allProcesses() -> [Int32] {
        host.names(in: .proc, "").compactMap { name in
            name.utf8.allSatisfy { $0 &- UInt8(ascii: "0") < 10 } ? Int32(name) : nil
        }.sorted()
    }

    /// Reads into `buffer`; false when the file is not there or not for us.
    private func read(_ path: String) -> Bool {
        do throws(HostError) { try host.read(HostFile(.proc, path, isKept: false), into: &buffer) } catch {
            return false
        }
        return true
    }

    // MARK: By lists

    private func cgroups(_ paths: [String]) throws -> [Group] {
        for path in paths {
            let (root, relative) = ProcessSelector.place(path)
            var groups: [Group] = []
            for folder in try expanded(root, relative) {
                do throws(HostError) {
                    try host.read(HostFile(root, folder + "/cgroup.procs", isKept: false), into: &buffer)
                } catch {
                    if error.isMissing { continue }
                    throw error
                }
                var cursor = ByteCursor(buffer)
                var pids: [Int32] = []
                while cursor.nextLine() {
                    if let pid = pid(in: cursor.bytes, cursor.rest) { pids.append(pid) }
                }
                let full = (root == .sys ? "/sys/" : "") + folder
                groups.append(Group(tags: tags + [Tag("cgroup_full", full)], pids: pids))
            }
            if !groups.isEmpty { return groups }
        }
        return []
    }

    private static func place(_ path: String) -> (root: HostRoot, path: String) {
        if !path.hasPrefix("/") { return (.sys, "fs/cgroup/" + path) }
        return path.hasPrefix("/sys/") ? (.sys, String(path.dropFirst(5))) : (.absolute, path)
    }

    /// Folders that match a path with globs in its parts; one without globs stands for itself.
    private func expanded(_ root: HostRoot, _ path: String) throws -> [String] {
        var found = [path.hasPrefix("/") ? "/" : ""]
        for part in path.split(separator: "/") {
            guard part.utf8.contains(where: { "*?[".utf8.contains($0) }) else {
                found = found.map { ProcessSelector.joined($0, String(part)) }
                continue
            }
            let glob = try Glob(String(part))
            found = found.flatMap { folder in
                host.names(in: root, folder).filter(glob.matches).sorted().map { ProcessSelector.joined(folder, $0) }
            }
        }
        return found
    }

    private static func joined(_ folder: String, _ name: String) -> String {
        folder.isEmpty || folder == "/" ? folder + name : folder + "/" + name
    }

    private func pid(in bytes: [UInt8], _ range: Range<Int>) -> Int32? {
        let cursor = ByteCursor(bytes)
        return cursor.unsigned(in: cursor.trimmed(range)).flatMap { Int32(exactly: $0) }.flatMap { $0 > 0 ? $0 : nil }
    }

    /// The processes of supervisord's programs with their children, a group each; programs that do not run have none.
    private nonisolated(nonsending) func supervised(_ units: [String], until deadline: Instant) async throws -> [Group]
    {
        let results = try await host.run([["supervisorctl", "status"] + units], until: deadline)
        let programs: [SupervisorStatus]
        switch results.first {
        case .output(let bytes)?: programs = SupervisorStatus.parse(bytes)
        case .failed(let reason)?: throw CollectorError("procstat: " + reason)
        case nil: programs = []
        }
        let wanted = Set(programs.compactMap(\.pid))
        var children: [Int32: [Int32]] = [:]
        _ = try scan { process in
            if wanted.contains(process.pid) { children[process.pid, default: []].append(process.pid) }
            if wanted.contains(process.parent) { children[process.parent, default: []].append(process.pid) }
            return false
        }
        return programs.map { program in
            Group(
                tags: [Tag("supervisor_unit", program.name), Tag("status", program.state)],
                pids: program.pid.flatMap { children[$0]?.sorted() } ?? [])
        }
    }
}
