import Pipeline
import Testing

@Suite("/proc parsers")
struct ProcParserTests {
    @Test("stat: the total is the first line, CPUs end at the first other line")
    func statTotalAndCPUs() {
        let stat = ProcStat.parse(KernelSamples.bytes(KernelSamples.stat))
        #expect(stat.total?.name == "cpu-total")
        #expect(stat.total?.guestNice == 20)
        #expect(stat.total?.total == 1_228_971.0)
        #expect(stat.cpus.map(\.name) == ["cpu0", "cpu1"])
        #expect(stat.cpus[1].steal == 4)
        #expect(ProcStat.parse(KernelSamples.bytes(KernelSamples.stat), eachCPU: false).cpus.isEmpty)
        #expect(ProcStat.cpuCount(KernelSamples.bytes(KernelSamples.stat)) == 3)
    }

    @Test("stat: seven values are enough, six are not, a word among them is none")
    func statShortLines() {
        let stat = ProcStat.parse(
            Array("cpu 1 2 3 4 5 6 7\ncpu0 1 2 3 4 5 6\ncpu1 1 2 x 4 5 6 7\ncpu2 1 2 3 4 5 6 7 8".utf8))
        #expect(stat.total?.steal == 0)
        #expect(stat.cpus.map(\.name) == ["cpu2"])
        #expect(stat.cpus.first?.steal == 8)
    }

    @Test("meminfo: sizes in bytes, counts as they are, missing names read 0")
    func meminfoValues() throws {
        let memory = try ProcMeminfo.parse(KernelSamples.bytes(KernelSamples.meminfo))
        #expect(memory.bytes(.memTotal) == 16_200_000 * 1024)
        #expect(memory.count(.hugePagesTotal) == 4)
        #expect(memory.bytes(.hugepagesize) == 2048 * 1024)
        #expect(memory.bytes(.percpu) == 0)
        #expect(memory.has(.memAvailable) && !memory.has(.percpu))
    }

    @Test(
        "meminfo: a listed name without a number fails, another does not",
        arguments: [
            ("MemFree: x kB\n", false), ("MemFree:\n", false), ("MemFree: -1 kB\n", false), ("MemFree: 1 MB\n", false),
            ("MemFree: 99999999999999999999 kB\n", false), ("Unknown: x kB\n", true), ("MemFree: 1: 2 kB\n", true),
            ("MemFree\n", true), ("MemFree: 7\n", true), ("", true),
        ])
    func meminfoErrors(_ text: String, _ isGood: Bool) {
        let memory = try? ProcMeminfo.parse(Array(text.utf8))
        #expect((memory != nil) == isGood)
    }

    @Test("meminfo: the estimate for old kernels follows the kernel's formula")
    func meminfoEstimate() throws {
        let memory = try ProcMeminfo.parse(KernelSamples.bytes(KernelSamples.meminfo))
        let low: UInt64 = 300 * 4096
        let expected = (1_800_000 + 3_400_000 + 4_300_000 + 1_800_000) * 1024 - 3 * low
        #expect(memory.estimatedAvailable(lowWatermarkPages: 300, pageSize: 4096) == expected)
        #expect(memory.estimatedAvailable(lowWatermarkPages: nil, pageSize: 4096) == 13_600_000 * 1024)
        #expect(memory.estimatedAvailable(lowWatermarkPages: .max, pageSize: 4096) == 0)
    }

    @Test("zoneinfo: low marks are added, one that is no number counts nothing")
    func zoneinfoSum() {
        #expect(ProcZoneinfo.lowWatermarkPages(KernelSamples.bytes(KernelSamples.zoneinfo)) == 300)
    }

    @Test("net/dev: the last colon separates, a number may stick to it, short lines are passed")
    func netDevRows() throws {
        let bytes = KernelSamples.bytes(KernelSamples.netDev)
        let rows = try ProcNetDev.parse(bytes)
        #expect(rows.map { String(decoding: bytes[$0.name], as: UTF8.self) } == ["lo", "eth0", "veth:1"])
        #expect(rows[1].bytesReceived == 8_734_422)
        #expect(rows[1].dropsOut == 1)
        #expect(rows[2].packetsSent == 1)
    }

    @Test("net/dev: a word in place of a counter fails the file, one in an unused column does not")
    func netDevErrors() {
        let header = "a\nb\n"
        #expect(throws: ParseError.self) {
            try ProcNetDev.parse(Array((header + "e: 1 x 3 4 5 6 7 8 9 10 11 12 13\n").utf8))
        }
        #expect(throws: Never.self) {
            try ProcNetDev.parse(Array((header + "e: 1 2 3 4 5 x 7 8 9 10 11 12 13\n").utf8))
        }
        #expect(throws: ParseError.self) { try ProcNetDev.parse([]) }
    }

    @Test("net/snmp: names are lower-cased and only read anew when they change")
    func snmpNames() throws {
        var snmp = ProcNetSnmp()
        var changes = [try snmp.update(KernelSamples.bytes(KernelSamples.snmp))]
        #expect(snmp.names == ["ip_forwarding", "ip_defaultttl", "icmpmsg_intype3", "tcp_rtoalgorithm", "tcp_maxconn"])
        #expect(snmp.values == [2, 64, 11005, 1, -1])
        changes.append(try snmp.update(KernelSamples.bytes(KernelSamples.snmp)))
        changes.append(try snmp.update(Array("Tcp: MaxConn\nTcp: 5\n".utf8)))
        #expect(snmp.names == ["tcp_maxconn"])
        #expect(snmp.values == [5])
        changes.append(try snmp.update(Array("Tcp: MaxConn\nTcp: 5\nUdp: A\nUdp: 1\n".utf8)))
        #expect(snmp.names == ["tcp_maxconn", "udp_a"])
        changes.append(try snmp.update(Array("Tcp: MaxConn\nTcp: 5\n".utf8)))
        #expect(snmp.names == ["tcp_maxconn"])
        #expect(changes == [true, false, true, true, true])
    }

    @Test(
        "net/snmp: odd files are refused",
        arguments: [
            "Tcp MaxConn\n", "Tcp: A B\nTcp: 1\n", "Tcp: A\nTcp: x\n", "Tcp: A\n", "Tcp: A\nTc",
        ])
    func snmpErrors(_ text: String) {
        var snmp = ProcNetSnmp()
        #expect(throws: ParseError.self) { _ = try snmp.update(Array(text.utf8)) }
    }

    @Test("loadavg: three numbers or an error")
    func loadavg() throws {
        let load = try ProcLoadavg.parse(Array("3.72 2.40 2.10 5/812 12345\n".utf8))
        #expect(load == ProcLoadavg(load1: 3.72, load5: 2.4, load15: 2.1))
        #expect(throws: ParseError.self) { try ProcLoadavg.parse(Array("3.72 2.40".utf8)) }
        #expect(throws: ParseError.self) { try ProcLoadavg.parse(Array("a b c".utf8)) }
    }

    @Test("cpuinfo: processors, their places, and the cores of all sockets")
    func cpuinfo() {
        let info = ProcCPUInfo.parse(KernelSamples.bytes(KernelSamples.cpuinfo))
        #expect(info.processors.map(\.number) == [0, 1])
        #expect(info.processors[1].coreID == "3")
        #expect(info.processors[1].physicalID == "1")
        #expect(info.coreCount == 6)
    }
}

@Suite("Other files")
struct OtherParserTests {
    @Test("utmp: user processes are counted, names once, a partial record not")
    func utmp() {
        func record(_ type: UInt8, _ name: String) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: Utmp.recordBytes)
            bytes[0] = type
            bytes.replaceSubrange(44..<(44 + name.utf8.count), with: Array(name.utf8))
            return bytes
        }
        let file =
            record(7, "ann") + record(7, "bob") + record(7, "ann") + record(2, "reboot") + record(7, "x").prefix(383)
        #expect(Utmp.users(file).sessions == 3)
        #expect(Utmp.users(file).distinct == 2)
        #expect(Utmp.users(record(7, String(repeating: "n", count: 32))).distinct == 1)
        #expect(Utmp.users([]).sessions == 0)
    }

    @Test("os-release: quotes are removed and the family is known")
    func osRelease() {
        let release = OSRelease.parse(KernelSamples.bytes(KernelSamples.osRelease))
        #expect(release.platform == "debian")
        #expect(release.version == "12")
        #expect(release.family == "debian")
        #expect(OSRelease.parse(Array("ID='rocky'\n".utf8)).family == "rhel")
        #expect(OSRelease.parse(Array("ID=strange\nVERSION_ID=\"\n".utf8)).family.isEmpty)
    }

    @Test("udev: the label is the whole rest of the line")
    func udevLabel() {
        #expect(UdevRecord.label(KernelSamples.bytes(KernelSamples.udev)) == "root=1")
        #expect(UdevRecord.label(Array("E:ID_SERIAL=1\n".utf8)) == nil)
    }

    @Test("chassis codes have names, other texts are unknown")
    func chassis() {
        #expect(ChassisType.name("3") == "Desktop")
        #expect(ChassisType.name("36") == "Stick PC")
        for text in ["0", "37", "-1", "", "x"] { #expect(ChassisType.name(text) == "unknown") }
    }

    @Test(
        "uptime as people read it",
        arguments: [
            (0, " 0:00"), (59, " 0:00"), (43_500, "12:05"), (86_400, "1 day,  0:00"), (1_249_632, "14 days, 11:07"),
            (UInt64.max, "213503982334601 days,  7:00"),
        ] as [(UInt64, String)])
    func uptime(_ seconds: UInt64, _ text: String) {
        #expect(Uptime.format(seconds) == text)
    }
}

@Suite("Damaged files")
struct DamagedFileTests {
    @Test("no parser traps on a file that ends at any byte")
    func truncatedFiles() {
        let samples = [
            KernelSamples.stat, KernelSamples.meminfo, KernelSamples.mountinfo, KernelSamples.netDev,
            KernelSamples.snmp,
            KernelSamples.cpuinfo, KernelSamples.osRelease, KernelSamples.zoneinfo, KernelSamples.udev,
            "/dev/vda1 / ext4 rw 0 0\n", "3.72 2.40 2.10 5/812 12345\n",
        ]
        for sample in samples {
            let bytes = KernelSamples.bytes(sample)
            for length in 0...bytes.count { parseAll(Array(bytes.prefix(length))) }
        }
    }

    @Test("no parser traps on a file with any byte replaced")
    func mutatedFiles() {
        let samples = [
            KernelSamples.stat, KernelSamples.meminfo, KernelSamples.mountinfo, KernelSamples.netDev,
            KernelSamples.snmp,
        ]
        for sample in samples {
            let bytes = KernelSamples.bytes(sample)
            for index in bytes.indices {
                for byte in [
                    UInt8(0), 0xFF, UInt8(ascii: "\n"), UInt8(ascii: " "), UInt8(ascii: "9"), UInt8(ascii: ":"),
                ] {
                    var damaged = bytes
                    damaged[index] = byte
                    parseAll(damaged)
                }
            }
        }
    }

    private func parseAll(_ bytes: [UInt8]) {
        _ = ProcStat.parse(bytes)
        _ = ProcStat.cpuCount(bytes)
        _ = try? ProcMeminfo.parse(bytes).estimatedAvailable(lowWatermarkPages: 1, pageSize: 4096)
        _ = ProcZoneinfo.lowWatermarkPages(bytes)
        _ = try? MountInfo.parse(bytes)
        _ = try? ProcMounts.parse(bytes)
        _ = try? ProcNetDev.parse(bytes)
        var snmp = ProcNetSnmp()
        _ = try? snmp.update(KernelSamples.bytes(KernelSamples.snmp))
        _ = try? snmp.update(bytes)
        if (try? snmp.update(bytes)) != nil, snmp.names.count != snmp.values.count {
            Issue.record("names and values differ in number")
        }
        _ = try? ProcLoadavg.parse(bytes)
        _ = ProcCPUInfo.parse(bytes)
        _ = Utmp.users(bytes)
        _ = OSRelease.parse(bytes)
        _ = UdevRecord.label(bytes)
    }
}
