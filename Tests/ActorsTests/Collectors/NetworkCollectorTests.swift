import Actors
import Pipeline
import Testing

@Suite("NetworkCollector")
struct NetworkCollectorTests {
    private static let header = "a\nb\n"
    private func row(_ name: String, _ value: Int = 1) -> String {
        "\(name): \(value) 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
    }
    private let up = InterfaceFlags(isUp: true, isLoopback: false)

    @Test("what is up and no loopback is reported; with HOST_PROC everything")
    func selection() async throws {
        var bench = try Bench("net")
        bench.host.file(
            "proc/net/dev", NetworkCollectorTests.header + row("lo") + row("eth0") + row("eth1") + row("ghost"))
        bench.host.change {
            $0.interfaces = [
                "eth0": up, "eth1": InterfaceFlags(isUp: false, isLoopback: false),
                "lo": InterfaceFlags(isUp: true, isLoopback: true),
            ]
        }
        #expect(await bench.gather().lines.map { $0.prefix { $0 != " " } } == ["net,interface=eth0"])
        bench.host.change { $0.moved = [.proc] }
        #expect(await bench.gather().lines.count == 4)
    }

    @Test("a list of globs overrides the flags")
    func globs() async throws {
        var bench = try Bench("net", ["interfaces": .strings(["lo", "eth*"])])
        bench.host.file("proc/net/dev", NetworkCollectorTests.header + row("lo") + row("eth0") + row("wlan0"))
        #expect(await bench.gather().lines.count == 2)
    }

    @Test(
        "speed is the file's number, otherwise -1",
        arguments: [("1000\n", 1000), ("-1\n", -1), ("fast\n", -1), ("", -1)])
    func speed(_ text: String, _ value: Int) async throws {
        var bench = try Bench("net", ["interfaces": .strings(["eth0"])])
        bench.host.file("proc/net/dev", NetworkCollectorTests.header + row("eth0"))
        bench.host.file("sys/class/net/eth0/speed", text)
        #expect(await bench.gather().lines[0].hasSuffix(",speed=\(value)i"))
    }

    @Test("hostile names are escaped and asked for by their bytes")
    func hostileNames() async throws {
        var bench = try Bench("net", ["interfaces": .strings(["*"])])
        let names: [[UInt8]] = [Array("a,b=c\\\"d".utf8), [0x65, 0xFF, 0x68]]
        let counters = Array(": 1 2 3 4 5 6 7 8 9 10 11 12 13\n".utf8)
        bench.host.change {
            $0.files["proc/net/dev"] = Array(NetworkCollectorTests.header.utf8) + names.flatMap { $0 + counters }
        }
        let (lines, errors) = await bench.gather()
        #expect(lines.map { $0.prefix { $0 != " " } } == ["net,interface=a\\,b\\=c\\\"d", "net,interface=e\u{FFFD}h"])
        #expect(errors.isEmpty)
    }

    @Test("an interface that comes back at another place keeps its own numbers")
    func reorderedInterfaces() async throws {
        var bench = try Bench("net", ["interfaces": .strings(["*"]), "rates": .bool(false)])
        bench.host.file("proc/net/dev", NetworkCollectorTests.header + row("eth0", 10) + row("eth1", 20))
        _ = await bench.gather()
        bench.host.file("proc/net/dev", NetworkCollectorTests.header + row("eth1", 21) + row("eth0", 11))
        let lines = await bench.gather().lines
        #expect(lines[0].hasPrefix("net,interface=eth1 bytes_recv=21i"))
        #expect(lines[1].hasPrefix("net,interface=eth0 bytes_recv=11i"))
    }

    @Test("protocol counters follow as interface=all, an odd file in silence not")
    func protocols() async throws {
        var bench = try Bench("net")
        bench.host.file("proc/net/dev", NetworkCollectorTests.header)
        bench.host.file("proc/net/snmp", "Tcp: MaxConn\nTcp: -1\n")
        #expect(await bench.gather().lines == ["net,interface=all tcp_maxconn=-1i"])
        bench.host.file("proc/net/snmp", "Tcp: MaxConn\nTcp: x\n")
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.isEmpty)
        var without = try Bench("net", ["ignore_protocol_stats": .bool(true)], host: bench.host)
        bench.host.file("proc/net/snmp", "Tcp: MaxConn\nTcp: -1\n")
        #expect(await without.gather().lines.isEmpty)
    }

    @Test("a word in place of a counter fails the gather")
    func damagedFile() async throws {
        var bench = try Bench("net", ["interfaces": .strings(["*"])])
        bench.host.file(
            "proc/net/dev", NetworkCollectorTests.header + row("eth0") + "eth1: x 2 3 4 5 6 7 8 9 10 11 12 13\n")
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.count == 1)
    }
}
