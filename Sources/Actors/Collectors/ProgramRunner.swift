import CLinux
import Glibc
import Pipeline
import Synchronization

/// How a program ended.
public enum ProgramResult: Sendable, Hashable {
    /// It ended well; what it wrote to its standard output.
    case output([UInt8])
    /// Why not, for people.
    case failed(String)
}

/// How a program ended, with all that it said.
public struct ProgramEnd: Sendable, Hashable {
    /// What it wrote to its standard output; of a killed program, what came before.
    public var output: [UInt8] = []
    /// The first line of what it wrote to its standard error.
    public var complaint = ""
    /// Why it did not end well, for people; nil when it did.
    public var failure: String?
    /// Its exit status; nil for a program that was killed or did not run.
    public var status: Int?
    /// Whether there is no such program.
    public var isMissing = false

    public init(output: [UInt8] = [], complaint: String = "", failure: String? = nil, status: Int? = nil) {
        self.output = output
        self.complaint = complaint
        self.failure = failure
        self.status = status
    }

    /// A program that ends well and writes nothing but a complaint has failed: ntpq does so without a server.
    func result(of name: String) -> ProgramResult {
        if let failure { return .failed(failure + (complaint.isEmpty ? "" : ": \(complaint)")) }
        if output.isEmpty, !complaint.isEmpty { return .failed("\(name): \(complaint)") }
        return .output(output)
    }
}

/// Runs programs of the host, on a thread that waits for them.
///
/// Each has its own process group, no standard input, an environment of PATH and `LC_ALL=C`, and is killed with all that
/// it started when the time is over. Promises: an answer shortly after the deadline at the latest, whatever a program
/// does. Bounds: at most `threadLimit` threads, `outputLimit` bytes of output a program.
final class ProgramRunner: Sendable {
    static let threadLimit = 16
    static let outputLimit = 1 << 20
    /// How long a killed program may take to go before its thread gives the answer without it.
    private static let mercy = Duration.milliseconds(500)

    private let threads = Mutex(0)

    /// One result a command, in order. Errors: `CancellationError`; the programs are killed.
    func run(_ commands: [[String]], within limit: Duration) async throws -> [ProgramResult] {
        let ends = try await ends(of: commands, variables: [], within: limit)
        return zip(commands, ends).map { $1.result(of: $0.first ?? "") }
    }

    /// The same with all that the programs said; `variables` (`NAME=value`) are added to their environment.
    func ends(of commands: [[String]], variables: [String], within limit: Duration) async throws -> [ProgramEnd] {
        guard !commands.isEmpty else { return [] }
        let mayStart = threads.withLock { count in
            guard count < ProgramRunner.threadLimit else { return false }
            count += 1
            return true
        }
        guard mayStart else { return commands.map { _ in ProgramEnd(failure: "not run: earlier programs do not end") } }
        let stop = StopSignal()
        let results = await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<[ProgramEnd], Never>) in
                let work = Work {
                    let children = commands.map { Child($0, variables) }
                    continuation.resume(returning: ProgramRunner.wait(for: children, limit, stop))
                    // Those that even SIGKILL does not end yet hang in the kernel; they need somebody who waits.
                    for child in children { child.reap(blocking: true) }
                    self.threads.withLock { $0 -= 1 }
                }
                if !work.start() {
                    threads.withLock { $0 -= 1 }
                    continuation.resume(returning: commands.map { _ in ProgramEnd(failure: "not run: no thread") })
                }
            }
        } onCancel: {
            stop.raise()
        }
        try Task.checkCancellation()
        return results
    }

    /// The life of the thread, up to the answer.
    private static func wait(for children: [Child], _ limit: Duration, _ stop: StopSignal) -> [ProgramEnd] {
        let end = monotonic.addingSaturated(max(0, limit.wholeNanoseconds))
        var isStopped = false
        while !isStopped, children.contains(where: { !$0.isOver }) {
            let left = end.subtractingSaturated(monotonic)
            guard left > 0 else { break }
            var watched = [pollfd(fd: stop.descriptor, events: Int16(POLLIN), revents: 0)]
            for child in children { watched += child.open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) } }
            // A program that has closed its output but runs on announces its end to nobody.
            let isWaiting = children.contains { !$0.isOver && $0.open.isEmpty }
            let milliseconds = Int32(clamping: left / 1_000_000 + 1)
            let count = poll(&watched, nfds_t(watched.count), isWaiting ? min(10, milliseconds) : milliseconds)
            if count > 0, watched[0].revents != 0 { isStopped = true }
            for ready in watched.dropFirst() where ready.revents != 0 {
                for child in children { child.read(ready.fd) }
            }
            for child in children where child.open.isEmpty { child.reap() }
        }
        for child in children where !child.isOver { child.kill() }
        let mercyEnd = monotonic.addingSaturated(mercy.wholeNanoseconds)
        while children.contains(where: { !$0.isOver }), monotonic < mercyEnd {
            poll(nil, 0, 5)
            for child in children { child.reap() }
        }
        return children.map { $0.end(limit) }
    }

    private static var monotonic: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec).multipliedSaturated(by: 1_000_000_000).addingSaturated(Int64(time.tv_nsec))
    }
}

/// Wakes the thread before its time.
private final class StopSignal: Sendable {
    let descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))

    deinit { SystemError.close(descriptor) }

    func raise() { eventfd_write(descriptor, 1) }
}

/// One program that runs. Used by one thread.
private final class Child {
    private let name: String
    private var pid: pid_t = -1
    private var output: Int32 = -1
    private var errors: Int32 = -1
    private var outputBytes: [UInt8] = []
    private var errorBytes: [UInt8] = []
    private var status: Int32 = 0
    private var isKilled = false
    private var failure: String?
    private var isMissing = false
    private(set) var isOver = false

    init(_ command: [String], _ variables: [String]) {
        name = command.first ?? ""
        start(command, variables)
    }

    deinit { closeAll() }

    var open: [Int32] { [output, errors].filter { $0 >= 0 } }

    private func closeAll() {
        SystemError.close(output)
        SystemError.close(errors)
        output = -1
        errors = -1
    }

    private func start(_ command: [String], _ variables: [String]) {
        switch SpawnedProgram.start(command, variables: variables, hasInput: false) {
        case .failure(let error): fail(error.code)
        case .success(let program):
            pid = program.pid
            output = program.output
            errors = program.errors
        }
    }

    private func fail(_ code: Int32) {
        closeAll()
        pid = -1
        isOver = true
        failure = "\(name): \(SystemError.text(code))"
        isMissing = code == ENOENT
    }

    /// Reads what there is, if `descriptor` is one of this program's; closes it at its end.
    func read(_ descriptor: Int32) {
        guard descriptor >= 0, descriptor == output || descriptor == errors else { return }
        var piece = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &piece, piece.count)
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        guard count > 0 else {
            SystemError.close(descriptor)
            if descriptor == output { output = -1 } else { errors = -1 }
            return
        }
        if descriptor == errors {
            errorBytes += piece[..<min(count, max(0, 4096 - errorBytes.count))]
        } else {
            outputBytes += piece[..<count]
            if outputBytes.count > ProgramRunner.outputLimit {
                failure = "\(name): writes too much"
                kill()
            }
        }
    }

    /// Kills the program and all that it has started.
    func kill() {
        isKilled = true
        if pid > 0 { _ = Glibc.kill(-pid, SIGKILL) }
        closeAll()
    }

    /// Takes note of the end, if it has come.
    func reap(blocking: Bool = false) {
        guard !isOver, pid > 0 else { return }
        var ended: pid_t
        repeat { ended = waitpid(pid, &status, blocking ? 0 : WNOHANG) } while ended < 0 && errno == EINTR
        if ended != 0 { isOver = true }
    }

    func end(_ limit: Duration) -> ProgramEnd {
        let said = errorBytes.trimmedText.split(separator: "\n").first.map(String.init) ?? ""
        var end = ProgramEnd(output: outputBytes, complaint: said)
        if !isKilled, failure == nil, status & 0x7F == 0 { end.status = Int(status >> 8 & 0xFF) }
        if let failure {
            end = ProgramEnd(failure: failure)
            end.isMissing = isMissing
        } else if isKilled {
            end.complaint = ""
            end.failure = "\(name): did not end within \(limit.inSeconds) s, killed"
        } else if status != 0 {
            let exit = status & 0x7F == 0 ? "exit status \(status >> 8 & 0xFF)" : "ended by signal \(status & 0x7F)"
            end.failure = "\(name): \(exit)"
        }
        return end
    }
}
