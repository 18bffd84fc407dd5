import Testing

@testable import Pipeline

/// Routes through tunnels of our own: what the configuration takes, and what becomes of it.
@Suite("Routes through a tunnel")
struct TunnelRoadTests {
    private let tunnel = """
        [[tunnels]]
        name = "b"
        address = "192.0.2.1"
        user = "u"
        identity_file = "/k"
        known_hosts_file = "/h"

        """

    private func report(_ routes: String, urls: String = "'https://db:8086/x', 'https://other'") -> ConfigReport {
        ConfigSample.report("[[inputs.cpu]]\n[[outputs.influxdb]]\nurls = [\(urls)]\n" + routes + tunnel)
    }

    private func route(_ more: String) -> String { "[[outputs.influxdb.routes]]\nvia = 'proxy'\n\(more)\n" }

    private func complaints(_ routes: String, urls: String = "'http://db'") -> [String] {
        report(routes, urls: urls).issues.filter { $0.severity == .error }.map { "\($0)" }
    }

    @Test("the connection goes to the target, the URL stays the output's first one, or the route's own")
    func urls() throws {
        let config = try #require(
            report(
                route("tunnel = 'b'\ntarget = '10.0.0.1:30086'")
                    + route("tunnel = 'b'\ntarget = '[fd00::1]:8086'\nurl = 'https://third'")
            ).config)
        let routes = config.outputs[0].routes
        #expect(routes.map(\.id) == ["direct", "proxy:b/10.0.0.1:30086", "proxy:b/[fd00::1]:8086"])
        #expect(
            routes.map(\.urls) == [["https://db:8086/x", "https://other"], ["https://db:8086/x"], ["https://third"]])
        #expect(routes.map(\.probesStrictly) == [false, true, true])
        #expect(config.tunnels[0].roads.map(\.description) == ["b/10.0.0.1:30086", "b/[fd00::1]:8086"])
        #expect(config.tunnels[0].forwards.isEmpty)
    }

    @Test("routes that name the same pair share one forward, which has no port")
    func shared() throws {
        let same = route("tunnel = 'b'\ntarget = '10.0.0.1:30086'")
        let config = try #require(report(same + same).config)
        #expect(config.outputs[0].routes.map(\.id).suffix(2) == ["proxy:b/10.0.0.1:30086", "proxy:b/10.0.0.1:30086#2"])
        let forwards = config.tunnels[0].allForwards(roadsIn: "/run/godwit/routes")
        #expect(forwards.count == 1)
        #expect(forwards[0].isInternal && forwards[0].kind == .local && forwards[0].id == "route 10.0.0.1:30086")
        guard case .unix(let path) = forwards[0].bind else { return #expect(Bool(false), "a port") }
        #expect(path.hasPrefix("/run/godwit/routes/") && path.hasSuffix(".sock"))
        #expect(path.utf8.count == "/run/godwit/routes".utf8.count + TunnelRoad.socketNameBytes)
    }

    @Test("a socket's path depends on tunnel and target alone, and has room in the kernel's 108 bytes")
    func paths() throws {
        let target = try #require(SocketPlace(parsing: "10.0.0.1:1"))
        let one = TunnelRoad(tunnel: "b", target: target)
        #expect(one.socketPath(in: "/d") == TunnelRoad(tunnel: "b", target: target).socketPath(in: "/d"))
        #expect(one.socketPath(in: "/d") != TunnelRoad(tunnel: "c", target: target).socketPath(in: "/d"))
        let long = String(repeating: "n", count: 64)
        let road = TunnelRoad(tunnel: long, target: .tcp(NetworkPlace(long, 65_535)))
        #expect(road.socketPath(in: "/d").utf8.count == 2 + TunnelRoad.socketNameBytes)
        let directory = String(repeating: "d", count: 107 - TunnelRoad.socketNameBytes)
        #expect(TunnelRoad.fits(directory: directory))
        #expect(!TunnelRoad.fits(directory: directory + "d"))
        #expect(SocketPlace(parsing: "/" + road.socketPath(in: String(directory.dropFirst()))) != nil)
    }

    @Test("what is missing or unknown is refused with its line")
    func refused() {
        let unknown = complaints(route("tunnel = 'c'\ntarget = 'h:1'"))[0]
        #expect(unknown.contains(":6: outputs.influxdb.routes.tunnel: there is no tunnel \"c\""))
        #expect(complaints(route("tunnel = 'b'"))[0].contains("needs a target"))
        #expect(complaints(route("target = 'h:1'"))[0].contains("needs the name of the tunnel"))
        for target in ["h", "h:", "h:0", "h:65536", ":1", "10.0.0.1"] {
            #expect(
                complaints(route("tunnel = 'b'\ntarget = '\(target)'"))[0].contains("expected host:port"), "\(target)")
        }
        #expect(
            complaints("[[outputs.influxdb.routes]]\ntunnel = 'b'\ntarget = 'h:1'\n")[0].contains("via \"proxy\""))
        #expect(
            complaints(route("tunnel = 'b'\ntarget = 'h:1'"), urls: "'unix:///run/db.sock'")[0]
                .contains("needs a url that begins with http"))
        let named =
            route("tunnel = 'b'\ntarget = 'h:1'") + tunnel.replacing("\"b\"", with: "\"d\"")
            + "[[forwards]]\ntunnel = 'd'\nname = 'route x'\nbind = '127.0.0.1:1'\ntarget = 'h:2'\n"
        #expect(complaints(named).contains { $0.contains("names that begin with \"route \"") })
    }

    @Test("a route added or taken away changes its tunnel's forwards and leaves the session alone")
    func reload() throws {
        let without = try #require(report("").config)
        let with = try #require(report(route("tunnel = 'b'\ntarget = 'h:1'")).config)
        for (old, new) in [(without, with), (with, without)] {
            let diff = ConfigDiff(from: old, to: new)
            #expect(diff.tunnels.unchanged == ["b"])
            #expect(diff.forwardsChanged == ["b"])
            #expect(diff.outputs.changed == ["influxdb"])
        }
        #expect(without.fingerprint != with.fingerprint)
    }

    @Test("what the tunnel knows is told: down with its reason, connecting, up with a target that is not reached")
    func conditions() throws {
        let road = TunnelRoad(tunnel: "b", target: try #require(SocketPlace(parsing: "10.0.0.1:1")))
        let refused = TunnelFailure(.authFailed, "none of our keys")
        #expect(
            RoadCondition.down(refused).complaint(of: road) == "tunnel b is down: auth-failed: none of our keys")
        #expect(RoadCondition.down(nil).complaint(of: road) == "tunnel b is connecting")
        let now = Instant(nanoseconds: 1)
        #expect(
            RoadCondition.up(failure: TunnelFailure(.targetRefused, ""), at: now).complaint(of: road)
                == "tunnel b is up, but 10.0.0.1:1 is not reached: target-refused")
        #expect(RoadCondition.up(failure: nil, at: now).complaint(of: road) == nil)
    }
}
