import Actors
import Pipeline
import Testing

@Suite("InternalCollector and AgentLedger")
struct InternalCollectorTests {
    private func gather(_ ledger: AgentLedger, _ options: [String: OptionValue] = [:]) async throws -> [String] {
        let plugin = try #require(InputRegistry.plugin("internal"))
        var set = options
        set["collect_memstats"] = set["collect_memstats"] ?? .bool(false)
        let collector = try plugin.make(
            OptionValues(plugin.spec.options, set: set), MemoryHost(), agent: ledger)
        let now = Instant(nanoseconds: 0)
        let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(10))
        #expect(gather.errors.isEmpty)
        return Bench.lines(gather.samples)
    }

    @Test("gathers are counted by input, two of one kind added up unless kept apart")
    func gathers() async throws {
        let ledger = AgentLedger(version: "1.2")
        for id in ["cpu", "cpu#2"] {
            let input = AgentLedger.Input(plugin: "cpu", alias: "", id: id)
            ledger.gathered(input, points: 5, errors: 2, time: .nanoseconds(100))
            ledger.gathered(input, points: 6, errors: 0, time: .nanoseconds(300))
            ledger.timedOut(input, ticks: 3)
        }
        let counters = { (factor: Int) in
            "errors=\(2 * factor)i,gather_errors=\(factor)i,gather_time_ns=\(200 * factor)i,"
                + "gather_timeouts=\(3 * factor)i,metrics_gathered=\(11 * factor)i,startup_errors=0i"
        }
        let together = try await gather(ledger)
        #expect(together.contains("internal_gather,input=cpu,version=1.2 " + counters(2)))
        #expect(
            together.contains(
                "internal_agent,version=1.2 gather_errors=2i,gather_timeouts=6i,metrics_dropped=0i,metrics_gathered=22i,"
                    + "metrics_rejected=0i,metrics_written=0i,write_errors=0i"))
        let apart = try await gather(ledger, ["per_instance": .bool(true)])
        #expect(apart.contains("internal_gather,_id=cpu#2,input=cpu,version=1.2 " + counters(1)))
        #expect(apart.count == 3)
    }

    @Test("outputs are asked at each gather; a counter that begins anew goes on from where it was")
    func outputs() async throws {
        let ledger = AgentLedger(version: "1")
        for (written, total) in [(10, 10), (15, 15), (4, 19), (6, 21)] as [(UInt64, Int)] {
            ledger.connect {
                var figures = OutputFigures(plugin: "influxdb", alias: "hub", id: "influxdb")
                figures.written = written
                figures.pending = 7
                return [figures]
            }
            let line = try #require(await gather(ledger).first { $0.hasPrefix("internal_write") })
            #expect(line.hasPrefix("internal_write,alias=hub,output=influxdb,version=1 "))
            #expect(line.contains("metrics_written=\(total)i") && line.contains("buffer_size=7i"))
            #expect(line.contains("bytes_written=0i"))
        }
    }

    @Test("memory has all columns of the reference, without tags")
    func memory() async throws {
        let lines = try await gather(AgentLedger(version: "1"), ["collect_memstats": .bool(true)])
        let line = try #require(lines.first { $0.hasPrefix("internal_memstats ") })
        #expect(line.split(separator: ",").count == 13)
        #expect(!line.contains("alloc_bytes=0i,frees"))
    }
}
