import Actors
import ArgumentParser
import CLinux
import Glibc
import Logging
import Pipeline
import Synchronization

/// `godwit run`: the agent, in the foreground.
///
/// Errors: 78 configuration, 73 state directory, 75 another instance runs, 70 the supervisor gave up.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the agent in the foreground.",
        discussion: """
            Collects, batches, spills and delivers until SIGTERM or SIGINT. SIGHUP reloads the configuration, SIGUSR1 \
            flushes now. On a terminal a live page is shown; logs go to standard error.
            """)

    @OptionGroup var options: ConfigOptions

    @Flag(name: .long, help: "Show no live page, even on a terminal.")
    var plain = false

    func run() throws {
        Signals.blockAll()
        _ = mallopt(M_ARENA_MAX, 1)
        _ = mallopt(M_TRIM_THRESHOLD, 128 * 1024)
        let notify = Notify()
        let report = options.load()
        for issue in report.issues where issue.severity != .error { complain("\(issue)") }
        guard let config = report.config else {
            for issue in report.issues where issue.severity == .error { complain("\(issue)") }
            throw ExitStatus.configuration
        }
        let log = LogSink(journal: getenv("JOURNAL_STREAM") != nil)
        LoggingSystem.bootstrap { log.backend($0) }
        guard log.configure(config.agent, reopen: true) else {
            complain("agent.logfile: cannot write \(config.agent.logFile): \(String(cString: strerror(errno)))")
            throw ExitStatus.cannotCreate
        }
        // Said above for the terminal; here for the log that stays.
        for key in config.skipped where !config.agent.logFile.isEmpty {
            log.logger("godwit").warning("skipped, this version does not have it: \(key)")
        }
        let state = Paths.stateDirectory(config)
        let spillRoot = config.spill.directory.isEmpty ? state + "/spill" : config.spill.directory
        for directory in [state, spillRoot] where !Paths.makeDirectory(directory) {
            complain("cannot write to \(directory): \(String(cString: strerror(errno)))")
            throw ExitStatus.cannotCreate
        }
        // Both: two agents with a backlog each would still share files of output, positions in logs and the crash record.
        let locks = [
            try takeLock(state, DirectoryLock.stateFile), try takeLock(spillRoot, DirectoryLock.spillFile),
        ]
        defer { for lock in locks { lock.release() } }
        let live = !plain && isatty(1) == 1
        if live { log.quieten() }
        let status = try start(config, log, notify, state: state, spillRoot: spillRoot, live: live)
        if status != 0 { throw ExitCode(status) }
    }

    private func takeLock(_ directory: String, _ file: String) throws -> DirectoryLock {
        do {
            return try DirectoryLock(directory: directory, file: file)
        } catch DirectoryLock.Failure.held(let directory, let pid) {
            complain("\(DirectoryLock.Failure.held(directory: directory, pid: pid)); only one agent can use it")
            throw ExitStatus.temporaryFailure
        } catch {
            complain("\(error)")
            throw ExitStatus.cannotCreate
        }
    }

    private func start(
        _ config: Config, _ log: LogSink, _ notify: Notify, state: String, spillRoot: String, live: Bool
    ) throws -> Int32 {
        let options = options
        let outcome = Outcome()
        MainLoop.run { loop in
            let io = WorkLoop(name: "godwit-io")
            let wiring = Wiring(
                loops: Wiring.Loops(
                    main: loop, io: io, disk: WorkLoop(name: "godwit-disk"), sync: WorkLoop(name: "godwit-sync")),
                log: log, host: LinuxHost(environment: ConfigFile.environment, clock: loop), http: CurlMulti(loop: io),
                spillRoot: spillRoot, stateDirectory: state,
                crashes: CrashRecord(
                    directory: state, names: config.inputs.map(\.id), version: Version.current, now: loop.wall),
                roadDirectory: Paths.roadDirectory(config))
            for (name, verdict) in wiring.crashes.verdicts {
                log.logger("crash").error("parked", metadata: ["input": "\(name)", "reason": "\(verdict.reason)"])
            }
            do {
                let daemon = try Daemon(wiring: wiring, options: options, config: config, notify: notify)
                let signals = await Signals(loop: io).events()
                outcome.status = await daemon.run(signals: signals, liveView: live)
            } catch {
                for line in options.explain(error) { complain(line) }
                outcome.status = ExitStatus.configuration.rawValue
            }
        }
        return outcome.status
    }
}

/// The exit status on its way from the main loop's task to `main`.
private final class Outcome: Sendable {
    private let value = Mutex<Int32>(0)
    var status: Int32 {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }
}
