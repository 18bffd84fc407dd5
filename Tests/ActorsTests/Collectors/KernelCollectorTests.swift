import Actors
import Pipeline
import Testing

@Suite("KernelCollector")
struct KernelCollectorTests {
    private let plain: [String: OptionValue] = ["rates": .bool(false)]

    @Test("a point has the keywords that are there, and follows when they change")
    func keywords() async throws {
        var bench = try Bench("kernel", plain)
        bench.host.file("proc/stat", "ctxt 1\nbtime 2\n")
        bench.host.file("proc/sys/kernel/random/entropy_avail", "1024\n")
        #expect(await bench.gather().lines == ["kernel boot_time=2i,context_switches=1i,entropy_avail=1024i"])
        bench.host.file("proc/stat", "ctxt 3\nbtime 2\nprocesses 4\n")
        let lines = await bench.gather().lines
        #expect(lines == ["kernel boot_time=2i,context_switches=3i,entropy_avail=1024i,processes_forked=4i"])
    }

    @Test("without the entropy file there is one error and no point")
    func noEntropy() async throws {
        var bench = try Bench("kernel", plain)
        bench.host.file("proc/stat", "ctxt 1\n")
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.count == 1)
    }

    @Test("settled entropy is read once a minute, on kernels where it settles, else each time")
    func settledEntropy() async throws {
        let entropy = "proc/sys/kernel/random/entropy_avail"
        for (value, reads) in [("256", 2), ("255", 8)] {
            var bench = try Bench("kernel", plain)
            bench.host.file("proc/stat", "ctxt 1\n")
            bench.host.file(entropy, value)
            for _ in 0..<8 {
                #expect(await bench.gather().lines == ["kernel context_switches=1i,entropy_avail=\(value)i"])
            }
            #expect(bench.host.state.reads.count { $0 == entropy } == reads)
        }
    }

    @Test("ksm must exist at the start, and each of its files later; general_profit need not")
    func ksm() async throws {
        #expect(throws: CollectorError.self) { try Bench("kernel", ["collect": .strings(["ksm"])]) }
        let host = MemoryHost()
        let names = [
            "full_scans", "max_page_sharing", "merge_across_nodes", "pages_shared", "pages_sharing", "pages_to_scan",
            "pages_unshared", "pages_volatile", "run", "sleep_millisecs", "stable_node_chains",
            "stable_node_chains_prune_millisecs", "stable_node_dups", "use_zero_pages",
        ]
        for name in names { host.file("sys/kernel/mm/ksm/\(name)", "3\n") }
        host.file("proc/stat", "ctxt 1\n")
        host.file("proc/sys/kernel/random/entropy_avail", "1\n")
        var bench = try Bench("kernel", ["collect": .strings(["ksm", "other"])], host: host)
        #expect(await bench.gather().lines[0].contains("ksm_run=3i"))
        host.file("sys/kernel/mm/ksm/general_profit", "-9\n")
        #expect(await bench.gather().lines[0].contains("ksm_general_profit=-9i"))
        host.file("sys/kernel/mm/ksm/run", "x")
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.count == 1)
    }

    @Test("a resource without pressure file is one error; the others and the kernel point flow")
    func pressure() async throws {
        var bench = try Bench("kernel", ["collect": .strings(["psi"])])
        bench.host.file("proc/stat", "ctxt 1\n")
        bench.host.file("proc/sys/kernel/random/entropy_avail", "1\n")
        let line = "avg10=1.00 avg60=2.00 avg300=3.00 total=4\n"
        bench.host.file("proc/pressure/cpu", "some \(line)full \(line)")
        bench.host.file("proc/pressure/io", "some \(line)full \(line)")
        let (lines, errors) = await bench.gather()
        #expect(lines.count == 7 && errors.count == 1)
        #expect(!lines.contains { $0.contains("resource=cpu,type=full") })
    }
}
