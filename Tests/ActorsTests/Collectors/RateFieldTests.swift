import Actors
import Pipeline
import Testing

/// The fields of the platform's own agent: their values, and when there are none.
@Suite("Rate fields")
struct RateFieldTests {
    /// The fields of the only line that begins with `header`, as they are spelled.
    private func fields(_ lines: [String], _ header: String) throws -> [String: String] {
        let line = try #require(lines.first { $0.hasPrefix(header + " ") })
        let pairs = line.dropFirst(header.count + 1).split(separator: ",").map {
            $0.split(separator: "=", maxSplits: 1)
        }
        return Dictionary(pairs.map { (String($0[0]), String($0[1])) }, uniquingKeysWith: { $1 })
    }

    private let diskRates: Set<String> = [
        "iops", "read_iops", "write_iops", "bps", "read_bps", "write_bps", "read_await", "write_await", "await",
        "ioutil", "avgqu_sz",
    ]

    private func disk(_ bench: Bench, _ rows: String...) {
        bench.host.file("proc/diskstats", rows.map { $0 + "\n" }.joined())
    }

    @Test("a disk has sums at once and rates from the second gather; bytes a second, ms and percent")
    func diskIO() async throws {
        var bench = try Bench("diskio")
        disk(bench, "8 0 sda 100 1 200 300 10 2 40 50 0 60 70")
        var found = try fields(await bench.gather().lines, "diskio,name=sda")
        #expect(found["iobytes"] == "122880i" && found["iocount"] == "110i" && found["merged_iocount"] == "3i")
        #expect(diskRates.isDisjoint(with: found.keys))
        disk(bench, "8 0 sda 120 1 300 340 10 2 40 50 0 1060 2070")
        found = try fields(await bench.gather(after: .seconds(4)).lines, "diskio,name=sda")
        let wanted = [
            "iops": "5", "read_iops": "5", "write_iops": "0", "bps": "12800", "read_bps": "12800", "write_bps": "0",
            "read_await": "2", "write_await": "0", "await": "2", "ioutil": "25", "avgqu_sz": "0.5",
        ]
        for (name, value) in wanted { #expect(found[name] == value, "\(name)") }
        #expect(Set(wanted.keys) == diskRates)
    }

    @Test("a disk whose counters fell, or that was away, starts anew; the others go on")
    func diskReset() async throws {
        var bench = try Bench("diskio")
        let steady = ["8 0 sda 100 0 200 0 10 0 40 0 0 60 70", "8 16 sdb 1 0 8 0 0 0 0 0 0 1 1"]
        disk(bench, steady[0], steady[1])
        _ = await bench.gather()
        disk(bench, "8 0 sda 5 0 2000 9 90 0 4000 9 0 60 70", steady[1])
        var lines = await bench.gather().lines
        #expect(diskRates.isDisjoint(with: try fields(lines, "diskio,name=sda").keys))
        #expect(try fields(lines, "diskio,name=sdb")["iops"] == "0")
        // A counter that Telegraf's own figures do not look at counts too.
        disk(bench, "8 0 sda 5 0 1000 9 90 0 4000 9 0 60 70", steady[1])
        let halfway = try fields(await bench.gather().lines, "diskio,name=sda")
        #expect(diskRates.isDisjoint(with: halfway.keys) && halfway["io_util"] == "0")
        disk(bench, steady[1])
        _ = await bench.gather()
        disk(bench, "8 0 sda 500 0 9000 9 900 0 90000 9 0 600 700", steady[1])
        lines = await bench.gather().lines
        #expect(diskRates.isDisjoint(with: try fields(lines, "diskio,name=sda").keys))
        lines = await bench.gather().lines
        #expect(diskRates.isSubset(of: try fields(lines, "diskio,name=sda").keys))
    }

    private let netRates: Set<String> = [
        "bps_recv", "bps_sent", "pps_recv", "pps_sent", "pps_err_in", "pps_err_out", "pps_drop_in", "pps_drop_out",
    ]

    private func net(_ bench: Bench, _ rows: String...) {
        bench.host.file("proc/net/dev", "head\nhead\n" + rows.map { $0 + "\n" }.joined())
    }

    @Test("an interface has bits and packets a second, percent where the speed is known, and nothing on `all`")
    func interfaces() async throws {
        var bench = try Bench("net", ["interfaces": .strings(["*"])])
        bench.host.file("sys/class/net/eth0/speed", "1000\n")
        bench.host.file("proc/net/snmp", "Tcp: A B\nTcp: 1 2\n")
        net(bench, "eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0", "tun0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0")
        let first = await bench.gather().lines
        #expect(netRates.isDisjoint(with: try fields(first, "net,interface=eth0").keys))
        net(bench, "eth0: 26000 20 3 6 0 0 0 0 12000 60 8 10 0 0 0 0", "tun0: 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0")
        let lines = await bench.gather(after: .seconds(2)).lines
        let found = try fields(lines, "net,interface=eth0")
        let wanted = [
            "bps_recv": "100000", "bps_sent": "40000", "pps_recv": "5", "pps_sent": "20", "pps_err_in": "1",
            "pps_err_out": "2.5", "pps_drop_in": "2", "pps_drop_out": "3",
        ]
        for (name, value) in wanted { #expect(found[name] == value, "\(name)") }
        #expect(Double(try #require(found["if_in_percent"])) == 0.01)
        #expect(Double(try #require(found["if_out_percent"])) == 0.004)
        let tunnel = try fields(lines, "net,interface=tun0")
        #expect(tunnel["bps_recv"] == "32" && tunnel["if_in_percent"] == nil && tunnel["if_out_percent"] == nil)
        #expect(lines.contains("net,interface=all tcp_a=1i,tcp_b=2i"))
    }

    @Test("an interface that was made anew gives no peak; one that was down has the rates of the last interval")
    func interfacesThatGo() async throws {
        var bench = try Bench("net")
        let up = InterfaceFlags(isUp: true, isLoopback: false)
        bench.host.change { $0.interfaces = ["eth0": up] }
        net(bench, "eth0: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0")
        _ = await bench.gather()
        net(bench, "eth0: 5000 5 0 0 0 0 0 0 9000 90 0 0 0 0 0 0")
        #expect(netRates.isDisjoint(with: try fields(await bench.gather().lines, "net,interface=eth0").keys))
        bench.host.change { $0.interfaces = [:] }
        net(bench, "eth0: 6000 6 0 0 0 0 0 0 9000 90 0 0 0 0 0 0")
        #expect(await bench.gather().lines.isEmpty)
        bench.host.change { $0.interfaces = ["eth0": up] }
        net(bench, "eth0: 6010 7 0 0 0 0 0 0 9000 90 0 0 0 0 0 0")
        #expect(try fields(await bench.gather().lines, "net,interface=eth0")["bps_recv"] == "8")
        net(bench)
        _ = await bench.gather()
        net(bench, "eth0: 7000 8 0 0 0 0 0 0 9000 90 0 0 0 0 0 0")
        #expect(netRates.isDisjoint(with: try fields(await bench.gather().lines, "net,interface=eth0").keys))
    }

    @Test("kernel: context switches, interrupts, forks and KiB paged a second")
    func kernel() async throws {
        var bench = try Bench("kernel")
        bench.host.file("proc/sys/kernel/random/entropy_avail", "256\n")
        bench.host.file("proc/stat", "intr 100 1 2\nctxt 1000\n")
        bench.host.file("proc/vmstat", "nr_free 1\npgpgin 100\npgpgout 200\npswpin 1\n")
        #expect(await bench.gather().lines == ["kernel context_switches=1000i,entropy_avail=256i,interrupts=100i"])
        bench.host.file("proc/stat", "intr 150 1 2\nctxt 3000\nprocesses 7\n")
        bench.host.file("proc/vmstat", "nr_free 1\npgpgin 300\npgpgout 220\npswpin 1\n")
        var found = try fields(await bench.gather().lines, "kernel")
        #expect(found["ctxs_rate"] == "200" && found["intr_rate"] == "5" && found["proc_rate"] == nil)
        #expect(found["pagein_rate"] == "20" && found["pageout_rate"] == "2")
        bench.host.file("proc/stat", "intr 160 1 2\nctxt 2000\nprocesses 9\n")
        bench.host.change { $0.files["proc/vmstat"] = nil }
        found = try fields(await bench.gather().lines, "kernel")
        #expect(found["ctxs_rate"] == nil && found["intr_rate"] == "1" && found["proc_rate"] == "0.2")
        #expect(found["pagein_rate"] == nil && found["pageout_rate"] == nil)
    }

    @Test("kernel: the old line of paging comes before its heirs, which are not read then")
    func oldPaging() async throws {
        var bench = try Bench("kernel")
        bench.host.file("proc/sys/kernel/random/entropy_avail", "256\n")
        bench.host.file("proc/stat", "page 10 20\n")
        _ = await bench.gather()
        bench.host.file("proc/stat", "page 30 20\n")
        let found = try fields(await bench.gather().lines, "kernel")
        #expect(found["pagein_rate"] == "2" && found["pageout_rate"] == "0")
        #expect(!bench.host.state.reads.contains("proc/vmstat"))
    }

    @Test("swap: bytes a second of pages of the host's size")
    func swap() async throws {
        var bench = try Bench("swap")
        bench.host.change { $0.figures = SystemFigures(uptime: 1, load: nil, swapTotal: 0, swapFree: 0) }
        bench.host.file("proc/vmstat", "pswpin 10\npswpout 20\n")
        #expect(await bench.gather().lines.last == "swap in=40960i,out=81920i")
        bench.host.file("proc/vmstat", "pswpin 20\npswpout 20\n")
        #expect(await bench.gather().lines.last == "swap in=81920i,in_bps=4096,out=81920i,out_bps=0")
    }

    @Test("memory that is free in percent, load for each CPU, and read-only mounts")
    func levels() async throws {
        var memory = try Bench("mem")
        memory.host.file("proc/meminfo", "MemTotal: 200 kB\nMemFree: 50 kB\n")
        #expect(try fields(await memory.gather().lines, "mem")["free_percent"] == "25")
        memory.host.file("proc/meminfo", "MemFree: 50 kB\n")
        #expect(try fields(await memory.gather().lines, "mem")["free_percent"] == nil)

        var system = try Bench("system", ["include": .strings(["load"])])
        system.host.file("proc/loadavg", "1.00 2.00 3.00 1/2 3\n")
        #expect(await system.gather().lines == ["system load1=1,load15=3,load5=2"])
        system.host.file("proc/cpuinfo", "processor: 0\n\nprocessor: 1\n\n")
        #expect(
            await system.gather().lines
                == ["system load1=1,load15=3,load15_pcore=1.5,load1_pcore=0.5,load5=2,load5_pcore=1"])

        var disk = try Bench("disk")
        disk.host.file(
            "proc/1/mountinfo",
            "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n2 1 8:2 / /ro ro,relatime - ext4 /dev/sda2 rw\n")
        let usage = FileSystemUsage(
            blockSize: 1, blocks: 10, freeBlocks: 5, availableBlocks: 5, inodes: 1, freeInodes: 1)
        disk.host.change { $0.usage = ["/": usage, "/ro": usage] }
        let lines = await disk.gather().lines
        #expect(try fields(lines, "disk,device=sda1,fstype=ext4,mode=rw,path=/")["read_only"] == "0i")
        #expect(try fields(lines, "disk,device=sda2,fstype=ext4,mode=ro,path=/ro")["read_only"] == "1i")
    }

    @Test("two gathers at one moment divide by nothing, and `rates = false` leaves Telegraf's fields alone")
    func edges() async throws {
        for name in ["disk", "diskio", "kernel", "mem", "net", "swap", "system"] {
            let input = try #require(InputRegistry.plugin(name))
            let extra = Set(
                input.spec.metrics.flatMap(\.fields).filter { $0.source.hasSuffix("option rates") }.map(\.name))
            #expect(!extra.isEmpty, "\(name)")
            let host = LinuxHost(environment: [:], clock: ManualClock())
            for isOn in [true, false] {
                let collector = try input.make(OptionValues(input.spec.options, set: ["rates": .bool(isOn)]), host)
                let now = Instant(nanoseconds: 1_000_000_000_000)
                var seen: Set<String> = []
                for _ in 0..<2 {
                    let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(10))
                    seen.formUnion(gather.samples.rows.flatMap { $0.schema.fields.map(\.key) })
                    for line in Bench.lines(gather.samples) {
                        #expect(!line.contains("_bps=") && !line.contains("iops=") && !line.contains("_rate="))
                    }
                }
                if !seen.isEmpty { #expect(extra.isDisjoint(with: seen) == !isOn, "\(name)") }
            }
        }
    }
}
