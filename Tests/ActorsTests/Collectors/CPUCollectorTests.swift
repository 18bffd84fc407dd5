import Actors
import Pipeline
import Testing

@Suite("CPUCollector")
struct CPUCollectorTests {
    @Test("usage needs two gathers, guest time is not counted twice")
    func usageFromTwoGathers() async throws {
        var bench = try Bench("cpu", ["percpu": .bool(false), "report_active": .bool(true)])
        bench.host.file("proc/stat", "cpu 0 0 0 0 0 0 0 0 0 0\n")
        #expect(await bench.gather().lines.isEmpty)
        bench.host.file("proc/stat", "cpu 50 10 5 30 2 1 1 1 20 4\n")
        #expect(
            await bench.gather().lines == [
                "cpu,cpu=cpu-total usage_active=70,usage_guest=20,usage_guest_nice=4,usage_idle=30,usage_iowait=2,"
                    + "usage_irq=1,usage_nice=6,usage_softirq=1,usage_steal=1,usage_system=5,usage_user=30"
            ])
    }

    @Test("one falling CPU is one error and hides nobody else")
    func fallingCPU() async throws {
        var bench = try Bench("cpu", ["totalcpu": .bool(false)])
        bench.host.file("proc/stat", "cpu 0 0 0 0 0 0 0\ncpu0 9 0 0 9 0 0 0\ncpu1 0 0 0 0 0 0 0\n")
        _ = await bench.gather()
        bench.host.file("proc/stat", "cpu 0 0 0 0 0 0 0\ncpu0 1 0 0 1 0 0 0\ncpu1 1 0 0 1 0 0 0\n")
        let (lines, errors) = await bench.gather()
        #expect(lines.map { $0.prefix(12) } == ["cpu,cpu=cpu1"])
        #expect(errors.count == 1)
        bench.host.file("proc/stat", "cpu 0 0 0 0 0 0 0\ncpu0 2 0 0 2 0 0 0\ncpu1 1 0 0 1 0 0 0\n")
        let next = await bench.gather()
        #expect(next.lines.map { $0.prefix(12) } == ["cpu,cpu=cpu0"])
        #expect(next.errors.isEmpty)
    }

    @Test("a CPU that comes or goes disturbs no other")
    func hotplug() async throws {
        var bench = try Bench("cpu", ["totalcpu": .bool(false)])
        bench.host.file("proc/stat", "cpu 0\ncpu0 0 0 0 0 0 0 0\ncpu2 0 0 0 0 0 0 0\n")
        _ = await bench.gather()
        bench.host.file("proc/stat", "cpu 0\ncpu1 1 0 0 0 0 0 0\ncpu2 1 0 0 0 0 0 0\n")
        #expect(await bench.gather().lines.map { $0.prefix(12) } == ["cpu,cpu=cpu2"])
    }

    @Test("an unreadable file is neither point nor error, and forgets the counters")
    func unreadableFile() async throws {
        var bench = try Bench("cpu")
        bench.host.file("proc/stat", "cpu 1 0 0 1 0 0 0\n")
        _ = await bench.gather()
        bench.host.change { $0.files = [:] }
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.isEmpty)
        bench.host.file("proc/stat", "cpu 5 0 0 5 0 0 0\n")
        #expect(await bench.gather().lines.isEmpty)
    }

    @Test("core tags come from cpuinfo, then from sysfs, and not for the total")
    func coreTags() async throws {
        var bench = try Bench("cpu", ["core_tags": .bool(true), "collect_cpu_time": .bool(true)])
        bench.host.file("proc/stat", "cpu 1 0 0 1 0 0 0\ncpu0 1 0 0 1 0 0 0\ncpu1 1 0 0 1 0 0 0\n")
        bench.host.file("proc/cpuinfo", "processor: 0\nphysical id: 1\ncore id: 4\n\nprocessor: 1\n\n")
        bench.host.file("sys/devices/system/cpu/cpu1/topology/core_id", "5\n")
        #expect(
            await bench.gather().lines.map { $0.prefix { $0 != " " } } == [
                "cpu,core_id=4,cpu=cpu0,physical_id=1", "cpu,core_id=5,cpu=cpu1", "cpu,cpu=cpu-total",
            ])
    }
}
