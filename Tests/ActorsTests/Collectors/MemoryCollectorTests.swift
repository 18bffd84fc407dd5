import Actors
import Pipeline
import Testing

@Suite("MemoryCollector")
struct MemoryCollectorTests {
    @Test("used is never negative, whatever LXC says is available")
    func usedIsClamped() async throws {
        var bench = try Bench("mem")
        bench.host.file("proc/meminfo", "MemTotal: 100 kB\nMemAvailable: 150 kB\n")
        let (lines, errors) = await bench.gather()
        #expect(lines[0].contains(",used=0i,used_percent=0,"))
        #expect(lines[0].contains("available_percent=150,"))
        #expect(errors.isEmpty)
    }

    @Test("used can follow the older formula")
    func olderFormula() async throws {
        var bench = try Bench("mem", ["used_formula": .string("cached")])
        bench.host.file(
            "proc/meminfo",
            "MemTotal: 100 kB\nMemFree: 10 kB\nMemAvailable: 80 kB\nBuffers: 5 kB\nCached: 20 kB\nSReclaimable: 3 kB\n")
        #expect(await bench.gather().lines[0].contains(",used=\(62 * 1024)i,"))
    }

    @Test("without MemAvailable it is estimated from zoneinfo")
    func estimate() async throws {
        var bench = try Bench("mem")
        bench.host.file(
            "proc/meminfo",
            "MemTotal: 1000 kB\nMemFree: 100 kB\nActive(file): 80 kB\nInactive(file): 20 kB\nSReclaimable: 4 kB\n")
        bench.host.file("proc/zoneinfo", "low 1\n")
        // 100 - 4 + (100 - 4) + (4 - 2) KiB
        #expect(await bench.gather().lines[0].contains("available=\(194 * 1024)i,"))
        bench.host.change { $0.files["proc/zoneinfo"] = nil }
        #expect(await bench.gather().lines[0].contains("available=\(104 * 1024)i,"))
    }

    @Test("without a total the percentages are left out")
    func noTotal() async throws {
        var bench = try Bench("mem")
        bench.host.file("proc/meminfo", "MemFree: 1 kB\n")
        #expect(await !bench.gather().lines[0].contains("percent"))
    }

    @Test("a damaged or missing file is one error and no point")
    func damagedFile() async throws {
        var bench = try Bench("mem")
        let missing = await bench.gather()
        #expect(missing.lines.isEmpty && missing.errors.count == 1)
        bench.host.file("proc/meminfo", "MemTotal: lots kB\n")
        let damaged = await bench.gather()
        #expect(damaged.lines.isEmpty && damaged.errors.count == 1)
    }
}
