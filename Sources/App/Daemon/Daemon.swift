import Actors
import Glibc
import Logging
import Pipeline

/// The running agent: the parts made from the configuration in force, and the three things that happen to them: a
/// reload, a question about their state, and the end.
///
/// Owns: the actors by name and the configuration. Receives: signals, reload requests, report requests.
/// Started by: `run`. Stops: on SIGTERM or SIGINT, within 25 s, in the order of `Wiring`.
actor Daemon {
    let wiring: Wiring
    let options: ConfigOptions
    let notify: Notify
    let logger: Logger
    let started: (wall: Timestamp, now: Instant)

    var config: Config
    var layout: StreamLayout
    var streams: [String: SpillLog] = [:]
    /// Streams that no output reads any more but that hold a backlog, by folder: bounded by age, and in the status.
    var orphans: [String: SpillLog] = [:]
    var senders: [String: Sender] = [:]
    var runners: [String: CollectorRunner] = [:]
    var fleet = TunnelFleet()
    var relay: RelayRole?
    var pushprox = PushProxRoles()
    var lastReload: ReloadVerdict?
    var isStopping = false
    /// Points dropped per output at moments of the last ten minutes, for health.
    var dropHistory: [String: [(at: Instant, dropped: UInt64)]] = [:]

    let batcher: Batcher
    private(set) var tree: Wiring.Tree?
    private var lastReloadEnd: Instant?
    private var isReloading = false

    /// Errors: `CollectorError` for an input whose options cannot work on this host.
    init(
        wiring: Wiring, options: ConfigOptions, config: Config, notify: Notify
    ) throws {
        self.wiring = wiring
        self.options = options
        self.config = config
        self.notify = notify
        logger = wiring.log.logger("godwit")
        let clock = wiring.loops.main
        started = (clock.wall, clock.now)
        layout = StreamLayout(config)
        for stream in layout.streams {
            streams[stream.name] = wiring.spillLog(
                stream.name, readers: stream.outputs, config, streams: layout.streams.count)
        }
        for folder in wiring.orphanFolders(besides: layout, config) {
            orphans[folder] = wiring.spillLog(folder, readers: [], config, streams: layout.streams.count)
        }
        for output in config.outputs {
            guard let stream = layout.stream(of: output.id), let spill = streams[stream.name] else { continue }
            senders[output.id] = wiring.sender(output, spill, config)
        }
        for input in config.inputs { runners[input.id] = try wiring.runner(input) }
        let logs = streams
        batcher = Batcher(
            channel: wiring.channel,
            streams: layout.streams.compactMap { stream in
                logs[stream.name].map { wiring.plan(stream, $0, config) }
            },
            chain: wiring.chain(config), flush: wiring.flushSchedule(layout, config), taps: wiring.taps, clock: clock)
    }

    // MARK: Life

    /// Runs until a signal ends it. Returns the exit status.
    func run(signals: AsyncStream<Signals.Event>, liveView: Bool) async -> Int32 {
        let (stops, requestStop) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let (reloads, requestReload) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        return await withTaskGroup(of: Int32?.self) { group in
            group.addTask { await self.obey(signals, requestStop, requestReload) }
            group.addTask { await self.runTree(stops: stops, reloads: reloads, liveView: liveView) }
            defer { group.cancelAll() }
            while let ended = await group.next() {
                if let ended { return ended }
            }
            return 0
        }
    }

    /// The tree and what goes with it, until a stop is asked for or the tree gives up. Returns the exit status.
    private func runTree(stops: AsyncStream<Void>, reloads: AsyncStream<Void>, liveView: Bool) async -> Int32 {
        let tree = makeTree(roles: await tunnelChildren() + relayChildren() + pushproxChildren())
        self.tree = tree
        wiring.ledger.connect { [weak self] in await self?.outputFigures() ?? [] }
        let (ready, settled) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let status = await withTaskGroup(of: Int32?.self) { group in
            group.addTask { await self.supervise(tree.root, settled) }
            group.addTask {
                for await _ in stops { break }
                return 0
            }
            group.addTask { await self.obeyReloads(reloads) }
            group.addTask { await self.awaitReady(ready) }
            group.addTask { await self.afterWarmUp() }
            if liveView { group.addTask { await self.showLive() } }
            var status: Int32 = 0
            while let ended = await group.next() {
                guard let ended else { continue }
                if ended != 0 { status = ended }
                beginStop()
                group.cancelAll()
            }
            return status
        }
        logger.info("stopped")
        return status
    }

    private func beginStop() {
        guard !isStopping else { return }
        isStopping = true
        notify.stopping()
        logger.info("stopping")
    }

    private func supervise(_ root: Supervisor, _ ready: AsyncStream<Void>.Continuation) async -> Int32? {
        defer { ready.finish() }
        do {
            try await root.run(ChildContext(path: "root") { ready.yield() })
            return 0
        } catch {
            logger.critical("gave up", metadata: ["error": "\(error)"])
            return ExitStatus.software.rawValue
        }
    }

    private func awaitReady(_ ready: AsyncStream<Void>) async -> Int32? {
        for await _ in ready { announceReady() }
        return nil
    }

    private func announceReady() {
        guard !isStopping else { return }
        notify.ready("\(config.inputs.count) inputs, \(config.outputs.count) outputs")
        logger.info(
            "running",
            metadata: [
                "version": "\(Version.current)", "inputs": "\(config.inputs.count)",
                "outputs": "\(config.outputs.count)",
            ])
    }

    /// The first SIGTERM or SIGINT asks for the stop; a second one skips the requests under way, but not the sync.
    private func obey(
        _ signals: AsyncStream<Signals.Event>, _ requestStop: AsyncStream<Void>.Continuation,
        _ requestReload: AsyncStream<Void>.Continuation
    ) async -> Int32? {
        for await signal in signals {
            switch signal {
            case .hangup: requestReload.yield()
            case .user1: wiring.channel.send(.flush)
            case .interrupt, .terminate:
                if isStopping { await hurry() }
                requestStop.yield()
            }
        }
        return nil
    }

    /// One reload at a time: a storm of signals waits as one.
    private func obeyReloads(_ reloads: AsyncStream<Void>) async -> Int32? {
        for await _ in reloads { _ = await reload() }
        return nil
    }

    /// Everything sealed is synced, then the process ends at once.
    private func hurry() async -> Never {
        let clock = wiring.loops.main
        let logs = Array(streams.values) + Array(orphans.values)
        // A sync may hang, and nothing can cancel it.
        clock.endProcess(after: .seconds(5))
        await batcher.flush()
        for spill in logs { await spill.settle() }
        logger.notice("stopped at the second signal, without waiting for requests under way")
        exit(0)
    }

    /// Once everything has run and something was delivered, start-up code is dropped from memory.
    private func afterWarmUp() async -> Int32? {
        let clock = wiring.loops.main
        for round in 1...60 {
            guard (try? await clock.sleep(for: .seconds(2))) != nil else { return nil }
            // With the server away it must not wait for a delivery: once now, once more after the first one.
            if round == 5 { OwnProcess.dropColdPages() }
            var waiting = 0
            for sender in senders.values where await sender.status().delivered == 0 { waiting += 1 }
            if waiting == 0 { break }
        }
        OwnProcess.dropColdPages()
        return nil
    }

    // MARK: The live view

    /// On a terminal, `run` shows what `godwit top` shows.
    private func showLive() async -> Int32? {
        let clock = wiring.loops.main
        let screen = LiveScreen(takesKeys: false)
        defer { screen.restore() }
        while (try? await clock.sleep(for: .seconds(1))) != nil {
            let size = LiveScreen.size
            screen.show(LiveView.page(await report(), width: size.width, height: size.height))
        }
        return nil
    }

    // MARK: Reload

    /// Reads and checks the configuration files; what is wrong changes nothing. Reloads are at least a second apart.
    func reload() async -> ReloadVerdict {
        let clock = wiring.loops.main
        // One at a time, in whatever number they are asked for: looked at anew after each wait.
        while isReloading || lastReloadEnd.map({ clock.now - $0 < .seconds(1) }) ?? false {
            guard (try? await clock.sleep(for: .milliseconds(100))) != nil else {
                return ReloadVerdict(time: clock.wall, isAccepted: false, errors: ["the agent is stopping"])
            }
        }
        isReloading = true
        defer { isReloading = false }
        notify.reloading(clock.now)
        defer { notify.ready("\(config.inputs.count) inputs, \(config.outputs.count) outputs") }
        let verdict = await apply()
        lastReload = verdict
        if verdict.isAccepted {
            logger.notice(
                "configuration reloaded",
                metadata: ["changes": "\(verdict.changes.isEmpty ? "none" : verdict.changes.joined(separator: "; "))"])
        } else {
            for error in verdict.errors { logger.error("reload refused", metadata: ["error": "\(error)"]) }
        }
        lastReloadEnd = clock.now
        return verdict
    }
}
