import CLinux
import Glibc
import Pipeline

/// The host that this process runs on, or the one that HOST_PROC and its sisters point to.
///
/// Cost: a kept file costs one `pread`, two when it comes in pieces; nothing is allocated.
public final class LinuxHost: Host {
    private let roots: [HostRoot: [UInt8]]
    private let moved: Set<HostRoot>
    private let environment: [String: String]
    public let mountPrefix: String
    public let kernel: (machine: String, release: String)
    public let pageSize: UInt64
    public let ticksPerSecond: Double
    /// For SIOCGIFFLAGS; any socket will do.
    private let socketDescriptor: Int32
    private let remote: RemoteStatfs
    private let programs = ProgramRunner()
    private let clock: any Clock

    /// `environment` gives the HOST_ variables; `clock` times the file systems that may hang.
    public init(environment: [String: String], clock: any Clock) {
        var roots: [HostRoot: [UInt8]] = [:]
        var moved: Set<HostRoot> = []
        for root in HostRoot.allCases {
            let value = environment[root.environmentName] ?? ""
            if !value.isEmpty { moved.insert(root) }
            roots[root] = Array(LinuxHost.folder(root, value).utf8)
        }
        self.roots = roots
        self.environment = environment
        self.clock = clock
        self.moved = moved
        mountPrefix = environment["HOST_MOUNT_PREFIX"] ?? ""
        var name = utsname()
        uname(&name)
        kernel = (LinuxHost.text(&name.machine), LinuxHost.text(&name.release))
        pageSize = UInt64(max(1, sysconf(Int32(_SC_PAGESIZE))))
        ticksPerSecond = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        socketDescriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        remote = RemoteStatfs(clock: clock) { LinuxHost.ask($0) }
    }

    deinit { SystemError.close(socketDescriptor) }

    private static func folder(_ root: HostRoot, _ value: String) -> String {
        switch root {
        case .variable: value.isEmpty ? "/var" : value
        case .absolute: ""
        case .mountTable:
            // The variable names the file, as a rule; its folder counts.
            value.hasSuffix("/mountinfo") || value.hasSuffix("/mounts")
                ? String(value[..<(value.lastIndex(of: "/") ?? value.startIndex)]) : value
        default: value.isEmpty ? "/" + root.rawValue : value
        }
    }

    private static func text<Field>(_ field: inout Field) -> String {
        withUnsafeBytes(of: &field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    public func isMoved(_ root: HostRoot) -> Bool { moved.contains(root) }
    public func environment(_ name: String) -> String { environment[name] ?? "" }

    /// Calls `body` with the full path, ended by NUL.
    func withPath<Result>(
        _ root: HostRoot, _ path: some Sequence<UInt8>, _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        var full = roots[root] ?? []
        full.append(UInt8(ascii: "/"))
        full += path
        return LinuxHost.withCString(full, body)
    }

    /// Calls `body` with `bytes`, ended by NUL.
    private static func withCString<Result>(_ bytes: [UInt8], _ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { copy in
            for (index, byte) in bytes.enumerated() { copy[index] = CChar(bitPattern: byte) }
            copy[bytes.count] = 0
            guard let start = copy.baseAddress else { preconditionFailure("BUG: a buffer without an address") }
            return body(UnsafePointer(start))
        }
    }

    // MARK: Files

    public func read(_ file: HostFile, into buffer: inout [UInt8]) throws(HostError) {
        if file.descriptor >= 0 {
            if readWhole(file, into: &buffer) == 0 { return }
            // Gone with its device or process; perhaps there is a new one of the same name.
            file.closeDescriptor()
        }
        buffer.removeAll(keepingCapacity: true)
        file.descriptor = withPath(file.root, file.path) { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
        guard file.descriptor >= 0 else { throw HostError(code: errno, operation: "open \(name(file))") }
        let code = readWhole(file, into: &buffer)
        if code != 0 || !file.isKept { file.closeDescriptor() }
        guard code == 0 else {
            buffer.removeAll(keepingCapacity: true)
            throw HostError(code: code, operation: "read \(name(file))")
        }
    }

    private static let pieceBytes = 16 * 1024
    private static let fileBytesLimit = 16 * 1024 * 1024

    /// Reads from the beginning to the end. Returns 0 or errno.
    private func readWhole(_ file: HostFile, into buffer: inout [UInt8]) -> Int32 {
        buffer.removeAll(keepingCapacity: true)
        return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: LinuxHost.pieceBytes) { piece in
            while buffer.count < LinuxHost.fileBytesLimit {
                let count = pread(file.descriptor, piece.baseAddress, piece.count, buffer.count)
                if count < 0 {
                    if errno == EINTR { continue }
                    return errno
                }
                buffer.append(contentsOf: UnsafeBufferPointer(rebasing: piece[..<count]))
                if count == 0 || file.isSinglePiece && count < piece.count { return 0 }
            }
            return EFBIG
        }
    }

    private func name(_ file: HostFile) -> String {
        String(decoding: (roots[file.root] ?? []) + [UInt8(ascii: "/")] + file.path, as: UTF8.self)
    }

    public func mayHaveChanged(_ file: HostFile) -> Bool {
        guard file.descriptor >= 0 else { return true }
        if !file.reportsChanges {
            var system = statfs()
            guard fstatfs(file.descriptor, &system) == 0, system.f_type == LinuxHost.procMagic else { return true }
            // The first poll after the open only remembers the state; what was read since may be older.
            file.reportsChanges = true
            return true
        }
        var watched = pollfd(fd: file.descriptor, events: Int16(POLLPRI), revents: 0)
        return poll(&watched, 1, 0) != 0
    }

    /// f_type of procfs.
    private static let procMagic = 0x9FA0

    public func names(in root: HostRoot, _ path: String) -> [String] {
        guard let folder = withPath(root, path.utf8, { opendir($0) }) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = LinuxHost.text(&entry.pointee.d_name)
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    public func count(in root: HostRoot, _ path: String) throws(HostError) -> Int {
        var status = stat()
        // From Linux 6.2 on the size of /proc/PID/fd is the number of its entries.
        if withPath(root, path.utf8, { stat($0, &status) }) == 0, status.st_size > 0, root == .proc, !isMoved(.proc) {
            return Int(clamping: status.st_size)
        }
        guard let folder = withPath(root, path.utf8, { opendir($0) }) else {
            throw HostError(code: errno, operation: "open \(path)")
        }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            let name = (entry.pointee.d_name.0, entry.pointee.d_name.1, entry.pointee.d_name.2)
            let dot = CChar(UInt8(ascii: "."))
            if name.0 != dot || name.1 != 0 && (name.1 != dot || name.2 != 0) { count += 1 }
        }
        return count
    }

    public func linkTarget(_ root: HostRoot, _ path: String) -> String? {
        withPath(root, path.utf8) { path in
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { target in
                guard let start = target.baseAddress else { return nil }
                let count = readlink(path, start, target.count)
                guard count > 0 else { return nil }
                return String(decoding: UnsafeRawBufferPointer(target).prefix(count), as: UTF8.self)
            }
        }
    }

    public func deviceNumber(_ node: String) -> String? {
        var status = stat()
        let root = node.hasPrefix("/") ? HostRoot.absolute : .dev
        guard withPath(root, node.utf8, { stat($0, &status) }) == 0 else { return nil }
        let type = status.st_mode & S_IFMT
        guard type == S_IFBLK || type == S_IFCHR else { return nil }
        // glibc's layout of dev_t; its macros are not imported.
        let device = UInt64(status.st_rdev)
        let major = device >> 8 & 0xFFF | device >> 32 & ~0xFFF
        let minor = device & 0xFF | device >> 12 & ~0xFF
        return "\(major):\(UInt32(truncatingIfNeeded: minor))"
    }

    // MARK: System calls

    public func usage(of path: [UInt8]) throws(HostError) -> FileSystemUsage {
        switch LinuxHost.ask(path) {
        case .success(let usage): return usage
        case .failure(let error): throw error
        }
    }

    public func remoteUsage(of paths: [[UInt8]], until deadline: Instant) async throws -> [RemoteUsage] {
        try await remote.ask(paths, until: deadline)
    }

    public func run(_ commands: [[String]], until deadline: Instant) async throws -> [ProgramResult] {
        try await programs.run(commands, within: deadline - clock.now)
    }

    public func ends(
        of commands: [[String]], variables: [String], until deadline: Instant
    ) async throws -> [ProgramEnd] {
        try await programs.ends(of: commands, variables: variables, within: deadline - clock.now)
    }

    public func paths(matching pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard glob(pattern, 0, nil, &found) == 0 else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }
    }

    static func ask(_ path: [UInt8]) -> Result<FileSystemUsage, HostError> {
        var system = statfs()
        guard withCString(path, { statfs($0, &system) }) == 0 else {
            return .failure(HostError(code: errno, operation: "statfs"))
        }
        return .success(
            FileSystemUsage(
                blockSize: UInt64(clamping: system.f_bsize), blocks: UInt64(system.f_blocks),
                freeBlocks: UInt64(system.f_bfree), availableBlocks: UInt64(system.f_bavail),
                inodes: UInt64(system.f_files), freeInodes: UInt64(system.f_ffree),
                isReadOnly: system.f_flags & 1 != 0))
    }

    public func interfaceFlags(_ name: [UInt8]) -> InterfaceFlags? {
        // struct ifreq: 16 bytes of name, ended by NUL, then a union that begins with the flags (int16).
        guard name.count < 16, socketDescriptor >= 0 else { return nil }
        var request = [UInt8](repeating: 0, count: 40)
        request.replaceSubrange(0..<name.count, with: name)
        guard ioctl(socketDescriptor, UInt(SIOCGIFFLAGS), &request) == 0 else { return nil }
        let flags = UInt16(request[16]) | UInt16(request[17]) << 8
        return InterfaceFlags(isUp: flags & 0x1 != 0, isLoopback: flags & 0x8 != 0)
    }

    public func figures() throws(HostError) -> SystemFigures {
        var values = sysinfo()
        guard sysinfo(&values) == 0 else { throw HostError(code: errno, operation: "sysinfo") }
        let unit = UInt64(max(1, values.mem_unit))
        let load = ProcLoadavg(
            load1: Double(values.loads.0) / 65536, load5: Double(values.loads.1) / 65536,
            load15: Double(values.loads.2) / 65536)
        return SystemFigures(
            uptime: UInt64(clamping: values.uptime), load: load,
            swapTotal: UInt64(values.totalswap).multipliedSaturated(by: unit),
            swapFree: UInt64(values.freeswap).multipliedSaturated(by: unit))
    }

    public func clockState() -> NodeMetrics.ClockState? {
        // No mode is set: nothing is adjusted, which needs no right.
        var values = timex()
        let answer = adjtimex(&values)
        guard answer >= 0 else { return nil }
        var state = NodeMetrics.ClockState()
        state.isSynchronised = answer != TIME_ERROR
        state.offset = Int64(values.offset)
        state.frequency = Int64(values.freq)
        state.maximumError = Int64(values.maxerror)
        state.estimatedError = Int64(values.esterror)
        state.status = Int64(values.status)
        state.constant = Int64(values.constant)
        state.tick = Int64(values.tick)
        state.pulseFrequency = Int64(values.ppsfreq)
        state.jitter = Int64(values.jitter)
        state.shift = Int64(values.shift)
        state.stability = Int64(values.stabil)
        state.jitterCount = Int64(values.jitcnt)
        state.calibrationCount = Int64(values.calcnt)
        state.errorCount = Int64(values.errcnt)
        state.stabilityCount = Int64(values.stbcnt)
        state.leapOffset = Int64(values.tai)
        return state
    }
}
