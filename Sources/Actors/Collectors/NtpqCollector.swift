import Pipeline

/// Input `ntpq`: the peers of time servers, as the program `ntpq` prints them.
///
/// The program runs once a server, all at the same time, on a thread of its own, and is killed after nine tenths of the
/// interval. What one server does wrong is an error of its own; the others go on. Rules: `docs/inputs.md`.
public actor NtpqCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "ntpq", summary: "Peers of the time server, from the program ntpq.",
            options: [
                OptionSpec("servers", .strings([]), "Servers to ask, one program each; empty: the local one."),
                OptionSpec("options", .string(""), "Arguments of the program, quoted as in a shell; empty: -p."),
                OptionSpec(
                    "reach_format", .string("octal"), "How reach is written.",
                    choices: NtpqReach.allCases.map(\.rawValue)),
                OptionSpec("dns_lookup", .bool(true), "Names instead of addresses; false adds -n."),
            ],
            metrics: [
                MetricSpec(
                    "ntpq", tags: ["remote", "refid", "stratum", "type", "state_prefix", "source"],
                    fields: [when, poll, reachBits, reachRatio] + distances)
            ])
    }

    private static let when = MetricSpec.Field.int("when", .seconds, "ntpq -p: when, since the last answer")
    private static let poll = MetricSpec.Field.int("poll", .seconds, "ntpq -p: poll")
    private static let reachBits = MetricSpec.Field.int("reach", .none, "ntpq -p: reach, as reach_format says")
    private static let reachRatio = MetricSpec.Field.float("reach", .ratio, "ntpq -p: reach, with reach_format ratio")
    private static let distances: [MetricSpec.Field] = [
        .float("delay", .milliseconds, "ntpq -p: delay"), .float("offset", .milliseconds, "ntpq -p: offset"),
        .float("jitter", .milliseconds, "ntpq -p: jitter"),
    ]

    private let host: any Host
    private let servers: [String]
    private let commands: [[String]]
    private let reach: NtpqReach
    /// By which of when, poll and reach are there.
    private let schemas: [Schema]
    private var known: [[Tag]: Series] = [:]

    /// Errors: a quote in `options` that is not closed.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        servers = options.strings("servers")
        let reach = NtpqReach(rawValue: options.string("reach_format")) ?? .octal
        self.reach = reach
        commands = try (servers.isEmpty ? [""] : servers).map { try NtpqCollector.command(options, server: $0) }
        schemas = (0..<8).map { mask in
            var fields: [MetricSpec.Field] = []
            if mask & 1 != 0 { fields.append(NtpqCollector.when) }
            if mask & 2 != 0 { fields.append(NtpqCollector.poll) }
            if mask & 4 != 0 { fields.append(reach == .ratio ? NtpqCollector.reachRatio : NtpqCollector.reachBits) }
            return Schema(declared: fields + NtpqCollector.distances)
        }
    }

    /// Program and arguments; an empty server is the local one.
    public static func command(_ options: OptionValues, server: String) throws -> [String] {
        guard var arguments = ShellWords.split(options.string("options")) else {
            throw CollectorError("ntpq: a quote in options is not closed", option: "options")
        }
        if !options.bool("dns_lookup"), !arguments.contains("-n") { arguments.append("-n") }
        if !arguments.contains("-p") { arguments.append("-p") }
        return ["ntpq"] + arguments + (server.isEmpty ? [] : [server])
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        let results: [ProgramResult]
        do {
            results = try await host.run(commands, until: now + (deadline - now) * 9 / 10)
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return Gather()
        }
        var gather = Gather()
        var current: [[Tag]: Series] = [:]
        for (index, result) in results.enumerated() {
            let server = index < servers.count ? servers[index] : nil
            let prefix = server.map { "[\($0)] " } ?? ""
            switch result {
            case .failed(let reason): gather.errors.append(prefix + reason)
            case .output(let bytes):
                let (peers, errors) = NtpqPeer.parse(bytes, reach: reach)
                gather.errors += errors.map { prefix + "ntpq: " + $0 }
                for peer in peers { append(peer, server, &current, time, to: &gather.samples) }
            }
        }
        known = current
        return gather
    }

    private func append(
        _ peer: NtpqPeer, _ server: String?, _ current: inout [[Tag]: Series], _ time: Timestamp,
        to samples: inout SampleSet
    ) {
        let tags = peer.tags + (server.map { [Tag("source", $0)] } ?? [])
        let series = current[tags] ?? known[tags] ?? Series("ntpq", tags: tags)
        current[tags] = series
        let mask = (peer.when != nil ? 1 : 0) | (peer.poll != nil ? 2 : 0) | (peer.reach != nil ? 4 : 0)
        samples.append(series, schemas[mask], at: time)
        if let when = peer.when { samples.int(when) }
        if let poll = peer.poll { samples.int(poll) }
        switch peer.reach {
        case .int(let value): samples.int(value)
        case .float(let value): samples.float(value)
        case nil: break
        }
        // What is no number is left out of the line.
        samples.float(peer.delay ?? .nan)
        samples.float(peer.offset ?? .nan)
        samples.float(peer.jitter ?? .nan)
    }
}
