import Pipeline

/// A place of the host that an environment variable may move, for agents in containers.
public enum HostRoot: String, CaseIterable, Sendable {
    case proc, sys, run, etc
    /// `/var`.
    case variable
    /// `/dev`.
    case dev
    /// The folder that holds `mountinfo`; set only by the operator.
    case mountTable
    /// Nothing in front: for paths that the operator gives whole.
    case absolute

    /// The variable that moves it; empty when none does.
    public var environmentName: String {
        switch self {
        case .proc: "HOST_PROC"
        case .sys: "HOST_SYS"
        case .run: "HOST_RUN"
        case .etc: "HOST_ETC"
        case .variable: "HOST_VAR"
        case .dev: "HOST_DEV"
        case .mountTable: "HOST_PROC_MOUNTINFO"
        case .absolute: ""
        }
    }
}

/// Why the kernel did not give what was asked for.
public struct HostError: Error, Sendable, Hashable, CustomStringConvertible {
    /// errno.
    public let code: Int32
    /// What was asked, for people: `read stat`.
    public let operation: String

    public init(code: Int32, operation: String) {
        self.code = code
        self.operation = operation
    }

    public var description: String { "\(operation): \(SystemError.text(code))" }
    /// Whether there is no such file.
    public var isMissing: Bool { code == 2 }
}

/// A file that is read again and again: its name and, on a real host, the descriptor that is kept open between ticks.
///
/// Owned by one collector. Why kept: opening and closing costs a third of reading a small file of /proc.
public final class HostFile {
    public let root: HostRoot
    /// Below the root. Bytes, since names of interfaces and the like need not be UTF-8.
    public let path: [UInt8]
    /// Whether the kernel makes the whole text in one piece: a read that leaves room in the buffer was the last.
    public let isSinglePiece: Bool
    /// Whether to keep the descriptor. Without it every read opens and closes.
    public let isKept: Bool
    /// Owned by the host that reads; -1 = not open.
    var descriptor: Int32 = -1
    /// Whether `descriptor` is a mount table whose changes poll(2) reports.
    var reportsChanges = false

    public init(_ root: HostRoot, _ path: String, isSinglePiece: Bool = false, isKept: Bool = true) {
        self.root = root
        self.path = Array(path.utf8)
        self.isSinglePiece = isSinglePiece
        self.isKept = isKept
    }

    public init(_ root: HostRoot, path: [UInt8], isSinglePiece: Bool = false, isKept: Bool = true) {
        self.root = root
        self.path = path
        self.isSinglePiece = isSinglePiece
        self.isKept = isKept
    }

    deinit { SystemError.close(descriptor) }

    /// Forgets the kept descriptor.
    func closeDescriptor() {
        SystemError.close(descriptor)
        descriptor = -1
        reportsChanges = false
    }
}

/// What statfs(2) says of a file system. Units: blocks of `blockSize` bytes, inodes.
public struct FileSystemUsage: Sendable, Hashable {
    public var blockSize: UInt64
    public var blocks: UInt64
    public var freeBlocks: UInt64
    /// Free for ordinary users.
    public var availableBlocks: UInt64
    public var inodes: UInt64
    public var freeInodes: UInt64
    /// Whether mount or superblock is read-only at this moment.
    public var isReadOnly: Bool

    public init(
        blockSize: UInt64, blocks: UInt64, freeBlocks: UInt64, availableBlocks: UInt64, inodes: UInt64,
        freeInodes: UInt64, isReadOnly: Bool = false
    ) {
        self.blockSize = blockSize
        self.blocks = blocks
        self.freeBlocks = freeBlocks
        self.availableBlocks = availableBlocks
        self.inodes = inodes
        self.freeInodes = freeInodes
        self.isReadOnly = isReadOnly
    }
}

/// How asking a remote or FUSE file system ended.
public enum RemoteUsage: Sendable, Hashable {
    case answered(FileSystemUsage)
    /// The call failed with this errno.
    case failed(Int32)
    /// The call has not returned. `isNew`: it became stuck in this round.
    case stuck(isNew: Bool)
    /// No thread was free to ask: others are stuck.
    case notAsked
}

/// What the kernel says of an interface.
public struct InterfaceFlags: Sendable, Hashable {
    public var isUp: Bool
    public var isLoopback: Bool

    public init(isUp: Bool, isLoopback: Bool) {
        self.isUp = isUp
        self.isLoopback = isLoopback
    }
}

/// Figures of sysinfo(2) and its like.
public struct SystemFigures: Sendable, Hashable {
    /// Units: whole seconds since boot.
    public var uptime: UInt64
    /// Load averages; nil when unknown.
    public var load: ProcLoadavg?
    /// Units: bytes.
    public var swapTotal: UInt64
    public var swapFree: UInt64

    public init(uptime: UInt64, load: ProcLoadavg?, swapTotal: UInt64, swapFree: UInt64) {
        self.uptime = uptime
        self.load = load
        self.swapTotal = swapTotal
        self.swapFree = swapFree
    }
}

/// The host that is watched: the seam between collectors and kernel. `LinuxHost` is the real one; tests and the fixture
/// runner bring folders and answers of their own.
///
/// All calls but `remoteUsage` and `run` return at once: they read memory of the kernel, never a disk or a network.
public protocol Host: Sendable {
    /// Whether the operator has moved `root`.
    func isMoved(_ root: HostRoot) -> Bool
    /// A variable of the agent's environment; empty when not set.
    func environment(_ name: String) -> String
    /// HOST_MOUNT_PREFIX; empty when not set.
    var mountPrefix: String { get }
    /// Replaces `buffer` by the whole file. On an error the buffer is empty.
    /// Bounds: 16 MiB; what is longer is an error (EFBIG).
    func read(_ file: HostFile, into buffer: inout [UInt8]) throws(HostError)
    /// Whether `file`, a mount table, may have changed since it was read last. True when it cannot be known.
    func mayHaveChanged(_ file: HostFile) -> Bool
    /// Names in a folder, in no order; empty when it cannot be read.
    func names(in root: HostRoot, _ path: String) -> [String]
    /// How many names a folder has. Errors: it does not exist, or we may not look into it.
    func count(in root: HostRoot, _ path: String) throws(HostError) -> Int
    /// Target of a symlink; nil when it is none.
    func linkTarget(_ root: HostRoot, _ path: String) -> String?
    /// Calls `body` with /proc/PID/stat of each process, in no order; of those that vanish meanwhile nothing is said.
    func readProcesses(_ files: ProcessFiles, _ body: ([UInt8]) -> Void) throws(HostError)
    /// Adds the sockets of this process's network namespace that the kernel's sock_diag interface lists.
    /// Errors: among others that there is none; `tally` may hold a part then.
    func addSockets(_ table: SocketDiag.Table, _ socket: DiagSocket, to tally: inout SocketTally) throws(HostError)
    /// Reads a long file piece by piece, whole lines each; `buffer` is room. What `isKept` says does not count.
    func readPieces(
        _ file: HostFile, _ buffer: inout [UInt8], _ body: ([UInt8], _ isFirst: Bool) -> Void
    ) throws(HostError)
    /// `major:minor` of a device node, named without `/dev/` or by its whole path; nil when there is none.
    func deviceNumber(_ node: String) -> String?
    /// statfs(2) of a path, for file systems that answer at once.
    func usage(of path: [UInt8]) throws(HostError) -> FileSystemUsage
    /// The same for file systems that may hang, each asked on a thread that may be lost. One answer a path, in order.
    /// Returns at `deadline` at the latest. Errors: `CancellationError`.
    func remoteUsage(of paths: [[UInt8]], until deadline: Instant) async throws -> [RemoteUsage]
    /// Runs programs, each a name and its arguments, at the same time, and kills those that run at `deadline`. One result
    /// each, in order. Errors: `CancellationError`.
    func run(_ commands: [[String]], until deadline: Instant) async throws -> [ProgramResult]
    /// The same with all that the programs said; `variables` (`NAME=value`) are added to their environment.
    func ends(of commands: [[String]], variables: [String], until deadline: Instant) async throws -> [ProgramEnd]
    /// Paths that a pattern of the shell matches, sorted.
    func paths(matching pattern: String) -> [String]
    /// Flags of an interface; nil when the kernel knows none of that name.
    func interfaceFlags(_ name: [UInt8]) -> InterfaceFlags?
    func figures() throws(HostError) -> SystemFigures
    /// adjtimex(2); nil where it cannot be asked.
    func clockState() -> NodeMetrics.ClockState?
    /// uname(2): machine and release of the kernel.
    var kernel: (machine: String, release: String) { get }
    /// Units: bytes.
    var pageSize: UInt64 { get }
    /// CLK_TCK.
    var ticksPerSecond: Double { get }
}

extension Host {
    public func count(in root: HostRoot, _ path: String) throws(HostError) -> Int { names(in: root, path).count }

    /// For hosts whose programs are made up.
    public func ends(
        of commands: [[String]], variables: [String], until deadline: Instant
    ) async throws -> [ProgramEnd] {
        try await run(commands, until: deadline).map {
            switch $0 {
            case .output(let bytes): ProgramEnd(output: bytes)
            case .failed(let reason): ProgramEnd(failure: reason)
            }
        }
    }

    /// For hosts without a clock of their own.
    public func clockState() -> NodeMetrics.ClockState? { nil }

    /// For hosts without such files.
    public func paths(matching pattern: String) -> [String] { [] }

    /// Reads a small file once, without keeping it open; nil when it cannot be read.
    public func text(_ root: HostRoot, _ path: String) -> String? {
        var buffer: [UInt8] = []
        do throws(HostError) { try read(HostFile(root, path, isKept: false), into: &buffer) } catch { return nil }
        return buffer.trimmedText
    }
}
