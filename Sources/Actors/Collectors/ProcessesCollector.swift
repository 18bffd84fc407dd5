import Pipeline

/// Input `processes`: how many processes are in which state, and how many threads there are.
///
/// One pass over /proc/PID/stat. A process that vanishes meanwhile is passed; any other error fails the gather, since a
/// part of the processes is no count. `parked` is there only when such a task is, and counts them (the reference never
/// gets past 1). Letters without a field (`x`, `K`) count in total only.
public actor ProcessesCollector: Collector {
    public static var spec: PluginSpec {
        PluginSpec(
            name: "processes", summary: "Processes by state, and threads.",
            options: [
                OptionSpec(
                    "use_sudo", .bool(false), "Run ps with sudo.",
                    ignoredBecause: "Linux is asked through /proc, no program is run")
            ],
            metrics: [MetricSpec("processes", fields: fields + [parked])])
    }

    private static let fields: [MetricSpec.Field] = [
        .int("blocked", .count, "/proc/PID/stat: state D"), .int("dead", .count, "/proc/PID/stat: state X"),
        .int("idle", .count, "/proc/PID/stat: state I"), .int("paging", .count, "/proc/PID/stat: state W"),
        .int("running", .count, "/proc/PID/stat: state R"), .int("sleeping", .count, "/proc/PID/stat: state S"),
        .int("stopped", .count, "/proc/PID/stat: states T, t"), .int("total", .count, "folders /proc/PID"),
        .int("total_threads", .count, "/proc/PID/stat: num_threads"), .int("unknown", .count, "always 0"),
        .int("zombies", .count, "/proc/PID/stat: state Z"),
    ]
    private static let parked = MetricSpec.Field.int(
        "parked", .count, "/proc/PID/stat: state P; only when there are such tasks")
    private static let schema = Schema(declared: fields)
    private static let parkedSchema = Schema(declared: fields + [parked])

    private let host: any Host
    private let series = Series("processes")
    private let files = ProcessFiles()

    public init(host: any Host) { self.host = host }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather {
        var tally = ProcessTally()
        var failure: ParseError?
        do throws(HostError) {
            try host.readProcesses(files) { bytes in
                do throws(ParseError) {
                    if let process = try ProcPidStat.parse(bytes) { tally.add(process) }
                } catch {
                    failure = error
                }
            }
        } catch {
            return Gather(errors: ["\(error)"])
        }
        if let failure { return Gather(errors: ["\(failure)"]) }
        var gather = Gather()
        gather.samples.append(
            series, tally.parked > 0 ? ProcessesCollector.parkedSchema : ProcessesCollector.schema, at: time)
        for value in [
            tally.blocked, tally.dead, tally.idle, tally.paging, tally.running, tally.sleeping, tally.stopped,
            tally.total, tally.threads, 0, tally.zombies,
        ] {
            gather.samples.int(value)
        }
        if tally.parked > 0 { gather.samples.int(tally.parked) }
        return gather
    }
}
