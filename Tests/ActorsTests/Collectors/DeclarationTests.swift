import Actors
import Pipeline
import Testing

/// The inputs are held to what they declare: nothing else is emitted, by name, kind and tag.
@Suite("Declared metrics")
struct DeclarationTests {
    /// Inputs that read the kernel alone; those that run programs, ask servers or listen are not asked here.
    private static let kernelReaders = [
        "conntrack", "cpu", "disk", "diskio", "internal", "interrupts", "kernel", "kernel_vmstat", "linux_sysctl_fs",
        "mem", "net", "netstat", "node", "nstat", "pressure", "processes", "swap", "system", "temp",
    ]
    /// Options with which an input gives all that it can.
    private static let everything: [String: [[String: OptionValue]]] = [
        "cpu": [["collect_cpu_time": .bool(true), "report_active": .bool(true), "core_tags": .bool(true)]],
        "diskio": [["skip_serial_number": .bool(false)]],
        "kernel": [["collect": .strings(["psi"])], ["collect": .strings(["ksm", "psi"])]],
        "mem": [["collect_extended": .bool(true), "used_formula": .string("cached")]],
        "net": [["interfaces": .strings(["*"])]],
        "netstat": [["unix_sockets": .bool(false)]],
        "nstat": [["dump_zeros": .bool(true)]],
        "system": [["include": .strings(SystemCollector.groups)]],
    ]

    @Test(
        "what an input emits on this machine is declared, with every option",
        arguments: kernelReaders)
    func thisMachine(_ name: String) async throws {
        let input = try #require(InputRegistry.plugin(name))
        let host = LinuxHost(environment: [:], clock: ManualClock())
        let plain: [[String: OptionValue]] = [[:]]
        for options in plain + (DeclarationTests.everything[name] ?? []) {
            let collector: any Collector
            // What this kernel does not have, ksm among others, cannot be asked for.
            do { collector = try input.make(OptionValues(input.spec.options, set: options), host) } catch { continue }
            var now = Instant(nanoseconds: 1_000_000_000_000)
            for _ in 0..<2 {
                now += .seconds(1)
                let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(10))
                #expect(gather.samples.isComplete)
                #expect(MetricSpec.undeclared(in: gather.samples, input.spec.metrics) == [], "\(options)")
            }
        }
    }

    @Test("the agent's own counters are declared, and each that is declared is there")
    func ownCounters() async throws {
        let input = try #require(InputRegistry.plugin("internal"))
        let ledger = AgentLedger(version: "1")
        ledger.gathered(.init(plugin: "cpu", alias: "a", id: "cpu::a"), points: 1, errors: 0, time: .seconds(1))
        ledger.connect { [OutputFigures(plugin: "influxdb", alias: "b", id: "influxdb::b")] }
        let collector = try input.make(
            OptionValues(input.spec.options, set: ["per_instance": .bool(true)]), MemoryHost(), agent: ledger)
        let gather = await collector.gather(at: .zero, now: .zero, deadline: .distantFuture)
        #expect(MetricSpec.undeclared(in: gather.samples, input.spec.metrics) == [])
        for metric in input.spec.metrics {
            let rows = gather.samples.rows.filter { $0.series.measurement == metric.measurement }
            #expect(Set(rows.flatMap { $0.schema.fields.map(\.key) }) == Set(metric.fields.map(\.name)))
            #expect(Set(rows.flatMap { $0.series.tags.map(\.key) }) == Set(metric.tags))
        }
    }

    @Test("a measurement, a tag, a name and a kind that nobody declared are each told once")
    func undeclared() {
        let metrics = [
            MetricSpec("m", tags: ["t"], fields: [.int("a", .count, "x"), .float("b_*", .percent, "x")]),
            MetricSpec("m", fields: [.uint("a", .count, "x")]),
        ]
        func found(_ series: Series, _ fields: [Schema.Field], free: Set<String> = []) -> [String] {
            var samples = SampleSet()
            for _ in 0..<2 {
                samples.append(series, Schema(fields), at: .zero)
                for _ in fields { samples.uint(0) }
            }
            return MetricSpec.undeclared(in: samples, metrics, freeTags: free)
        }
        #expect(found(Series("m", tags: [Tag("t", "1")]), [.int("a"), .uint("a"), .float("b_x")]) == [])
        #expect(found(Series("n"), [.int("a")]) == ["measurement n"])
        #expect(found(Series("m", tags: [Tag("u", "1")]), [.int("a")]) == ["tag u of m"])
        #expect(found(Series("m", tags: [Tag("u", "1")]), [.int("a")], free: ["u"]) == [])
        #expect(
            found(Series("m"), [.float("a"), .int("b_x"), .float("b")])
                == ["field a (float) of m", "field b_x (int) of m", "field b (float) of m"])
    }
}
