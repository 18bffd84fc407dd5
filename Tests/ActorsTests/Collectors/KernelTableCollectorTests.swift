import Actors
import Pipeline
import Testing

@Suite("Collectors of kernel tables")
struct KernelTableCollectorTests {
    @Test("linux_sysctl_fs: missing files are left out, bad ones are errors, the others flow")
    func sysctl() async throws {
        var bench = try Bench("linux_sysctl_fs")
        #expect(await bench.gather() == ([], []))
        bench.host.file("proc/sys/fs/file-nr", "1952\t0\t9223372036854775807\n")
        bench.host.file("proc/sys/fs/inode-state", "49692\t7\t0\t0\t0\t0\t0\n")
        bench.host.file("proc/sys/fs/aio-nr", "x\n")
        let (lines, errors) = await bench.gather()
        #expect(
            lines == [
                "linux_sysctl_fs file-max=9223372036854775807i,file-nr=1952i,inode-free-nr=7i,inode-nr=49692i,"
                    + "inode-preshrink-nr=0i"
            ])
        #expect(errors == ["sys/fs/aio-nr: is no number"])
        bench.host.deny("proc/sys/fs/aio-nr")
        #expect(await bench.gather().errors.count == 1)
    }

    @Test("interrupts: CPUs as fields, with their sum")
    func interruptFields() async throws {
        var bench = try Bench("interrupts")
        bench.host.file("proc/interrupts", "  CPU0 CPU2\n 1: 5 6 IO-APIC 1-edge a,b=c\nERR: 3\n")
        bench.host.file("proc/softirqs", "  CPU0\n NET_RX: 9\n")
        let expected = [
            "interrupts,device=1-edge\\ a\\,b\\=c,irq=1,type=IO-APIC CPU0=5i,CPU2=6i,total=11i",
            "interrupts,irq=ERR CPU0=3i,total=3i", "soft_interrupts,irq=NET_RX CPU0=9i,total=9i",
        ]
        for _ in 0..<2 { #expect(await bench.gather() == (expected, [])) }
    }

    @Test("interrupts: cpu_as_tag gives a point for each CPU; rows that come, go and move keep their tags")
    func interruptTags() async throws {
        var bench = try Bench("interrupts", ["cpu_as_tag": .bool(true)])
        bench.host.file("proc/softirqs", "CPU0\n")
        bench.host.file("proc/interrupts", "CPU0 CPU1\n1: 5 6 a b\nERR: 3\n")
        let first = await bench.gather()
        #expect(
            first.lines == [
                "interrupts,cpu=cpu0,device=b,irq=1,type=a count=5i",
                "interrupts,cpu=cpu1,device=b,irq=1,type=a count=6i", "interrupts,cpu=cpu0,irq=ERR count=3i",
            ])
        bench.host.file("proc/interrupts", "CPU0 CPU1\n0: 1 1 new x\n1: 5 6 a b\nERR: 3\n")
        #expect(Array(await bench.gather().lines.dropFirst(2)) == first.lines)
        bench.host.file("proc/interrupts", "CPU0 CPU3\n1: 5 6 a b\n")
        #expect(await bench.gather().lines.last == "interrupts,cpu=cpu3,device=b,irq=1,type=a count=6i")
    }

    @Test("interrupts: one file that is missing or odd leaves the other; counts that overflow stay at the end")
    func interruptErrors() async throws {
        var bench = try Bench("interrupts")
        bench.host.file("proc/softirqs", "CPU0 CPU1\nHI: 9223372036854775807 1\n")
        let (lines, errors) = await bench.gather()
        #expect(lines == ["soft_interrupts,irq=HI CPU0=9223372036854775807i,CPU1=1i,total=9223372036854775807i"])
        #expect(errors.count == 1)
        bench.host.file("proc/interrupts", "\u{0}\u{1}")
        #expect(await bench.gather().errors.count == 1)
    }

    @Test("conntrack: nf_ files are renamed, as floats; all sums the CPUs")
    func conntrack() async throws {
        var bench = try Bench("conntrack")
        bench.host.file("proc/sys/net/netfilter/nf_conntrack_count", "464\n")
        bench.host.file("proc/sys/net/netfilter/nf_conntrack_max", "262144\n")
        bench.host.file(
            "proc/net/stat/nf_conntrack",
            "entries x\n1 2 3 4 5 6 7 8 9 a b c d e f 10 11\n1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1\n")
        let (lines, errors) = await bench.gather()
        #expect(errors.isEmpty)
        #expect(lines.count == 4)
        #expect(lines[0] == "conntrack ip_conntrack_count=464,ip_conntrack_max=262144")
        #expect(lines[1].hasPrefix("conntrack,cpu=all ") && lines[1].contains("entries=2i"))
        #expect(lines[1].contains("search_restart=18i") && lines[1].contains("insert_failed=10i"))
        #expect(lines[2].hasPrefix("conntrack,cpu=cpu0 ") && lines[3].hasPrefix("conntrack,cpu=cpu1 "))
    }

    @Test("conntrack: without files there are errors that say so, and paths outside of /proc are taken as they are")
    func conntrackMissing() async throws {
        var bench = try Bench("conntrack", ["collect": .strings(["all"])])
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.count == 2)
        var odd = try Bench(
            "conntrack",
            ["collect": .strings([]), "dirs": .strings(["/x"]), "files": .strings(["none", "a_b", "c_d"])])
        odd.host.file("absolute//x/a_b", "1.5")
        odd.host.file("absolute//x/c_d", "?")
        let result = await odd.gather()
        #expect(result.lines == ["conntrack ip_b=1.5"])
        #expect(result.errors == ["/x/c_d: is no number"])
    }

    @Test("pressure has the shape that kernel gives with psi; a kernel without it is refused at the start")
    func pressure() async throws {
        #expect(throws: CollectorError.self) { try Bench("pressure") }
        let host = MemoryHost()
        let line = "avg10=1.00 avg60=2.00 avg300=3.00 total=4\n"
        host.file("proc/pressure/cpu", "some \(line)full \(line)")
        host.file("proc/pressure/io", "some \(line)full \(line)")
        host.file("proc/pressure/memory", "some avg10=x\n")
        var bench = try Bench("pressure", host: host)
        let (lines, errors) = await bench.gather()
        #expect(
            lines == [
                "pressure,resource=cpu,type=some total=4i", "pressure,resource=cpu,type=some avg10=1,avg300=3,avg60=2",
                "pressure,resource=io,type=some total=4i", "pressure,resource=io,type=some avg10=1,avg300=3,avg60=2",
                "pressure,resource=io,type=full total=4i", "pressure,resource=io,type=full avg10=1,avg300=3,avg60=2",
            ])
        #expect(errors.count == 1)
    }

    /// Two chips, one without a name, one with labels that nobody would choose.
    private func sensors() -> MemoryHost {
        let host = MemoryHost()
        host.file("sys/class/hwmon/hwmon0/name", "coretemp\n")
        host.file("sys/class/hwmon/hwmon0/temp1_input", "45000\n")
        host.file("sys/class/hwmon/hwmon0/temp1_label", "Package id 0\n")
        host.file("sys/class/hwmon/hwmon0/temp1_crit", "100000\n")
        host.file("sys/class/hwmon/hwmon0/temp2_input", "-1500\n")
        host.change { $0.files["sys/class/hwmon/hwmon0/temp2_label"] = Array("A,\"=".utf8) + [0xFF, 0x0A, 0x0A, 0x42] }
        host.file("sys/class/hwmon/hwmon1/temp1_input", "30500\n")
        host.change { $0.links["sys/class/hwmon/hwmon1/device"] = "../../../nvme0" }
        host.file("sys/class/thermal/thermal_zone0/type", "acpitz\n")
        host.file("sys/class/thermal/thermal_zone0/temp", "27800\n")
        return host
    }

    @Test("temp: a point a sensor, labels in small letters, whatever they hold")
    func temperatures() async throws {
        var bench = try Bench("temp", host: sensors())
        let expected = [
            "temp,sensor=coretemp_package_id_0 temp=45", "temp,sensor=coretemp_a\\,\"\\=\u{FFFD}\\n\\nb temp=-1.5",
            "temp,sensor=nvme0 temp=30.5",
        ]
        for _ in 0..<2 { #expect(await bench.gather() == (expected, [])) }
        bench.host.deny("sys/class/hwmon/hwmon0/temp1_input")
        bench.host.file("sys/class/hwmon/hwmon0/temp2_input", "x")
        #expect(await bench.gather() == ([expected[2]], []))
    }

    @Test("temp: format v1 has the limits too, but not those of a sensor that does not answer")
    func limits() async throws {
        var bench = try Bench(
            "temp", ["metric_format": .string("v1"), "add_device_tag": .bool(true)], host: sensors())
        bench.host.file("sys/class/hwmon/hwmon0/temp2_label", "b")
        #expect(
            await bench.gather().lines == [
                "temp,sensor=coretemp_packageid0_input temp=45", "temp,sensor=coretemp_packageid0_crit temp=100",
                "temp,sensor=coretemp_b_input temp=-1.5", "temp,device=nvme0,sensor=nvme0_input temp=30.5",
            ])
        bench.host.deny("sys/class/hwmon/hwmon0/temp1_input")
        #expect(await bench.gather().lines.count == 2)
    }

    @Test("temp: zones stand in for sensors, or beside them when asked; chips that come and go are seen at once")
    func zones() async throws {
        let host = sensors()
        var both = try Bench("temp", ["always_gather_zones": .bool(true)], host: host)
        #expect(await both.gather().lines.last == "temp,sensor=acpitz temp=27.8")
        host.change { world in world.files = world.files.filter { !$0.key.hasPrefix("sys/class/hwmon") } }
        var bench = try Bench("temp", host: host)
        #expect(await bench.gather().lines == ["temp,sensor=acpitz temp=27.8"])
        host.file("sys/class/hwmon/hwmon7/device/temp1_input", "1000")
        host.file("sys/class/hwmon/hwmon7/device/name", "old")
        #expect(await bench.gather().lines == ["temp,sensor=old temp=1"])
    }
}
