import Glibc
import Pipeline

/// Input `ping`: whether hosts answer ICMP echo requests, and how soon.
///
/// `native` sends them itself, on sockets of the I/O loop; `exec` runs the program ping, once a host and all at the same
/// time. Both end with nine tenths of the interval. Rules: `docs/inputs.md`.
public actor PingCollector: Collector {
    /// Hosts that are asked at the same time.
    private static let parallelLimit = 64

    private let environment: InputEnvironment
    private let urls: [String]
    private let isNative: Bool
    private let options: OptionValues
    private let percentiles: [Double]
    private let family: Int32
    private var writer = PointWriter()

    /// Errors: a host that the program would read as an option, a size that no packet has.
    public init(options: OptionValues, environment: InputEnvironment) throws {
        self.environment = environment
        self.options = options
        urls = options.strings("urls")
        isNative = options.string("method") == "native"
        percentiles = options.numbers("percentiles")
        let (v4, v6) = (options.bool("ipv4"), options.bool("ipv6"))
        family = v4 == v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6
        for url in urls where url.isEmpty || url.hasPrefix("-") || url.utf8.contains(where: { $0 <= 0x20 }) {
            throw CollectorError("ping: \"\(url)\" is no host", option: "urls")
        }
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let end = now + (deadline - now) * 9 / 10
        var gather = Gather()
        do {
            let results = isNative ? try await askNatively(now, until: end) : try await runProgram(now, until: end)
            for (url, result) in zip(urls, results) {
                var point = result.point
                point.tag("url", url)
                writer.append(point, at: time, to: &gather.samples)
                if let error = result.error { gather.errors.append("\(url): \(error)") }
            }
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return Gather()
        }
        writer.finish()
        return gather
    }

    private struct Result: Sendable {
        var point = ParsedPoint("ping")
        var error: String?

        init(code: Int64, error: String? = nil) {
            point["result_code"] = .int(code)
            self.error = error
        }
    }

    // MARK: native

    private func askNatively(_ now: Instant, until end: Instant) async throws -> [Result] {
        let patience = options.duration("deadline")
        let end = patience > .zero ? min(end, now + patience) : end
        let interval = max(.milliseconds(200), options.duration("ping_interval"))
        let probe = EchoProbe(
            settings: EchoProbe.Settings(
                count: max(1, Int(clamping: options.integer("count"))), interval: interval,
                payloadBytes: Int(clamping: options.size("size") > 0 ? options.size("size") : 56),
                prefersRaw: options.bool("privileged"), source: options.string("interface")),
            io: environment.io, clock: environment.clock)
        let (urls, family, environment, percentiles) = (urls, family, environment, percentiles)
        return try await withThrowingTaskGroup(of: (Int, Result).self) { group in
            var results = urls.map { _ in Result(code: 2, error: "not asked: too many hosts that do not answer") }
            for index in urls.indices {
                if index >= PingCollector.parallelLimit, let (done, result) = try await group.next() {
                    results[done] = result
                }
                guard environment.clock.now < end else { break }
                group.addTask {
                    let names = environment.names
                    do {
                        let found = try await names.addresses(
                            of: urls[index], family: family, clock: environment.clock, until: end)
                        switch found {
                        case .failure(let failure): return (index, Result(code: 1, error: "\(failure)"))
                        case .success(let addresses):
                            let outcome = try await probe.run(to: addresses[0], until: end)
                            return (index, PingCollector.result(of: outcome, percentiles))
                        }
                    } catch let error as HostError {
                        return (index, Result(code: 2, error: "\(error)"))
                    }
                }
            }
            while let (done, result) = try await group.next() { results[done] = result }
            return results
        }
    }

    private static func result(of outcome: EchoProbe.Outcome, _ percentiles: [Double]) -> Result {
        var result = Result(code: outcome.sent == 0 ? 2 : outcome.trips.count == 0 ? 1 : 0)
        result.point["packets_transmitted"] = .int(Int64(outcome.sent))
        result.point["packets_received"] = .int(Int64(outcome.trips.count))
        guard outcome.sent > 0 else { return result }
        result.point["percent_packet_loss"] = .float(
            Double(outcome.sent - outcome.trips.count) / Double(outcome.sent) * 100)
        guard outcome.trips.count > 0 else { return result }
        for percent in percentiles {
            let name = Int(exactly: percent).map(String.init) ?? "\(percent)"
            result.point["percentile\(name)_ms"] = .float(outcome.trips.percentile(percent))
        }
        result.point["ttl"] = outcome.hops.map { .int(Int64($0)) }
        result.point["minimum_response_ms"] = .float(outcome.trips.minimum)
        result.point["average_response_ms"] = .float(outcome.trips.average)
        result.point["maximum_response_ms"] = .float(outcome.trips.maximum)
        result.point["standard_deviation_ms"] = .float(outcome.trips.deviation)
        return result
    }

    // MARK: exec

    private func runProgram(_ now: Instant, until end: Instant) async throws -> [Result] {
        let commands = urls.map { PingCollector.command(options, $0) }
        return try await environment.host.ends(of: commands, variables: [], until: end).map { ended in
            if ended.isMissing {
                let hint = "(Debian: apt install iputils-ping; or method = \"native\")"
                return Result(code: 2, error: "\(ended.failure ?? "") \(hint)")
            }
            guard let status = ended.status else { return Result(code: 2, error: ended.failure ?? "") }
            // 1: no answer, or not all in time. The rest is told all the same.
            guard status <= 1 else {
                let said = (ended.output + Array(("\n" + ended.complaint).utf8)).trimmedText.split(separator: "\n").last
                return Result(code: 2, error: "exit status \(status): \(said?.prefix(200) ?? "")")
            }
            do throws(ParseError) {
                return PingCollector.result(of: try PingOutput.parse(ended.output), status)
            } catch {
                return Result(code: 2, error: "\(error)")
            }
        }
    }

    private static func result(of output: PingOutput, _ status: Int) -> Result {
        var result = Result(code: Int64(status))
        result.point["packets_transmitted"] = .int(output.transmitted)
        result.point["packets_received"] = .int(output.received)
        if output.transmitted > 0 {
            let lost = output.transmitted.subtractingSaturated(output.received)
            result.point["percent_packet_loss"] = .float(Double(lost) / Double(output.transmitted) * 100)
        }
        result.point["ttl"] = output.ttl.map { .int($0) }
        let fields = ["minimum_response_ms", "average_response_ms", "maximum_response_ms", "standard_deviation_ms"]
        for (field, value) in zip(fields, output.times) { result.point[field] = .float(value) }
        return result
    }

    /// Program and arguments. Shape: `ping -c 1 -n -s 16 -i 1 -W 1 -w 10 HOST`.
    public static func command(_ options: OptionValues, _ url: String) -> [String] {
        let program = options.string("binary").isEmpty ? "ping" : options.string("binary")
        let own = options.strings("arguments")
        guard own.isEmpty else { return [program] + own + [url] }
        func seconds(_ name: String) -> String? {
            let seconds = options.duration(name).inSeconds
            return seconds > 0 ? Int64(exactly: seconds).map(String.init) ?? "\(seconds)" : nil
        }
        var words = [program, "-c", "\(max(1, options.integer("count")))", "-n", "-s", "16"]
        if let interval = seconds("ping_interval") { words += ["-i", interval] }
        if let timeout = seconds("timeout") { words += ["-W", timeout] }
        let deadline = options.duration("deadline").wholeNanoseconds / 1_000_000_000
        if deadline > 0 { words += ["-w", "\(deadline)"] }
        if !options.string("interface").isEmpty { words += ["-I", options.string("interface")] }
        if options.bool("ipv4") != options.bool("ipv6") { words.append(options.bool("ipv4") ? "-4" : "-6") }
        return words + [url]
    }
}

extension PingCollector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "ping", summary: "Whether hosts answer ICMP echo requests, and how soon.",
            options: [
                OptionSpec("urls", .strings([]), "Hosts: names or addresses."),
                OptionSpec(
                    "method", .string("exec"), "native: by this program itself; exec: through the program ping.",
                    choices: ["exec", "native"]),
                OptionSpec("count", .integer(1), "Requests to each host a tick.", bounds: 0...10_000),
                OptionSpec("ping_interval", .duration(.seconds(1)), "From one request to the next.", bounds: 0...3_600),
                OptionSpec("timeout", .duration(.seconds(1)), "exec: patience for one answer.", bounds: 0...3_600),
                OptionSpec("deadline", .duration(.seconds(10)), "Patience for all answers.", bounds: 0...86_400),
                OptionSpec("interface", .string(""), "Interface or address to send from."),
                OptionSpec("percentiles", .numbers([]), "native: percentiles of the round trips."),
                OptionSpec("privileged", .bool(true), "native: prefer a raw socket to the kernel's ping socket."),
                OptionSpec("binary", .string("ping"), "exec: the program."),
                OptionSpec("arguments", .strings([]), "exec: its arguments, instead of those that the options make."),
                OptionSpec("ipv4", .bool(false), "Only IPv4 addresses of names."),
                OptionSpec("ipv6", .bool(false), "Only IPv6 addresses of names."),
                OptionSpec("size", .size(56), "native: bytes of payload.", bounds: 0...65_000),
            ],
            metrics: [
                MetricSpec(
                    "ping", tags: ["url"],
                    fields: [
                        MetricSpec.Field("packets_transmitted", .int, .count, "requests that were sent"),
                        MetricSpec.Field("packets_received", .int, .count, "answers that came"),
                        MetricSpec.Field("percent_packet_loss", .float, .percent, "requests without an answer"),
                        MetricSpec.Field("ttl", .int, .count, "hops left, of the first answer"),
                        MetricSpec.Field("minimum_response_ms", .float, .milliseconds, "shortest round trip"),
                        MetricSpec.Field("average_response_ms", .float, .milliseconds, "mean of the round trips"),
                        MetricSpec.Field("maximum_response_ms", .float, .milliseconds, "longest round trip"),
                        MetricSpec.Field("standard_deviation_ms", .float, .milliseconds, "of the round trips"),
                        MetricSpec.Field("percentile*_ms", .float, .milliseconds, "with percentiles; native"),
                        MetricSpec.Field("result_code", .int, .none, "0 answers, 1 no such host or no answer, 2 error"),
                    ])
            ])
    }
}
