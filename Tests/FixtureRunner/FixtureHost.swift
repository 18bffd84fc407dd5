import Actors
import Glibc
import Pipeline
import Synchronization

/// A host made of one step of a case: folders in place of /proc and its like, listed answers in place of system calls.
/// What the step does not name does not exist.
final class FixtureHost: Host {
    struct Step: Sendable {
        /// Full paths of the folders.
        var folders: [HostRoot: String] = [:]
        /// Files that stand in no folder, by root and path below it: `proc/1/mounts`.
        var files: [String: [UInt8]] = [:]
        var environment: [String: String] = [:]
        var mock = JSONValue.null
        /// What the program ntpq gives, by server; empty = the local one.
        var ntpq: [String: ProgramResult] = [:]
    }

    private let step = Mutex(Step())

    init() {}

    /// Makes `next` the world.
    func enter(_ next: Step) { step.withLock { $0 = next } }

    private var current: Step { step.withLock { $0 } }

    func isMoved(_ root: HostRoot) -> Bool { current.environment[root.environmentName].map { !$0.isEmpty } ?? false }
    func environment(_ name: String) -> String { current.environment[name] ?? "" }
    var mountPrefix: String { current.environment["HOST_MOUNT_PREFIX"] ?? "" }

    func read(_ file: HostFile, into buffer: inout [UInt8]) throws(HostError) {
        buffer.removeAll(keepingCapacity: true)
        let step = current
        let path = String(decoding: file.path, as: UTF8.self)
        if let bytes = step.files["\(file.root.rawValue)/\(path)"] {
            buffer = bytes
            return
        }
        guard let folder = step.folders[file.root] else { throw HostError(code: ENOENT, operation: "open \(path)") }
        guard let bytes = Files.read(Array(folder.utf8) + [UInt8(ascii: "/")] + file.path) else {
            throw HostError(code: errno, operation: "open \(path)")
        }
        buffer = bytes
    }

    func mayHaveChanged(_ file: HostFile) -> Bool { true }

    func names(in root: HostRoot, _ path: String) -> [String] {
        current.folders[root].map { Files.names("\($0)/\(path)") } ?? []
    }

    func linkTarget(_ root: HostRoot, _ path: String) -> String? {
        let step = current
        if let target = step.mock["symlinks"]?["/\(root.rawValue)/\(path)"]?.string { return target }
        guard let folder = step.folders[root] else { return nil }
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlink("\(folder)/\(path)", &target, target.count)
        guard count > 0 else { return nil }
        return String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func deviceNumber(_ node: String) -> String? { current.mock["devnum"]?[node]?.string }

    func usage(of path: [UInt8]) throws(HostError) -> FileSystemUsage {
        guard let answer = current.mock["statfs"]?[String(decoding: path, as: UTF8.self)] else {
            throw HostError(code: ENOENT, operation: "statfs")
        }
        func number(_ key: String) -> UInt64 { answer[key]?.uint64 ?? 0 }
        return FileSystemUsage(
            blockSize: number("bsize"), blocks: number("blocks"), freeBlocks: number("bfree"),
            availableBlocks: number("bavail"), inodes: number("files"), freeInodes: number("ffree"))
    }

    func remoteUsage(of paths: [[UInt8]], until deadline: Instant) async throws -> [RemoteUsage] {
        paths.map { path in
            do throws(HostError) { return .answered(try usage(of: path)) } catch { return .failed(error.code) }
        }
    }

    func run(_ commands: [[String]], until deadline: Instant) async throws -> [ProgramResult] {
        let answers = current.ntpq
        return commands.map { command in
            answers[command.last ?? ""] ?? answers[""] ?? .failed("there is no program \(command.first ?? "")")
        }
    }

    func interfaceFlags(_ name: [UInt8]) -> InterfaceFlags? {
        guard let flags = current.mock["ifflags"]?[String(decoding: name, as: UTF8.self)]?.array else { return nil }
        return InterfaceFlags(isUp: flags.contains(.string("up")), isLoopback: flags.contains(.string("loopback")))
    }

    func figures() throws(HostError) -> SystemFigures {
        guard let answer = current.mock["sysinfo"] else { throw HostError(code: ENOSYS, operation: "sysinfo") }
        let unit = answer["mem_unit"]?.uint64 ?? 1
        let loads = (answer["loads"]?.array ?? []).compactMap(\.double)
        let load =
            loads.count == 3
            ? ProcLoadavg(load1: loads[0] / 65536, load5: loads[1] / 65536, load15: loads[2] / 65536) : nil
        return SystemFigures(
            uptime: answer["uptime"]?.uint64 ?? 0, load: load,
            swapTotal: (answer["totalswap"]?.uint64 ?? 0).multipliedSaturated(by: unit),
            swapFree: (answer["freeswap"]?.uint64 ?? 0).multipliedSaturated(by: unit))
    }

    var kernel: (machine: String, release: String) {
        var name = utsname()
        uname(&name)
        func text<Field>(_ field: inout Field) -> String {
            withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        return (text(&name.machine), text(&name.release))
    }
    var pageSize: UInt64 { current.mock["pagesize"]?.uint64 ?? 4096 }
    var ticksPerSecond: Double { 100 }
}
