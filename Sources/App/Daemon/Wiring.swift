import Actors
import Glibc
import Logging
import Pipeline

/// The whole machine in one place: which actors there are, who feeds whom, and who restarts whom.
///
///     root              one_for_one     3 in 600 s, then exit 70
///     ├─ control        one_for_one     status server, watchdog
///     ├─ tunnels        one_for_one     an SSH session per [[tunnels]]; only where there are any
///     ├─ pushprox       one_for_one     the scrape proxy, the scrape client; only with their sections
///     ├─ metadata_relay one_for_one     the guest table's file, a listener per address; only with that section
///     └─ pipeline       rest_for_one
///        ├─ store       one_for_one     a spill log per stream
///        ├─ egress      one_for_one     a sender (with its router and transports) per output
///        └─ intake      rest_for_one    batcher → collectors (one_for_one, parked when they fail too often)
///
/// Start order as listed; stop order reversed: collectors, batcher (seals what is open), senders (end the request under
/// way), spill logs (sync), status server last.
struct Wiring: Sendable {
    let loops: Loops
    let log: LogSink
    let host: any Host
    let channel = SampleChannel()
    let taps = Taps()
    /// For inputs that read files of others. Its thread starts with the first such input.
    let files = WorkLoop(name: "godwit-files")
    /// For pages that are scraped. Its thread starts with the first such input.
    let scrapes = WorkLoop(name: "godwit-scrape")
    let notes = NotesBoard()
    let ledger = AgentLedger(version: Version.current)
    let http: CurlMulti
    let names = NameLookup()
    let certificates = ServerCertificates()
    let expositions = ExpositionPages()
    let spillRoot: String
    let stateDirectory: String
    let crashes: CrashRecord
    /// Where tunnels listen for routes of outputs.
    let roadDirectory: String
    /// The tunnels by name, for those routes.
    let tunnels = TunnelBoard()

    /// The four threads.
    struct Loops: Sendable {
        let main: MainLoop
        let io: WorkLoop
        let disk: WorkLoop
        let sync: WorkLoop
    }

    // MARK: The tree

    struct Tree: Sendable {
        let root: Supervisor
        let control: Supervisor
        let store: Supervisor
        let egress: Supervisor
        let collectors: Supervisor
    }

    func tree(
        control: [ChildSpec], roles: [ChildSpec] = [], store: [ChildSpec], egress: [ChildSpec], batcher: Batcher,
        collectors: [ChildSpec]
    )
        -> Tree
    {
        let perMinute = RestartIntensity(count: 3, period: .seconds(60))
        func supervisor(
            _ id: String, _ strategy: SupervisionStrategy, _ intensity: RestartIntensity, _ children: [ChildSpec],
            stopOrder: StopOrder = .reversed
        ) -> Supervisor {
            var system = SystemRandomNumberGenerator()
            return Supervisor(
                id: id, strategy: strategy, intensity: intensity, stopOrder: stopOrder, children: children,
                clock: loops.main, loop: loops.main, seed: system.next(), log: log.logger("supervisor"))
        }
        func child(_ supervisor: Supervisor, stop: Duration) -> ChildSpec {
            ChildSpec(supervisor: supervisor, intensity: perMinute, stopTimeout: stop)
        }
        let collectors = supervisor("collectors", .oneForOne, perMinute, collectors, stopOrder: .together)
        let intake = supervisor(
            "intake", .restForOne, perMinute,
            [
                ChildSpec(id: "batcher", whenExhausted: .escalate, intensity: perMinute, stopTimeout: .seconds(2)) {
                    context in try await batcher.run { context.ready() }
                },
                child(collectors, stop: .milliseconds(2_500)),
            ])
        let egress = supervisor("egress", .oneForOne, perMinute, egress, stopOrder: .together)
        let store = supervisor("store", .oneForOne, perMinute, store, stopOrder: .together)
        let pipeline = supervisor(
            "pipeline", .restForOne, perMinute,
            [
                child(store, stop: .milliseconds(5_500)), child(egress, stop: .seconds(4)),
                child(intake, stop: .seconds(5)),
            ])
        let control = supervisor("control", .oneForOne, RestartIntensity(count: 5, period: .seconds(60)), control)
        let root = supervisor(
            "root", .oneForOne, RestartIntensity(count: 3, period: .seconds(600)),
            [child(control, stop: .seconds(2))] + roles + [child(pipeline, stop: .seconds(15))])
        return Tree(root: root, control: control, store: store, egress: egress, collectors: collectors)
    }

    // MARK: The children

    func storeChild(_ spill: SpillLog) -> ChildSpec {
        ChildSpec(
            id: "spill:\(spill.name)", whenExhausted: .escalate,
            intensity: RestartIntensity(count: 3, period: .seconds(60)), stopTimeout: .seconds(5)
        ) { context in
            try await withThrowingDiscardingTaskGroup { group in
                group.addTask(executorPreference: loops.disk) { try await spill.run() }
                group.addTask {
                    await spill.ready()
                    context.ready()
                }
            }
        }
    }

    func egressChild(_ sender: Sender, _ output: OutputConfig) -> ChildSpec {
        ChildSpec(
            id: output.id, whenExhausted: .park, intensity: RestartIntensity(count: 5, period: .seconds(60)),
            // Longer than the grace of a request under way.
            stopTimeout: .milliseconds(3_500)
        ) { context in
            context.ready()
            // On the spill log's loop: taking a batch, settling it and waiting for the next cost no thread switch.
            try await withTaskExecutorPreference(loops.disk) { try await sender.run() }
        }
    }

    func collectorChild(_ runner: CollectorRunner, _ input: InputConfig, parked: ParkedStart?) -> ChildSpec {
        ChildSpec(
            id: input.id, whenExhausted: .park, intensity: RestartIntensity(count: 5, period: .seconds(60)),
            stopTimeout: .seconds(2), parkedStart: parked
        ) { context in
            context.ready()
            try await runner.run()
        }
    }

    // MARK: The actors

    func spillLog(_ name: String, readers: [String], _ config: Config, streams: Int) -> SpillLog {
        SpillLog(
            name: name, directory: spillRoot, settings: spillSettings(config, streams: streams), readers: readers,
            diskLoop: loops.disk, syncLoop: loops.sync, clock: loops.disk)
    }

    /// Folders of streams that an earlier configuration had; at most 16, since each costs memory. Without a spill, none.
    func orphanFolders(besides layout: StreamLayout, _ config: Config) -> [String] {
        guard config.spill.settings.mode != .off else { return [] }
        let own = Set(layout.streams.map { SpillFiles.sanitised($0.name) })
        return SpillInspection.streamsWithReaders(spillRoot).filter { !own.contains($0) }.prefix(16).map { $0 }
    }

    /// The share of one stream: the configured caps are those of the whole spill.
    func spillSettings(_ config: Config, streams: Int) -> SpillSettings {
        var settings = config.spill.settings
        settings.bytesLimit = max(1, settings.bytesLimit / max(1, streams))
        settings.memoryBytes = max(1, settings.memoryBytes / max(1, streams))
        settings.orderedReaders = Set(config.outputs.filter(\.keepsOrder).map { SpillFiles.sanitised($0.id) })
        return settings
    }

    /// The flush tick: the shortest of the streams' intervals, on the same grid as the collection ticks.
    func flushSchedule(_ layout: StreamLayout, _ config: Config) -> TickSchedule {
        let flush = layout.streams.map(\.encoding.flush).min { $0.interval < $1.interval } ?? FlushConfig(config.agent)
        return flushSchedule(flush, config)
    }

    /// When a stream is sealed: on the same grid as the collection ticks.
    func flushSchedule(_ flush: FlushConfig, _ config: Config) -> TickSchedule {
        TickSchedule(
            interval: flush.interval, roundInterval: config.agent.roundsInterval,
            offset: config.agent.collectionOffset, jitter: flush.jitter)
    }

    func sender(_ output: OutputConfig, _ spill: SpillLog, _ config: Config) -> Sender {
        let routes = output.routes.isEmpty ? [RouteConfig(kind: .direct, urls: [])] : output.routes
        let router = Router(
            routes: routes.map {
                Route(id: $0.id, transport: transport(output, $0, config), needsProof: $0.probesStrictly)
            },
            clock: loops.disk)
        var settings = SenderSettings(replayBytesPerSecond: config.spill.replayBytesPerSecond)
        settings.rateLimit = RateLimit(output.options)
        return Sender(
            output: output.id, instance: NodeName.current, log: spill, router: router, settings: settings,
            clock: loops.disk, logger: log.logger("output", level: output.logLevel))
    }

    private func transport(_ output: OutputConfig, _ route: RouteConfig, _ config: Config) -> any Transport {
        switch output.plugin {
        case "file":
            FileTransport(
                settings: FileSettings(output, stateDirectory: stateDirectory), loop: loops.disk, clock: loops.disk)
        case "prometheus_client":
            expositionTransport(output)
        case "prometheus_remote_write":
            overRoad(
                route,
                RemoteWriteTransport(
                    settings: RemoteWriteSettings(output, route, roads: roadDirectory, version: Version.current),
                    client: http, worker: loops.disk, clock: loops.disk, notes: notes))
        default:
            overRoad(
                route,
                InfluxDBTransport(
                    settings: InfluxDBSettings(output, route, roads: roadDirectory, version: Version.current),
                    client: http, clock: loops.disk))
        }
    }

    private func overRoad(_ route: RouteConfig, _ transport: any Transport) -> any Transport {
        guard let road = route.road else { return transport }
        return TunnelTransport(road: road, inner: transport, tunnels: tunnels, clock: loops.disk)
    }

    private var inputEnvironment: InputEnvironment {
        var environment = InputEnvironment(
            host: host, agent: ledger, clock: loops.main, http: http, io: loops.io, names: names, files: files,
            scrapes: scrapes, notes: notes, eventLoop: loops.main.eventLoop, stateDirectory: stateDirectory)
        environment.certificates = certificates
        environment.log = log.logger("input")
        return environment
    }

    /// For the test of crash attribution: the input that ends the process when it gathers.
    private static let trapInput = ConfigFile.environment["GODWIT_TEST_TRAP_COLLECTOR"]

    /// Errors: `CollectorError` when the options cannot work on this host.
    func runner(_ input: InputConfig) throws -> CollectorRunner {
        guard let plugin = InputRegistry.plugin(input.plugin) else {
            throw CollectorError("there is no input \(input.plugin)")
        }
        let collector = try plugin.make(input.options, in: inputEnvironment)
        let crashes = crashes
        let schedule = TickSchedule(
            interval: input.schedule.interval, roundInterval: input.schedule.roundsInterval,
            offset: input.schedule.offset, jitter: input.schedule.jitter)

        return CollectorRunner(
            input: input.id, collector: collector, schedule: schedule, precision: input.schedule.precision,
            timeSource: input.schedule.timeSource, channel: channel, clock: loops.main,
            logger: log.logger("input", level: input.logLevel),
            hooks: GatherHooks(
                willGather: { name in
                    crashes.enter(name)
                    if name == Wiring.trapInput { fatalError("GODWIT_TEST_TRAP_COLLECTOR asks for it") }
                },
                didGather: { crashes.leave($0) }),
            ledger: (ledger, AgentLedger.Input(plugin: input.plugin, alias: input.alias, id: input.id)))
    }
}

/// The kernel's name of this machine.
enum NodeName {
    static var current: String {
        var names = utsname()
        guard uname(&names) == 0 else { return "localhost" }
        return withUnsafeBytes(of: &names.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}

extension SpillLog: BatchSink {}
