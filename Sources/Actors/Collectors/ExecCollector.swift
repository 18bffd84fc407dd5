import Pipeline

/// Input `exec`: runs programs each interval and reads points from what they print.
///
/// The programs of one instance run at the same time, each in a process group of its own that is killed after
/// `timeout`, or nine tenths of the interval when that is shorter. What one program does wrong is an error of its own;
/// the others go on. Bounds: 1 MiB of output a program. Rules: `docs/inputs.md`.
public actor ExecCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "exec", summary: "Points from the output of programs that are run each interval.",
            options: [
                OptionSpec(
                    "commands", .commands([]),
                    "Programs with their arguments; a pattern in a program's path is expanded."),
                OptionSpec("environment", .strings([]), "Variables for the programs, NAME=value."),
                OptionSpec(
                    "timeout", .duration(.seconds(5)), "After this a program is killed.", bounds: 0.001...86_400),
                OptionSpec("ignore_error", .bool(false), "Read the output of programs that fail, too."),
                OptionSpec(
                    "log_stderr", .bool(false),
                    "Whether what programs that end well write to standard error is an error."),
            ] + ForeignData.options(fallback: "json"),
            metrics: [
                MetricSpec("*", fields: [MetricSpec.Field("*", .float, .none, "what the program prints")])
            ])
    }

    private let host: any Host
    private let commands: [[String]]
    private let variables: [String]
    private let timeout: Duration
    private let readsFailures: Bool
    private let reportsComplaints: Bool
    private var data: ForeignData

    /// Errors: a data format whose options are not understood.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        commands = options.commands("commands")
        variables = options.strings("environment")
        timeout = options.duration("timeout")
        readsFailures = options.bool("ignore_error")
        reportsComplaints = options.bool("log_stderr")
        do { data = try ForeignData(options: options, measurement: "exec") } catch {
            throw CollectorError("exec: \(error)")
        }
        if let wrong = variables.first(where: { !$0.dropFirst().contains("=") }) {
            throw CollectorError(
                "exec: environment: \"\(wrong.prefix { $0 != "=" })\" is not NAME=value", option: "environment")
        }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let commands = commands.flatMap(expanded)
        let ends: [ProgramEnd]
        do {
            let limit = min(now + timeout, now + (deadline - now) * 9 / 10)
            ends = try await host.ends(of: commands, variables: variables, until: limit)
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return Gather()
        }
        var gather = Gather()
        for (command, end) in zip(commands, ends) {
            let name = command.first ?? ""
            if let failure = end.failure, !readsFailures || end.output.isEmpty {
                gather.errors.append(failure + (end.complaint.isEmpty ? "" : ": \(end.complaint)"))
                continue
            }
            if reportsComplaints, !end.complaint.isEmpty { gather.errors.append("\(name): \(end.complaint)") }
            guard !end.output.trimmedText.isEmpty else { continue }
            let result = data.read(end.output, at: time)
            gather.errors += result.errors.map { "\(name): \($0)" }
            if gather.samples.isEmpty { gather.samples = result.samples } else { gather.samples.append(result.samples) }
        }
        return gather
    }

    /// One command a path that the program's pattern matches; a pattern that matches nothing stays, and fails by name.
    private func expanded(_ command: [String]) -> [[String]] {
        guard let program = command.first, program.contains(where: { "*?[".contains($0) }) else { return [command] }
        let paths = host.paths(matching: program)
        return paths.isEmpty ? [command] : paths.map { [$0] + command.dropFirst() }
    }
}
