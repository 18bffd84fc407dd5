import Actors
import Pipeline

/// The scrape proxy and the scrape client of the daemon: a supervisor of their own below the root, made with the first
/// of them.
struct PushProxRoles {
    var proxy: ScrapeProxy?
    var client: ScrapeClient?
    var supervisor: Supervisor?
}

extension Wiring {
    func scrapeProxy(_ part: PushProxConfig.Part) -> ScrapeProxy {
        ScrapeProxy(
            settings: ScrapeProxySettings(part), certificates: certificates, clock: loops.main,
            log: log.logger("pushprox"))
    }

    func scrapeClient(_ part: PushProxConfig.Part, pages: @escaping ScrapeClient.Pages) -> ScrapeClient {
        ScrapeClient(
            settings: ScrapeClientSettings(part, host: NodeName.current, version: Version.current), http: http,
            clock: loops.main, pages: pages, log: log.logger("pushprox"))
    }

    func scrapeProxyChild(_ proxy: ScrapeProxy, drain: Duration) -> ChildSpec {
        ChildSpec(
            id: "proxy", whenExhausted: .park, intensity: RestartIntensity(count: 10, period: .seconds(60)),
            stopTimeout: drain + .seconds(1)
        ) { context in
            // The pipeline need not wait for a port.
            context.ready()
            try await proxy.run { _ in }
        }
    }

    func scrapeClientChild(_ client: ScrapeClient) -> ChildSpec {
        ChildSpec(
            id: "client", whenExhausted: .park, intensity: RestartIntensity(count: 5, period: .seconds(60)),
            stopTimeout: .milliseconds(2_500)
        ) { context in
            context.ready()
            await client.run()
        }
    }

    func pushproxSupervisor(_ children: [ChildSpec]) -> Supervisor {
        var system = SystemRandomNumberGenerator()
        return Supervisor(
            id: "pushprox", strategy: .oneForOne, intensity: RestartIntensity(count: 10, period: .seconds(600)),
            stopOrder: .together, children: children, clock: loops.main, loop: loops.main, seed: system.next(),
            log: log.logger("supervisor"))
    }
}

extension Daemon {
    /// The supervisor of the configured roles as a child of the root; none without any.
    func pushproxChildren() -> [ChildSpec] {
        guard !config.pushprox.isEmpty else { return [] }
        let supervisor = wiring.pushproxSupervisor([makeScrapeProxy(), makeScrapeClient()].compactMap { $0 })
        pushprox.supervisor = supervisor
        return [Daemon.child(pushprox: supervisor)]
    }

    private static func child(pushprox supervisor: Supervisor) -> ChildSpec {
        ChildSpec(
            supervisor: supervisor, intensity: RestartIntensity(count: 3, period: .seconds(60)),
            stopTimeout: .seconds(12))
    }

    private func makeScrapeProxy() -> ChildSpec? {
        guard let part = config.pushprox.proxy else { return nil }
        let proxy = wiring.scrapeProxy(part)
        pushprox.proxy = proxy
        return wiring.scrapeProxyChild(proxy, drain: part.values.duration("drain_timeout"))
    }

    private func makeScrapeClient() -> ChildSpec? {
        guard let part = config.pushprox.client else { return nil }
        let client = wiring.scrapeClient(part) { [weak self] place in await self?.page(place) }
        pushprox.client = client
        return wiring.scrapeClientChild(client)
    }

    /// Applies a new configuration: a role that did not change goes on with its connections.
    func changePushProx(_ diff: ConfigDiff, _ tree: Wiring.Tree) async {
        guard diff.scrapeProxyChanged || diff.scrapeClientChanged else { return }
        if pushprox.supervisor == nil {
            let supervisor = wiring.pushproxSupervisor([])
            pushprox.supervisor = supervisor
            await tree.root.add(Daemon.child(pushprox: supervisor))
        }
        guard let supervisor = pushprox.supervisor else { return }
        if diff.scrapeProxyChanged {
            // The old one ends first, so that what it listens at is free.
            await supervisor.remove("proxy")
            pushprox.proxy = nil
            if let child = makeScrapeProxy() { await supervisor.add(child) }
        }
        if diff.scrapeClientChanged {
            await supervisor.remove("client")
            pushprox.client = nil
            if let child = makeScrapeClient() { await supervisor.add(child) }
        }
    }

    /// A page of the agent itself.
    private func page(_ place: TargetRule.Destination) async -> [UInt8]? {
        switch place {
        case .agent: StatusMetrics.exposition(await report())
        case .output(let id): await wiring.expositions.page(of: id)
        case .asAsked, .url, .unix: nil
        }
    }

    func fillPushProx(_ report: inout StatusReport, _ notes: inout [Health.Reason]) async {
        report.pushprox.proxy = await pushprox.proxy?.figures()
        report.pushprox.client = await pushprox.client?.figures()
        for table in config.pushprox.client?.tables["proxies"] ?? [] where table.bool("insecure_skip_verify") {
            notes.append(
                Health.Reason(.degraded, "the scrape client does not verify the certificate of a proxy"))
        }
    }
}
