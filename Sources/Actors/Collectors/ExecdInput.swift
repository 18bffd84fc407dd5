import CLinux
import Glibc
import Pipeline

/// Input `execd`: a program that runs all the time and prints points when it likes, or when it is signalled.
///
/// Owns the program: in a process group of its own, started again `restart_delay` after its end, ended with its group when
/// the input stops: SIGTERM, then SIGKILL. Lives on the I/O loop, which watches its pipes. While the batcher is behind,
/// its output is not read, so that it waits in a write. What it writes to standard error is an error, at a bounded rate.
/// Bounds: one line of output 1 MiB, of standard error 1 KiB.
public actor ExecdInput: ServiceInput {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "execd", summary: "Points from a program that runs all the time.",
            options: [
                OptionSpec("command", .strings([]), "The program and its arguments."),
                OptionSpec("environment", .strings([]), "Variables for the program, NAME=value."),
                OptionSpec(
                    "signal", .string("none"), "What it gets each interval.",
                    choices: ["none", "STDIN", "SIGHUP", "SIGUSR1", "SIGUSR2"]),
                OptionSpec(
                    "restart_delay", .duration(.seconds(10)), "How long after its end it is started again.",
                    bounds: 0...86_400),
                OptionSpec("stop_on_error", .bool(false), "Leave it alone when it fails."),
                OptionSpec(
                    "buffer_size", .size(65_536), "Room for its output.", ignoredBecause: "lines have up to 1MiB"),
            ] + ForeignData.options(fallback: "influx"),
            metrics: [MetricSpec("*", fields: [MetricSpec.Field("*", .float, .none, "what the program prints")])],
            isService: true)
    }

    static let lineLimit = 1 << 20
    private static let errorLineLimit = 1_024

    private let command: [String]
    private let variables: [String]
    private let signal: String
    private let restartDelay: Duration
    private let stopsOnError: Bool
    private let loop: WorkLoop
    private var data: ForeignData
    private var program: SpawnedProgram?

    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Errors: no command, a data format whose options are not understood.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        command = options.strings("command")
        variables = options.strings("environment")
        signal = options.string("signal")
        restartDelay = options.duration("restart_delay")
        stopsOnError = options.bool("stop_on_error")
        loop = environment.io
        guard !command.isEmpty else { throw CollectorError("execd: command names no program", option: "command") }
        if let wrong = variables.first(where: { !$0.dropFirst().contains("=") }) {
            throw CollectorError(
                "execd: environment: \"\(wrong.prefix { $0 != "=" })\" is not NAME=value", option: "environment")
        }
        do { data = try ForeignData(options: options, measurement: "execd") } catch {
            throw CollectorError("execd: \(error)")
        }
    }

    public nonisolated var isGathered: Bool { true }

    /// Tells the program to print, if that is how it works; what it prints comes by its pipe.
    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        guard let program else { return Gather() }
        switch signal {
        case "STDIN":
            var newline = UInt8(ascii: "\n")
            // A program that does not read has a full pipe: it will print anyway once it does.
            _ = write(program.input, &newline, 1)
        case "SIGHUP": kill(program.pid, SIGHUP)
        case "SIGUSR1": kill(program.pid, SIGUSR1)
        case "SIGUSR2": kill(program.pid, SIGUSR2)
        default: break
        }
        return Gather()
    }

    public func serve(_ emitter: any SampleEmitter) async throws {
        while !Task.isCancelled {
            switch SpawnedProgram.start(command, variables: variables, hasInput: signal == "STDIN") {
            case .failure(let error): await emitter.report(["\(error)"])
            case .success(let started):
                program = started
                await read(started, emitter)
                program = nil
                let status = await end(started)
                try Task.checkCancellation()
                await emitter.report(["\(command[0]): \(status.text), started again after \(restartDelay.inSeconds) s"])
                if stopsOnError, !status.isGood {
                    await emitter.report(["\(command[0]): left alone, as stop_on_error says"])
                    try await loop.sleep(until: .distantFuture)
                }
            }
            try await loop.sleep(for: restartDelay)
        }
        try Task.checkCancellation()
    }

    // MARK: Its output

    /// Reads until the program closes its output, or the task is cancelled.
    private func read(_ program: SpawnedProgram, _ emitter: any SampleEmitter) async {
        var output = LineBuffer(limit: ExecdInput.lineLimit)
        var errors = LineBuffer(limit: ExecdInput.errorLineLimit)
        var isOpen = (output: true, errors: true)
        // What it has started may hold its output open after its end.
        let process = godwit_pidfd_open(program.pid)
        defer { SystemError.close(process) }
        while !Task.isCancelled, isOpen.output {
            var waited = [program.output]
            if isOpen.errors { waited.append(program.errors) }
            if process >= 0 { waited.append(process) }
            await DescriptorWait(loop: loop).wait(for: waited)
            var ended = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
            let hasEnded = poll(&ended, 1, 0) > 0
            if isOpen.errors, let bytes = ExecdInput.readSome(program.errors) {
                isOpen.errors = !bytes.isEmpty
                let lines = errors.add(bytes)
                let texts = lines.trimmedText.split(separator: "\n").map { "\(command[0]): \($0)" }
                if !texts.isEmpty { await emitter.report(texts) }
            }
            if let bytes = ExecdInput.readSome(program.output) {
                isOpen.output = !bytes.isEmpty
                await take(bytes.isEmpty ? output.rest() : output.add(bytes), emitter)
                if output.takeOverlong() { await emitter.report(["\(command[0]): a line has more than 1MiB"]) }
            } else if hasEnded {
                return await take(output.rest(), emitter)
            }
        }
    }

    private func take(_ lines: [UInt8], _ emitter: any SampleEmitter) async {
        guard !lines.isEmpty else { return }
        let time = loop.wall
        let result = emitter.attributed { data.read(lines: lines, at: time) }
        if !result.errors.isEmpty { await emitter.report(result.errors.map { "\(command[0]): \($0)" }) }
        await emitter.emit(result.samples, patientlyWith: loop)
    }

    /// What there is to read; empty at the end, nil when there is nothing now.
    static func readSome(_ descriptor: Int32) -> [UInt8]? {
        var piece = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(descriptor, &piece, piece.count)
        if count < 0 { return errno == EAGAIN || errno == EINTR ? nil : [] }
        return Array(piece[..<count])
    }

    // MARK: Its end

    private struct ExitStatus {
        var text: String
        var isGood: Bool
    }

    /// Ends the program and its group, kindly first, and closes its pipes. Also where the task is cancelled.
    private func end(_ program: SpawnedProgram) async -> ExitStatus {
        for descriptor in [program.input, program.output, program.errors] where descriptor >= 0 {
            SystemError.close(descriptor)
        }
        var status: Int32 = 0
        for step in 0..<60 {
            // One that closed its output by itself is about to end. What it has started must not outlive it.
            if step == (Task.isCancelled ? 0 : 8) { kill(-program.pid, SIGTERM) }
            if step == 40 { kill(-program.pid, SIGKILL) }
            if waitpid(program.pid, &status, WNOHANG) == program.pid {
                kill(-program.pid, SIGKILL)
                return ExecdInput.exit(status)
            }
            await DescriptorWait(loop: loop).pause(.milliseconds(step < 10 ? 5 : 25))
        }
        return ExitStatus(text: "does not end", isGood: false)
    }

    private static func exit(_ status: Int32) -> ExitStatus {
        if status & 0x7F != 0 { return ExitStatus(text: "ended by signal \(status & 0x7F)", isGood: false) }
        let code = status >> 8 & 0xFF
        return ExitStatus(text: "ended with status \(code)", isGood: code == 0)
    }
}
