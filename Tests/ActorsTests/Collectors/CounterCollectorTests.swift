import Actors
import Pipeline
import Testing

@Suite("Collectors of plain counters")
struct CounterCollectorTests {
    @Test("kernel_vmstat: names as the kernel has them, one bad value fails the gather")
    func vmstat() async throws {
        var bench = try Bench("kernel_vmstat")
        bench.host.file("proc/vmstat", "pgfault 1\nnr_free 2\n")
        #expect(await bench.gather().lines == ["kernel_vmstat nr_free=2i,pgfault=1i"])
        bench.host.file("proc/vmstat", "pgfault 1\nnr_free 2\noom_kill 3\n")
        #expect(await bench.gather().lines == ["kernel_vmstat nr_free=2i,oom_kill=3i,pgfault=1i"])
        bench.host.file("proc/vmstat", "pgfault 1\nnr_free x\n")
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.count == 1)
    }

    @Test("swap: no swap is 0 percent, and without vmstat there is no point at all")
    func swap() async throws {
        var bench = try Bench("swap")
        bench.host.change { $0.figures = SystemFigures(uptime: 1, load: nil, swapTotal: 0, swapFree: 0) }
        bench.host.file("proc/vmstat", "pswpin 2\npswpout 3\n")
        #expect(
            await bench.gather().lines
                == ["swap free=0i,total=0i,used=0i,used_percent=0", "swap in=8192i,out=12288i"])
        bench.host.change { $0.files = [:] }
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.count == 1)
    }

    @Test("nstat: option before variable before PROC_ROOT before /proc")
    func nstatPaths() async throws {
        let host = MemoryHost()
        host.file("absolute//option", "A: B\nA: 1\n")
        host.file("absolute//variable", "A: B\nA: 2\n")
        host.file("absolute//root/net/netstat", "A: B\nA: 3\n")
        host.file("proc/net/netstat", "A: B\nA: 4\n")
        for name in ["absolute//root", "proc"] { host.file(name + "/net/snmp", "S: T\nS: 9\n") }
        let settings: [(option: String, environment: [String: String], value: Int)] = [
            ("/option", ["PROC_NET_NETSTAT": "/variable", "PROC_ROOT": "/root"], 1),
            ("", ["PROC_NET_NETSTAT": "/variable", "PROC_ROOT": "/root"], 2), ("", ["PROC_ROOT": "/root"], 3),
            ("", [:], 4),
        ]
        for setting in settings {
            host.change { $0.environment = setting.environment }
            var bench = try Bench("nstat", ["proc_net_netstat": .string(setting.option)], host: host)
            let (lines, errors) = await bench.gather()
            #expect(lines == ["nstat,name=netstat AB=\(setting.value)i", "nstat,name=snmp ST=9i"])
            #expect(errors.isEmpty)
        }
    }

    @Test("nstat: a missing snmp6 is fine, a missing snmp ends the gather after netstat; only zeros are no point")
    func nstatErrors() async throws {
        var bench = try Bench("nstat")
        bench.host.file("proc/net/netstat", "A: B\nA: 1\n")
        bench.host.file("proc/net/snmp6", "C 1\n")
        let (lines, errors) = await bench.gather()
        #expect(lines == ["nstat,name=netstat AB=1i"] && errors.count == 1)
        bench.host.file("proc/net/snmp", "A: B\nA: 0\n")
        #expect(await bench.gather().lines == ["nstat,name=netstat AB=1i", "nstat,name=snmp6 C=1i"])
    }

    @Test("processes: every state has its count, parked ones are counted, a vanished one is passed")
    func processes() async throws {
        var bench = try Bench("processes")
        for (index, state) in "RRSDZXTtWIPPxK".enumerated() {
            bench.host.file("proc/\(index + 1)/stat", "1 (a) \(state) 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 2 19\n")
        }
        bench.host.file("proc/99/status", "vanished")
        bench.host.file("proc/net/dev", "")
        let (lines, errors) = await bench.gather()
        let counts = "blocked=1i,dead=1i,idle=1i,paging=1i,parked=2i,running=2i,sleeping=1i,stopped=2i,total=14i"
        #expect(lines == ["processes \(counts),total_threads=28i,unknown=0i,zombies=1i"])
        #expect(errors.isEmpty)
        bench.host.file("proc/5/stat", "5 (a) S")
        #expect(await bench.gather().errors.count == 1)
    }
}
