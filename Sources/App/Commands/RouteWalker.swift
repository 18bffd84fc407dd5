import Actors
import Glibc
import Pipeline

/// Walks the routes of a configuration, each with connections and sessions of its own.
struct RouteWalker: Sendable {
    let config: Config
    let loop: MainLoop
    /// Whether a probe point is written at the end of a road.
    let writes: Bool
    private let io = WorkLoop(name: "godwit-io")
    private let http: CurlMulti
    private let threads = BlockingThreads()

    init(config: Config, loop: MainLoop, writes: Bool) {
        self.config = config
        self.loop = loop
        self.writes = writes
        http = CurlMulti(loop: io)
    }

    /// A walk for each server of the route.
    func walk(_ output: OutputConfig, _ route: RouteConfig) async -> [RouteCheck.Walk] {
        guard let road = route.road else {
            let urls = route.urls.isEmpty ? output.options.strings("urls") : route.urls
            var walks: [RouteCheck.Walk] = []
            for url in urls { walks.append(walk(output, route, url, await hops(output, route, url))) }
            return walks
        }
        let url = route.urls.first ?? ""
        guard let directory = RouteWalker.makeFolder() else {
            complain("cannot make a folder for a socket: \(String(cString: strerror(errno)))")
            return []
        }
        defer { rmdir(directory) }
        let tunnels = TunnelWalk(road: road, chain: chain(road.tunnel), loop: io, threads: threads, clock: loop)
        var hops = await tunnels.hops(socketsIn: directory)
        if hops.last?.isPassed ?? false { hops += await self.hops(output, route, url, roads: directory) }
        await tunnels.end()
        return [walk(output, route, url, hops)]
    }

    private func walk(
        _ output: OutputConfig, _ route: RouteConfig, _ url: String, _ hops: [RouteHop]
    ) -> RouteCheck.Walk {
        RouteCheck.Walk(output: output.id, route: route.id, url: Secret.redacted(url: url), hops: hops)
    }

    private func hops(
        _ output: OutputConfig, _ route: RouteConfig, _ url: String, roads: String = ""
    ) async -> [RouteHop] {
        var route = route
        route.urls = [url]
        let settings: ServerSettings
        let transport: any Transport
        if output.plugin == "prometheus_remote_write" {
            let own = RemoteWriteSettings(output, route, roads: roads, version: Version.current)
            settings = own.server
            transport = RemoteWriteTransport(settings: own, client: http, worker: io, clock: loop)
        } else {
            let own = InfluxDBSettings(output, route, roads: roads, version: Version.current)
            settings = own.server
            transport = InfluxDBTransport(settings: own, client: http, clock: loop)
        }
        let walk = RouteWalk(
            settings: settings, transport: transport, clock: loop, environment: ConfigFile.environment)
        return await walk.hops(probe: writes ? point(route) : nil)
    }

    /// The tunnels that lead to the end of one, the nearest first.
    private func chain(_ name: String) -> [TunnelSpec] {
        var chain: [TunnelSpec] = []
        var next: String? = name
        // The configuration has no circles; the bound says so.
        while let name = next, chain.count < config.tunnels.count {
            guard let tunnel = config.tunnels.first(where: { $0.id == name }) else { break }
            chain.insert(tunnel.spec, at: 0)
            next = tunnel.spec.jump.last
        }
        return chain
    }

    /// A folder of our own for the socket of a road; nil with `errno` when there can be none.
    private static func makeFolder() -> String? {
        let wanted = ConfigFile.environment["TMPDIR"] ?? "/tmp"
        for parent in [wanted, "/tmp"] where TunnelRoad.fits(directory: "\(parent)/godwit-XXXXXX") {
            var template = Array("\(parent)/godwit-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else { continue }
            return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        return nil
    }

    /// The probe point, with the global tags: a metadata relay knows a host by them.
    private func point(_ route: RouteConfig) -> Batch? {
        let tags = config.globalTags(nodeName: NodeName.current) + [Tag("route", route.id)]
        var set = SampleSet()
        set.append(Series("godwit_route_check", tags: tags), Schema([.int("value")]), at: loop.wall)
        set.int(1)
        var encoder = StreamEncoder()
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "route")
        _ = encoder.add(set, from: "route")
        return encoder.seal { lines, points, newest in
            Batch(pointCount: points, newest: newest, codec: .identity, payload: Array(lines))
        }
    }
}
