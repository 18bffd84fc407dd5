import Actors
import CLinux
import Glibc
import Pipeline
import Testing

@Suite("NetstatCollector")
struct NetstatCollectorTests {
    private let tail = " 00000000:00000000 00:00000000 00000000 0 0 101 1\n"

    @Test("without tcp6 and udp6 the others count; without udp the gather fails")
    func missingTables() async throws {
        var bench = try Bench("netstat")
        bench.host.file("proc/net/tcp", "heading\n0: 00000000:0016 00000000:0000 0A" + tail)
        bench.host.file("proc/net/unix", "heading\n0: 3 0 0 0002 03 205\n0: 3 0 0 0001 03 206\n")
        let without = await bench.gather()
        #expect(without.lines.isEmpty && without.errors.count == 1)
        bench.host.file("proc/net/udp", "heading\n0: 00000000:0035 00000000:0000 07" + tail)
        let line = try #require(await bench.gather().lines.first)
        #expect(line.contains("tcp_listen=1i") && line.contains("tcp_none=1i") && line.contains("udp_socket=2i"))
    }

    @Test("without unix sockets the counts are those of IP alone")
    func pureCounts() async throws {
        var bench = try Bench("netstat", ["unix_sockets": .bool(false)])
        bench.host.file("proc/net/tcp", "heading\n")
        bench.host.file("proc/net/udp", "heading\n0: 00000000:0035 00000000:0000 07" + tail)
        let line = try #require(await bench.gather().lines.first)
        #expect(line.contains("tcp_none=0i") && line.contains("udp_socket=1i"))
    }

    @Test("sock_diag and the tables of this machine agree, with connections in several states")
    func bothWays() async throws {
        let sockets = try LoopbackSockets()
        defer { sockets.close() }
        let asked = LinuxHost(environment: [:], clock: ManualClock())
        let moved = LinuxHost(environment: ["HOST_PROC": "/proc"], clock: ManualClock())
        let options = OptionValues(NetstatCollector.spec.options)
        let now = Instant(nanoseconds: 1_000_000_000_000)
        // Others on this machine open and close sockets too: one calm moment in twenty is enough.
        var pairs: [(String, String)] = []
        for _ in 0..<20 {
            var lines: [String] = []
            for host in [asked, moved] {
                let collector = NetstatCollector(options: options, host: host)
                let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(10))
                #expect(gather.errors.isEmpty)
                lines.append(try #require(Bench.lines(gather.samples).first))
            }
            pairs.append((lines[0], lines[1]))
            if lines[0] == lines[1] { break }
        }
        #expect(pairs.contains { $0.0 == $0.1 }, "\(pairs.last.map { "\($0)" } ?? "nothing")")
        #expect(!pairs[0].0.contains("tcp_established=0i") && !pairs[0].0.contains("tcp_listen=0i"))
    }

    @Test("this kernel answers sock_diag, or says that it does not")
    func answered() throws {
        let host = LinuxHost(environment: [:], clock: ManualClock())
        let sockets = try LoopbackSockets()
        defer { sockets.close() }
        let socket = DiagSocket()
        var tally = SocketTally()
        do throws(HostError) {
            try host.addSockets(.tcp, socket, to: &tally)
        } catch {
            #expect([ENOENT, EPROTONOSUPPORT, EAFNOSUPPORT, EOPNOTSUPP, EPERM].contains(error.code))
            return
        }
        #expect(tally.tcp[10] >= 1 && tally.tcp[1] >= 2)
    }
}

/// Two listeners on one port, a connection, and a UDP socket, on the loopback.
private struct LoopbackSockets {
    private var descriptors: [Int32] = []

    init() throws {
        let type = Int32(SOCK_STREAM.rawValue)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(bigEndian: 0x7F00_0001)
        func with(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
            withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        for _ in 0..<2 {
            let listener = socket(AF_INET, type, 0)
            var on: Int32 = 1
            setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on, 4)
            descriptors.append(listener)
            let bound = with { bind(listener, $0, $1) }
            try #require(bound == 0 && listen(listener, 8) == 0)
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            _ = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener, $0, &length) }
            }
        }
        let client = socket(AF_INET, type, 0)
        descriptors.append(client)
        let connected = with { connect(client, $0, $1) }
        try #require(connected == 0)
        let datagram = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        descriptors.append(datagram)
        let boundDatagram = with { bind(datagram, $0, $1) }
        try #require(boundDatagram == 0)
    }

    func close() {
        for descriptor in descriptors { Glibc.close(descriptor) }
    }
}
