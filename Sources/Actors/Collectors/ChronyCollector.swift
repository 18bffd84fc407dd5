import Pipeline

/// Input `chrony`: how chronyd keeps the clock of this host, as the program `chronyc` tells it; on request each of its
/// sources, also in the shape of the input ntpq, so that hosts with either server show in one table.
///
/// All questions are asked at the same time, each by a program of its own, which is killed after `timeout`, or nine
/// tenths of the interval. What one of them does wrong is an error of its own. Rules: `docs/inputs.md`.
public actor ChronyCollector: Collector {
    /// A question and how its answer is read.
    private enum Question: String, CaseIterable {
        case tracking, activity, serverstats, sources, sourcestats, ntpdata
        /// `sources` with the names of the configuration.
        case names
    }

    private let host: any Host
    private let wanted: Set<String>
    private let questions: [Question]
    private let commands: [[String]]
    private let timeout: Duration
    private let reach: NtpqReach
    /// The tag source, where a server is configured.
    private let sourceTags: [Tag]
    private var series = SeriesCache()
    private var row = FieldRow()

    /// Errors: a server that is no address.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        let metrics = options.strings("metrics")
        wanted = Set(metrics.isEmpty ? ["tracking"] : metrics)
        timeout = options.duration("timeout")
        reach = NtpqReach(rawValue: options.string("reach_format")) ?? .octal
        var asked = Set(wanted.compactMap { Question(rawValue: $0) })
        if wanted.contains("peers") { asked.formUnion([.sources, .sourcestats, .ntpdata]) }
        if wanted.contains("peers"), options.bool("dns_lookup") { asked.insert(.names) }
        if wanted.contains("sources") || wanted.contains("sourcestats") { asked.formUnion([.sources, .names]) }
        questions = Question.allCases.filter { asked.contains($0) }
        let place = try ChronyCollector.place(options.string("server"))
        sourceTags = place.source.map { [Tag("source", $0)] } ?? []
        commands = questions.map { question in
            ["chronyc", "-c", question == .names ? "-N" : "-n"] + place.arguments
                + [question == .names ? "sources" : question.rawValue]
        }
    }

    /// What chronyc and the tag source make of `udp://host:port` or `unixgram:///path`; an empty text is chronyc's own
    /// choice.
    private static func place(_ server: String) throws -> (arguments: [String], source: String?) {
        if server.isEmpty { return ([], nil) }
        if server.hasPrefix("unixgram://") {
            let path = String(server.dropFirst(11))
            if path.hasPrefix("/") { return (["-h", path], path) }
        }
        guard server.hasPrefix("udp://"), !server.dropFirst(6).contains("/"), server.utf8.count > 6 else {
            throw CollectorError(
                "chrony: the server \"\(server)\" is neither udp://HOST:PORT nor unixgram:///PATH", option: "server")
        }
        let address = server.dropFirst(6)
        let end = address.lastIndex(of: "]") ?? address.startIndex
        let colon = address[end...].firstIndex(of: ":")
        let name = (colon.map { address[..<$0] } ?? address).filter { $0 != "[" && $0 != "]" }
        let port = colon.map { String(address[address.index(after: $0)...]) } ?? "323"
        guard UInt16(port) != nil, !name.isEmpty, !name.hasPrefix("-") else {
            throw CollectorError("chrony: the server \"\(server)\" has no address or port", option: "server")
        }
        return (["-h", String(name), "-p", port], colon == nil ? "\(address):323" : String(address))
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var answers: [Question: [UInt8]] = [:]
        var gather = Gather()
        do {
            let until = now + min(timeout, (deadline - now) * 9 / 10)
            for (question, result) in zip(questions, try await host.run(commands, until: until)) {
                switch result {
                case .output(let bytes): answers[question] = bytes
                case .failed(let reason):
                    // Delays are for root alone, and original names came with chrony 4.0: the rest flows without.
                    if question != .ntpdata, question != .names { gather.errors.append("chrony: \(reason)") }
                }
            }
        } catch {
            // Cancelled: the agent stops, or this input was removed.
            return gather
        }
        if let bytes = answers[.tracking] {
            if let tracking = ChronyTracking.parse(bytes) {
                row.begin()
                for (field, value) in zip(ChronyTracking.fields, tracking.values) { row.float(field.0, value) }
                append("chrony", tracking.tags, time, &gather)
            } else {
                gather.errors.append("chrony: tracking has no line of 14 values")
            }
        }
        appendCounts(answers, time, &gather)
        let sources = ChronySource.parse(answers[.sources] ?? [])
        let named = ChronySource.parse(answers[.names] ?? []).map(\.name)
        // A source may have come or gone between the two questions.
        let names = named.count == sources.count ? named : sources.map(\.name)
        let stats = ChronyReport.rows(answers[.sourcestats] ?? [], atLeast: 8)
        if wanted.contains("sources") || wanted.contains("sourcestats") {
            appendSources(sources, names, stats, time, &gather)
        }
        if wanted.contains("peers") {
            let data = ChronyReport.rows(answers[.ntpdata] ?? [], atLeast: 20)
            appendPeers(sources, names, stats, data, time, &gather)
        }
        series.finish()
        return gather
    }

    /// Appends the row with these tags, empty ones left out.
    private func append(_ measurement: String, _ tags: [Tag], _ time: Timestamp, _ gather: inout Gather) {
        row.append(
            series.series(measurement, tags.filter { !$0.value.isEmpty } + sourceTags), at: time, to: &gather.samples)
    }

    private func appendCounts(_ answers: [Question: [UInt8]], _ time: Timestamp, _ gather: inout Gather) {
        if let values = answers[.activity].flatMap({ ChronyReport.rows($0, atLeast: 5).first }) {
            row.begin()
            for (name, value) in zip(ChronyCollector.activityNames, values) { row.int(name, Int64(value)) }
            append("chrony_activity", [], time, &gather)
        }
        if let values = answers[.serverstats].flatMap({ ChronyReport.rows($0, atLeast: 5).first }) {
            row.begin()
            for (name, value) in zip(ChronyCollector.serverNames, values) { row.uint(name, UInt64(value)) }
            append("chrony_serverstats", [], time, &gather)
        }
    }

    private func appendSources(
        _ sources: [ChronySource], _ names: [String], _ stats: [[String]], _ time: Timestamp, _ gather: inout Gather
    ) {
        for (index, (source, peer)) in zip(sources, names).enumerated() {
            if wanted.contains("sources") {
                row.begin()
                row.int("index", Int64(index))
                row.string("ip", source.name)
                row.int("poll", source.poll)
                row.uint("stratum", source.stratum)
                row.string("state", source.stateName)
                row.string("mode", source.modeName)
                row.uint("reachability", UInt64(source.reach, radix: 8))
                row.uint("sample", source.age ?? ChronySource.never)
                row.float("latest_measurement", source.offset)
                row.float("latest_measurement_error", source.offsetError)
                append("chrony_sources", [Tag("peer", peer)], time, &gather)
            }
            guard wanted.contains("sourcestats"), let values = stats.first(where: { $0[0] == source.name }) else {
                continue
            }
            row.begin()
            row.int("index", Int64(index))
            row.string("ip", source.name)
            row.uint("samples", UInt64(values[1]))
            row.uint("runs", UInt64(values[2]))
            row.uint("span_seconds", UInt64(values[3]))
            row.float("residual_frequency", ChronyReport.decimal(values[4]))
            row.float("skew", ChronyReport.decimal(values[5]))
            row.float("offset", ChronyReport.decimal(values[6]))
            row.float("stddev", ChronyReport.decimal(values[7]))
            let reference = ChronySource.referenceID(source.name) ?? ""
            append("chrony_sourcestats", [Tag("peer", peer), Tag("reference_id", reference)], time, &gather)
        }
    }

    private func appendPeers(
        _ sources: [ChronySource], _ names: [String], _ stats: [[String]], _ data: [[String]], _ time: Timestamp,
        _ gather: inout Gather
    ) {
        for (source, name) in zip(sources, names) {
            let peer = source.peer(
                name, stats: stats.first { $0[0] == source.name }, data: data.first { $0[0] == source.name },
                reach: reach)
            row.begin()
            row.int("when", peer.when)
            row.int("poll", peer.poll)
            switch peer.reach {
            case .int(let value): row.int("reach", value)
            case .float(let value): row.float("reach", value)
            case nil: break
            }
            row.float("delay", peer.delay)
            row.float("offset", peer.offset)
            row.float("jitter", peer.jitter)
            append("ntpq", peer.tags, time, &gather)
        }
    }
}
