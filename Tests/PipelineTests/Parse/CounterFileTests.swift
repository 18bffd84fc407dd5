import Pipeline
import Testing

@Suite("Files of counters")
struct CounterFileTests {
    private func fields(_ names: [String], _ values: [Int64]) -> [String] {
        zip(names, values).map { "\($0)=\($1)" }
    }

    @Test("vmstat: every name with its value; names are kept while they stay the same")
    func vmstat() throws {
        var vmstat = ProcVmstat()
        try vmstat.update(Array("nr_free_pages 5\npgfault 18446744\nworse -3".utf8))
        #expect(fields(vmstat.names, vmstat.values) == ["nr_free_pages=5", "pgfault=18446744", "worse=-3"])
        let generation = vmstat.generation
        try vmstat.update(Array("nr_free_pages 6\npgfault 7\nworse 8\n".utf8))
        #expect(vmstat.generation == generation)
        #expect(vmstat.values == [6, 7, 8])
    }

    @Test(
        "vmstat: names that come, go, change or swap places are followed",
        arguments: [
            "a 1\nb 2\nc 3\n", "a 1\nc 3\n", "a 1\nb 2\n", "b 2\n", "", "a 1\nb 2\nc 3\nd 4\n", "c 1\nb 2\na 3\n",
            "a 1\nbb 2\nc 3\n", "ab 1\nc 3\n",
        ])
    func vmstatNames(_ text: String) throws {
        var vmstat = ProcVmstat()
        try vmstat.update(Array("a 1\nb 2\nc 3\n".utf8))
        let before = vmstat.generation
        try vmstat.update(Array(text.utf8))
        let wanted = text.split(separator: "\n").map { String($0).replacing(" ", with: "=") }
        #expect(fields(vmstat.names, vmstat.values) == wanted)
        #expect((vmstat.generation == before) == (text == "a 1\nb 2\nc 3\n"))
    }

    @Test("vmstat: one bad value fails the file, and the next reading is whole again")
    func vmstatErrors() throws {
        var vmstat = ProcVmstat()
        try vmstat.update(Array("a 1\nb 2\n".utf8))
        for text in ["a 1\nx 2\nb x\n", "a 1\nb", "a 9223372036854775808\n", "a 1.5\n"] {
            #expect(throws: ParseError.self) { try vmstat.update(Array(text.utf8)) }
        }
        try vmstat.update(Array("a 1\nb 2\n".utf8))
        #expect(fields(vmstat.names, vmstat.values) == ["a=1", "b=2"])
    }

    @Test("vmstat: swapped pages read 0 when they are missing or no number")
    func swapPages() {
        #expect(ProcVmstat.swapPages(Array("pgpgin 1\npswpin 7\npswpout 830\n".utf8)) == (7, 830))
        #expect(ProcVmstat.swapPages(Array("pswpinx 3\npswpout x\n".utf8)) == (0, 0))
    }

    @Test("vmstat: what was paged is there with both numbers or not at all, wherever the file ends")
    func pagedKibibytes() throws {
        let text = Array("nr_x 1\npgpgin 17\npgpgout 830\npswpin 7\n".utf8)
        #expect(try #require(ProcVmstat.pagedKibibytes(text)) == (17, 830))
        for odd in ["pgpgin 1\n", "pgpgout 2\n", "pgpgin x\npgpgout 2\n", "pgpgin 1\npgpgout\n", "pgpg 1\n"] {
            #expect(ProcVmstat.pagedKibibytes(Array(odd.utf8)) == nil, "\(odd)")
        }
        for end in text.indices {
            guard let paged = ProcVmstat.pagedKibibytes(Array(text[..<end])) else { continue }
            #expect(paged.in == 17 && [8, 83, 830].contains(paged.out))
        }
    }

    @Test("netstat and snmp: prefix and column make the name; odd values are left out, short lines end early")
    func pairs() {
        var counters = ProcNetCounters()
        let text = "TcpExt: A B C D\nTcpExt: 1 0 x 99999999999999999999\n\n\nIp E F G\nIp -5 6\nlast: X\n"
        counters.updatePairs(Array(text.utf8), keepsZeros: true)
        #expect(fields(counters.names, counters.values) == ["TcpExtA=1", "TcpExtB=0", "IpE=-5", "IpF=6"])
        counters.updatePairs(Array(text.utf8), keepsZeros: false)
        #expect(counters.names == ["TcpExtA", "IpE", "IpF"])
        let generation = counters.generation
        counters.updatePairs(Array(text.replacing("1", with: "2").utf8), keepsZeros: false)
        #expect(counters.generation == generation)
        #expect(counters.values == [2, -5, 6])
    }

    @Test("snmp6: names and values in turn")
    func list() {
        var counters = ProcNetCounters()
        counters.updateList(Array("Ip6InReceives\t\t 11707\nIp6X 0\nIp6Y z\nIp6Z".utf8), keepsZeros: false)
        #expect(fields(counters.names, counters.values) == ["Ip6InReceives=11707"])
    }

    @Test("stat: keywords stand at the begin of a line, and only there")
    func statCounters() throws {
        let text = "cpu 1 2\nintr 5 6 7\nctxt 8\nbtime 9\nprocesses 10\nprocs_running 1\nsoftirq 1 btime 3\npage 1 2\n"
        let counters = try ProcStatCounters.parse(Array(text.utf8))
        #expect(counters.interrupts == 5 && counters.contextSwitches == 8 && counters.bootTime == 9)
        #expect(counters.processesForked == 10 && counters.pagesIn == 1 && counters.pagesOut == 2)
        #expect(try ProcStatCounters.parse(Array("cpu 1\n".utf8)) == ProcStatCounters())
        for bad in ["btime\n", "ctxt x\n", "page 1\n", "intr 9223372036854775808\n"] {
            #expect(throws: ParseError.self) { try ProcStatCounters.parse(Array(bad.utf8)) }
        }
    }

    @Test("pressure: both lines, others passed, half a line is an error")
    func pressure() throws {
        let some = "some avg10=10.00 avg60=0.05 avg300=0.00 total=114514\n"
        let parsed = try ProcPressure.parse(Array((some + "new avg10=1\n").utf8), resource: "cpu")
        #expect(parsed.some?.avg60 == 0.05 && parsed.some?.total == 114_514 && parsed.full == nil)
        #expect(throws: ParseError.self) {
            try ProcPressure.parse(Array("full avg10=1 avg60=2 avg300=3\n".utf8), resource: "io")
        }
    }

    @Test("PID/stat: the last bracket ends the name, whatever it holds")
    func pidStat() throws {
        let tail = " 2 0 0 0 -1 69238848 0 0 0 0 0 0 0 0 20 0 7 0 20"
        #expect(try ProcPidStat.parse(Array(("88 (a) R (b\n)) D" + tail).utf8))?.state == UInt8(ascii: "D"))
        #expect(try ProcPidStat.parse(Array(("88 (x) S" + tail).utf8))?.threads == 7)
        #expect(try ProcPidStat.parse(Array("88 (x) S 1 2 3".utf8))?.threads == 0)
        #expect(try ProcPidStat.parse([]) == nil)
        #expect(throws: ParseError.self) { try ProcPidStat.parse(Array("88 (x) S 1".utf8)) }
    }

    @Test("every file cut at every byte gives values or an error, never a trap")
    func cuts() {
        let texts = [
            "intr 5 6 7\nctxt 8\nbtime 9\nprocesses 10\npage 1 2\n",
            "some avg10=10.00 avg60=0.05 avg300=0.00 total=114514\nfull avg10=1.00 avg60=6.00 avg300=3.00 total=1\n",
            "TcpExt: A B\nTcpExt: 1 0\nIp6InReceives 1\n", "88 (x y) S 2 0 0 0 -1 69238848 0 0 0 0 0 0 0 0 20 0 7 0\n",
            "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 12\n", "E:ID_SERIAL=a=b\nS:disk/by-id/x\nDEVNAME=sda\n",
        ]
        for text in texts.map({ Array($0.utf8) }) {
            for end in 0...text.count {
                let bytes = Array(text[..<end])
                _ = try? ProcStatCounters.parse(bytes)
                _ = try? ProcPressure.parse(bytes, resource: "cpu")
                var counters = ProcNetCounters()
                counters.updatePairs(bytes, keepsZeros: true)
                counters.updateList(bytes, keepsZeros: false)
                var vmstat = ProcVmstat()
                try? vmstat.update(bytes)
                _ = try? ProcPidStat.parse(bytes)
                _ = try? ProcDiskstats.parse(bytes)
                var properties = DeviceProperties()
                properties.add(udev: bytes)
                properties.add(uevent: bytes)
            }
        }
    }
}
