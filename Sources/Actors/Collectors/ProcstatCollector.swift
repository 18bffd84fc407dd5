import Pipeline

/// Input `procstat`: what single processes use, and how many of them were found.
///
/// Keeps: of each process the CPU time of the tick before, known by its number and start. A process that ends while it
/// is read gives no point; what we may not read of one is left out. Rules: `docs/inputs.md`.
public actor ProcstatCollector: Collector {
    private static let userAge = Duration.seconds(60)
    private static let lookupSchema = Schema([.int("pid_count"), .int("result_code"), .int("running")])

    private let host: any Host
    private let selector: ProcessSelector
    private let finder: String
    private let reader: ProcessReader
    private var users = PasswdFile()
    private var usersUntil: Instant?
    private var known: [Int32: ProcessReader.Before] = [:]
    private var series = SeriesCache()

    /// Errors: no rule to find processes, or one that cannot be understood.
    public init(options: OptionValues, host: any Host) throws {
        self.host = host
        guard !options.strings("properties").contains("sockets") else {
            throw CollectorError(
                "procstat: the property sockets is not available in this version", option: "properties")
        }
        selector = try ProcessSelector(options, host: host)
        finder = options.string("pid_finder").isEmpty ? "pgrep" : options.string("pid_finder")
        reader = ProcessReader(options, host: host)
    }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var gather = Gather()
        readUsers(now)
        let groups: [ProcessSelector.Group]
        do {
            groups = try await selector.select(users, until: now + (deadline - now) * 9 / 10)
        } catch is CancellationError {
            return gather
        } catch {
            gather.errors.append("\(error)")
            appendLookup([], nil, time, to: &gather.samples)
            series.finish()
            return gather
        }
        reader.begin(users)
        var current: [Int32: ProcessReader.Before] = [:]
        for group in groups {
            for pid in group.pids {
                guard let before = reader.read(pid, known[pid], now) else { continue }
                let series = series.series("procstat", group.tags + reader.tags)
                reader.append(series, at: time, to: &gather.samples)
                current[pid] = before
            }
        }
        known = current
        let found = groups.reduce(0) { $0 + $1.pids.count }
        appendLookup(groups.flatMap(\.tags), (found, current.count), time, to: &gather.samples)
        series.finish()
        return gather
    }

    /// `counts`: what was found and how much of it runs; nil when the rule failed.
    private func appendLookup(
        _ tags: [Tag], _ counts: (found: Int, running: Int)?, _ time: Timestamp, to samples: inout SampleSet
    ) {
        let result = counts == nil ? "lookup_error" : "success"
        // Of several groups the last one's tags count; the rule itself stands at the end.
        let tags = tags + selector.tags + [Tag("pid_finder", finder), Tag("result", result)]
        samples.append(
            series.series("procstat_lookup", Series.normalized(tags)), ProcstatCollector.lookupSchema, at: time)
        samples.int(Int64(counts?.found ?? 0))
        samples.int(counts == nil ? 1 : 0)
        samples.int(Int64(counts?.running ?? 0))
    }

    private func readUsers(_ now: Instant) {
        if let until = usersUntil, now < until { return }
        usersUntil = now + ProcstatCollector.userAge
        var buffer: [UInt8] = []
        do throws(HostError) { try host.read(HostFile(.etc, "passwd", isKept: false), into: &buffer) } catch { return }
        users = PasswdFile.parse(buffer)
    }
}
