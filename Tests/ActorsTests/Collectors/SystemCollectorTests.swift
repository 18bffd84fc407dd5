import Actors
import Pipeline
import Testing

@Suite("SystemCollector")
struct SystemCollectorTests {
    private func bench(_ include: [String]) throws -> Bench {
        let bench = try Bench("system", ["include": .strings(include), "rates": .bool(false)])
        bench.host.file("proc/loadavg", "1.00 2.00 3.00 1/2 3\n")
        bench.host.file("proc/cpuinfo", "processor: 0\nphysical id: 0\ncpu cores: 1\n\nprocessor: 1\n\n")
        bench.host.change { $0.figures = SystemFigures(uptime: 86_400, load: nil, swapTotal: 0, swapFree: 0) }
        return bench
    }

    @Test("legacy is three points")
    func legacy() async throws {
        var bench = try bench(["legacy"])
        #expect(
            await bench.gather().lines == [
                "system load1=1,load15=3,load5=2,n_cpus=2i,n_physical_cpus=1i", "system uptime=86400i",
                "system uptime_format=\"1 day,  0:00\"",
            ])
    }

    @Test("users appear when there is a utmp")
    func users() async throws {
        var bench = try bench(["users"])
        #expect(await bench.gather().lines.isEmpty)
        bench.host.change { $0.files["var/run/utmp"] = [] }
        bench.host.change { $0.files["variable/run/utmp"] = [] }
        #expect(await bench.gather().lines == ["system n_unique_users=0i,n_users=0i"])
    }

    @Test("the other groups share one point")
    func groups() async throws {
        var bench = try bench(["load", "cpus", "uptime", "os"])
        bench.host.file("etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n")
        #expect(
            await bench.gather().lines == [
                "system arch=\"x86_64\",kernel_version=\"6.1.0\",load1=1,load15=3,load5=2,n_cpus=2i,n_physical_cpus=1i,"
                    + "os=\"linux\",platform=\"debian\",platform_family=\"debian\",platform_version=\"12\","
                    + "uptime=86400i"
            ])
    }

    @Test("without loadavg the kernel's own figures serve, without both the rest of legacy is lost")
    func loadFallback() async throws {
        var bench = try bench(["legacy"])
        bench.host.change {
            $0.files["proc/loadavg"] = nil
            $0.figures?.load = ProcLoadavg(load1: 7, load5: 8, load15: 9)
        }
        #expect(await bench.gather().lines[0].hasPrefix("system load1=7,"))
        bench.host.change { $0.figures = nil }
        let (lines, errors) = await bench.gather()
        #expect(lines.isEmpty && errors.count == 1)
    }

    @Test("an uptime error keeps the first point")
    func uptimeError() async throws {
        var bench = try bench(["legacy"])
        bench.host.change { $0.figures = nil }
        let (lines, errors) = await bench.gather()
        #expect(lines.count == 1 && errors.count == 1)
    }

    @Test("physical CPUs are the distinct groups of siblings")
    func physicalCPUs() async throws {
        var bench = try bench(["cpus"])
        for (cpu, list) in [("cpu0", "0-1"), ("cpu1", "0-1"), ("cpu2", "2-3"), ("cpufreq", "9")] {
            bench.host.file("sys/devices/system/cpu/\(cpu)/topology/thread_siblings_list", list + "\n")
        }
        #expect(await bench.gather().lines == ["system n_cpus=2i,n_physical_cpus=2i"])
    }

    @Test("cpuinfo is not read again while the same CPUs are online")
    func cachedCounts() async throws {
        var bench = try bench(["cpus"])
        bench.host.file("sys/devices/system/cpu/online", "0-1\n")
        _ = await bench.gather()
        bench.host.change { $0.reads = [] }
        _ = await bench.gather()
        #expect(bench.host.state.reads == ["sys/devices/system/cpu/online"])
        bench.host.file("sys/devices/system/cpu/online", "0\n")
        bench.host.file("proc/cpuinfo", "processor: 0\n\n")
        #expect(await bench.gather().lines[0].hasPrefix("system n_cpus=1i"))
        bench.host.file("proc/cpuinfo", "processor: 0\n\nprocessor: 1\n\n")
        #expect(await bench.gather(after: .seconds(61)).lines[0].hasPrefix("system n_cpus=2i"))
    }

    @Test("unreadable hardware names are unknown, and remembered for their time")
    func dmi() async throws {
        var bench = try bench(["dmi"])
        bench.host.file("sys/class/dmi/id/chassis_type", "3\n")
        let line = await bench.gather().lines[0]
        #expect(line.contains("chassis_type=\"Desktop\",chassis_type_code=\"3\""))
        #expect(line.contains("bios_vendor=\"unknown\""))
        bench.host.file("sys/class/dmi/id/chassis_type", "7\n")
        #expect(await bench.gather().lines[0] == line)
        #expect(await bench.gather(after: .seconds(8 * 3600)).lines[0].contains("Tower"))
    }

    @Test("an unknown group cannot be made")
    func unknownGroup() {
        #expect(throws: CollectorError.self) { _ = try Bench("system", ["include": .strings(["legacy", "x"])]) }
    }
}
