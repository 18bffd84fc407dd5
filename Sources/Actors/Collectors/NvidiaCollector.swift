import Pipeline

/// Input `nvidia_smi`: NVIDIA's graphics cards, as the program `nvidia-smi -q -x` tells of them.
///
/// The program runs on a thread of its own and is killed after `timeout`, at the latest after nine tenths of the
/// interval. Without the program there is one error a tick and no point. Rules: `docs/inputs.md`.
public actor NvidiaCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "nvidia_smi", summary: "NVIDIA's graphics cards, from the program nvidia-smi.",
            options: [
                OptionSpec(
                    "bin_path", .string("/usr/bin/nvidia-smi"), "The program; where it is not there: the one on PATH."),
                OptionSpec("timeout", .duration(.seconds(5)), "Longest time for the program.", bounds: 0...3_600),
            ], metrics: NvidiaReport.metrics)
    }

    private let host: any Host
    private let program: String
    private let timeout: Duration
    private var writer = PointWriter()

    public init(options: OptionValues, host: any Host) {
        self.host = host
        program = options.string("bin_path")
        timeout = options.duration("timeout")
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        let end = now + min(timeout > .zero ? timeout : .seconds(5), (deadline - now) * 9 / 10)
        do {
            var answer = try await ask(program, until: end)
            if answer.isMissing, program != "nvidia-smi" { answer = try await ask("nvidia-smi", until: end) }
            if answer.isMissing {
                gather.errors.append("the program nvidia-smi is not there (bin_path and PATH were tried)")
            } else if let failure = answer.failure {
                // Some of its complaints go to standard output.
                let said = Array((answer.complaint + "\n").utf8) + answer.output
                let first = said.trimmedText.split(separator: "\n").first.map { ": \($0.prefix(200))" } ?? ""
                gather.errors.append(failure + (answer.status == nil ? "" : first))
            } else {
                let points = try NvidiaReport.points(answer.output)
                for point in points { writer.append(point, at: time, to: &gather.samples) }
            }
        } catch let error as ParseError {
            gather.errors.append("\(error)")
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return Gather()
        }
        writer.finish()
        return gather
    }

    private func ask(_ program: String, until end: Instant) async throws -> ProgramEnd {
        let ends = try await host.ends(of: [[program, "-q", "-x"]], variables: [], until: end)
        return ends.first ?? ProgramEnd(failure: "nvidia-smi: not run")
    }
}
