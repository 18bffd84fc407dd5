import Actors
import Glibc
import Pipeline
import Synchronization
import Testing

/// A host that exists in memory: files, file systems and interfaces that a test sets.
final class MemoryHost: Host {
    struct World: Sendable {
        /// By root and path below it: `proc/stat`.
        var files: [String: [UInt8]] = [:]
        var usage: [String: FileSystemUsage] = [:]
        var remote: [String: RemoteUsage] = [:]
        var interfaces: [String: InterfaceFlags] = [:]
        var links: [String: String] = [:]
        /// errno of what cannot be read, by root and path.
        var failures: [String: Int32] = [:]
        var devices: [String: String] = [:]
        var figures: SystemFigures?
        var moved: Set<HostRoot> = []
        var mountPrefix = ""
        var environment: [String: String] = [:]
        /// By the whole command, words joined by blanks.
        var programs: [String: ProgramResult] = [:]
        /// The same for those who look at the exit status.
        var ends: [String: ProgramEnd] = [:]
        /// What was run, in order.
        var ran: [String] = []
        var tableHasChanged = true
        /// What was read, in order.
        var reads: [String] = []
        /// What statfs was called for, in order.
        var asked: [[UInt8]] = []
    }

    private let world = Mutex(World())

    func change(_ body: (inout World) -> Void) { world.withLock { body(&$0) } }
    func file(_ name: String, _ text: String) { change { $0.files[name] = Array(text.utf8) } }
    /// Makes a file one that we may not read.
    func deny(_ name: String) { change { $0.failures[name] = EACCES } }
    var state: World { world.withLock { $0 } }

    func isMoved(_ root: HostRoot) -> Bool { state.moved.contains(root) }
    func environment(_ name: String) -> String { state.environment[name] ?? "" }
    var mountPrefix: String { state.mountPrefix }

    func read(_ file: HostFile, into buffer: inout [UInt8]) throws(HostError) {
        let name = "\(file.root.rawValue)/" + String(decoding: file.path, as: UTF8.self)
        let (bytes, failure) = world.withLock { world in
            world.reads.append(name)
            return (world.files[name], world.failures[name])
        }
        buffer.removeAll()
        if let failure { throw HostError(code: failure, operation: "open \(name)") }
        guard let bytes else { throw HostError(code: ENOENT, operation: "open \(name)") }
        buffer = bytes
    }

    func mayHaveChanged(_ file: HostFile) -> Bool { state.tableHasChanged }

    func names(in root: HostRoot, _ path: String) -> [String] {
        let prefix = path.isEmpty ? "\(root.rawValue)/" : "\(root.rawValue)/\(path)/"
        return Array(
            Set(
                state.files.keys.filter { $0.hasPrefix(prefix) }.compactMap {
                    $0.dropFirst(prefix.count).split(separator: "/").first.map(String.init)
                }))
    }

    func count(in root: HostRoot, _ path: String) throws(HostError) -> Int {
        if let failure = state.failures["\(root.rawValue)/\(path)"] { throw HostError(code: failure, operation: path) }
        return names(in: root, path).count
    }

    func linkTarget(_ root: HostRoot, _ path: String) -> String? { state.links["\(root.rawValue)/\(path)"] }
    func deviceNumber(_ node: String) -> String? { state.devices[node] }

    func usage(of path: [UInt8]) throws(HostError) -> FileSystemUsage {
        let answer = world.withLock { world in
            world.asked.append(path)
            return world.usage[String(decoding: path, as: UTF8.self)]
        }
        guard let answer else { throw HostError(code: ENOENT, operation: "statfs") }
        return answer
    }

    func remoteUsage(of paths: [[UInt8]], until deadline: Instant) async throws -> [RemoteUsage] {
        paths.map { state.remote[String(decoding: $0, as: UTF8.self)] ?? .failed(ENOENT) }
    }

    func run(_ commands: [[String]], until deadline: Instant) async throws -> [ProgramResult] {
        commands.map { state.programs[$0.joined(separator: " ")] ?? .failed("no such program") }
    }

    func ends(
        of commands: [[String]], variables: [String], until deadline: Instant
    ) async throws -> [ProgramEnd] {
        commands.map { words in
            let command = words.joined(separator: " ")
            return world.withLock { world in
                world.ran.append(command)
                if let end = world.ends[command] { return end }
                switch world.programs[command] {
                case .output(let bytes)?: return ProgramEnd(output: bytes, status: 0)
                case .failed(let reason)?: return ProgramEnd(failure: reason)
                case nil: break
                }
                var end = ProgramEnd(failure: "\(words.first ?? ""): No such file or directory")
                end.isMissing = true
                return end
            }
        }
    }

    func interfaceFlags(_ name: [UInt8]) -> InterfaceFlags? { state.interfaces[String(decoding: name, as: UTF8.self)] }

    func figures() throws(HostError) -> SystemFigures {
        guard let figures = state.figures else { throw HostError(code: ENOSYS, operation: "sysinfo") }
        return figures
    }

    var kernel: (machine: String, release: String) { ("x86_64", "6.1.0") }
    var pageSize: UInt64 { 4096 }
    var ticksPerSecond: Double { 100 }
}

/// One collector on a host in memory, with clocks that a test moves.
struct Bench {
    let host: MemoryHost
    let collector: any Collector
    var now = Instant(nanoseconds: 1_000_000_000_000)
    let time = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

    init(_ plugin: String, _ options: [String: OptionValue] = [:], host: MemoryHost = MemoryHost()) throws {
        let input = try #require(InputRegistry.plugin(plugin))
        self.host = host
        collector = try input.make(OptionValues(input.spec.options, set: options), host)
    }

    mutating func gather(after distance: Duration = .seconds(10)) async -> (lines: [String], errors: [String]) {
        now += distance
        let gather = await collector.gather(at: time, now: now, deadline: now + .seconds(10))
        return (Bench.lines(gather.samples), gather.errors)
    }

    /// The points in line protocol without timestamps.
    static func lines(_ samples: SampleSet) -> [String] {
        samples.rows.compactMap { row in
            var out = ByteWriter()
            guard let header = LineProtocol.header(row.series.measurement, row.series.tags) else { return nil }
            let count = try? LineProtocol.append(
                header: header, schema: row.schema, columns: row.schema.lineOrder, set: samples,
                firstCell: row.firstCell,
                time: row.time, options: .init(omitTimestamp: true), to: &out)
            return count == nil ? nil : String(decoding: out.bytes.dropLast(), as: UTF8.self)
        }
    }
}
