import Testing

@testable import Pipeline

@Suite("statsd")
struct StatsdTests {
    private func aggregate(
        _ templates: [String] = [], _ change: (inout StatsdAggregate.Settings) -> Void = { _ in }
    ) throws -> StatsdAggregate {
        var settings = StatsdAggregate.Settings()
        change(&settings)
        return StatsdAggregate(settings, templates: try StatsdTemplates(templates, separator: "_"))
    }

    private func read(_ aggregate: inout StatsdAggregate) -> [String] {
        var encoder = StreamEncoder()
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "x")
        _ = encoder.add(aggregate.read(at: Timestamp(nanoseconds: 1)).samples, from: "x")
        let text = encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").map(String.init).sorted()
    }

    private func check(
        _ packet: String, gives expected: [String], location: SourceLocation = #_sourceLocation
    ) throws {
        var aggregate = try aggregate()
        aggregate.add(Array(packet.utf8))
        #expect(read(&aggregate) == expected, sourceLocation: location)
    }

    @Test("gauges, counters and sets of every form")
    func kinds() throws {
        try check("a.b:32|g\n", gives: ["a_b,metric_type=gauge value=32 1"])
        try check("a:5|g\na:+10|g\na:-3|g", gives: ["a,metric_type=gauge value=12 1"])
        try check("a:1|c\na:101|c\na:1|c|@0.1\n", gives: ["a,metric_type=counter value=112i 1"])
        try check("u:101|s\nu:101|s\nu:x|s", gives: ["u,metric_type=set value=2i 1"])
        try check("a:1|c:2|c:1|c|@0.5", gives: ["a,metric_type=counter value=5i 1"])
        try check("a:1:2:3|c", gives: ["a,metric_type=counter value=6i 1"])
        try check(
            "a:1|c:2|g", gives: ["a,metric_type=counter value=1i 1", "a,metric_type=gauge value=2 1"])
        try check(
            "users,service=pay,region=us:32|g", gives: ["users,metric_type=gauge,region=us,service=pay value=32 1"])
    }

    @Test("timings have their statistics and percentiles")
    func timings() throws {
        var aggregate = try aggregate { $0.percentiles = [0, 50, 90, 99.9, 100] }
        for value in 1...10 { aggregate.add(Array("t:\(value)|ms".utf8)) }
        #expect(
            read(&aggregate) == [
                "t,metric_type=timing 0_percentile=1,100_percentile=10,50_percentile=6,90_percentile=10,"
                    + "99.9_percentile=10,count=10i,lower=1,mean=5.5,median=5.5,stddev=2.8722813232690143,sum=55,"
                    + "upper=10 1"
            ])
        aggregate.add(Array("h:4|h|@0.25".utf8))
        let lines = read(&aggregate)
        #expect(lines.count == 1 && lines[0].hasPrefix("h,metric_type=histogram ") && lines[0].contains("count=4i"))
    }

    @Test("the sample for percentiles is bounded, the other figures are exact")
    func reservoir() {
        var statistics = RunningStatistics(limit: 100, seed: 7)
        for value in 0..<100_000 { statistics.add(Double(value)) }
        #expect(statistics.count == 100_000 && statistics.mean.rounded() == 50_000 && statistics.upper == 99_999)
        #expect((30_000...70_000).contains(statistics.median))
    }

    @Test("a template names the parts of a bucket")
    func templates() throws {
        var aggregate = try aggregate([
            "cpu.* measurement.measurement.region", "mem.*.* measurement..host.field* dc=x", "measurement*",
        ])
        aggregate.add(Array("cpu.load.us-west:100|g\nmem.a.b.c.d:2|g\nother.x:3|g".utf8))
        #expect(
            read(&aggregate) == [
                "cpu_load,metric_type=gauge,region=us-west value=100 1", "mem,dc=x,host=b,metric_type=gauge c_d=2 1",
                "other_x,metric_type=gauge value=3 1",
            ])
        #expect(throws: FormatError.self) { try self.aggregate(["region.host"]) }
        #expect(throws: FormatError.self) { try self.aggregate(["a b c measurement"]) }
    }

    @Test("tags of DogStatsD, when they are asked for")
    func datadog() throws {
        var aggregate = try aggregate { $0.datadogExtensions = true }
        aggregate.add(Array("a:1|c|@0.5|#env:prod,live,x:|c:abc|T1656581400\n_e{5,4}:title|text\n_sc|n|0\n".utf8))
        #expect(aggregate.trouble.badLines == 0)
        #expect(read(&aggregate) == ["a,env=prod,live=true,metric_type=counter value=2i 1"])
    }

    @Test("what is not deleted goes on")
    func kept() throws {
        var aggregate = try aggregate {
            $0.deletesCounters = false
            $0.deletesGauges = false
        }
        aggregate.add(Array("c:1|c\ng:5|g\ns:1|s".utf8))
        _ = read(&aggregate)
        aggregate.add(Array("c:2|c\ng:+1|g".utf8))
        #expect(read(&aggregate) == ["c,metric_type=counter value=3i 1", "g,metric_type=gauge value=6 1"])
    }

    @Test("bad lines are counted, the others of the packet count")
    func badLines() throws {
        var aggregate = try aggregate()
        let bad = [
            "", "a", "a:", "a:|c", ":1|c", "a:1", "a:1|", "a:1|x", "a:x|c", "a:nan|g", "a:inf|g", "a:0x10|c",
            "a:1|c|@0",
            "a:1|c|@2", "a:1|c|@x",
        ]
        for line in bad { aggregate.add(Array((line + "\nok:1|c\n").utf8)) }
        #expect(aggregate.trouble.badLines == bad.count - 1)
        #expect(read(&aggregate) == ["ok,metric_type=counter value=\(bad.count)i 1"])
    }

    @Test("series and members beyond their bounds are dropped and counted")
    func bounds() throws {
        var aggregate = try aggregate {
            $0.seriesLimit = 2
            $0.membersLimit = 2
        }
        aggregate.add(Array("a:1|c\nb:1|c\nc:1|c\na:1|c\n".utf8))
        #expect(aggregate.trouble.droppedForSeries == 1)
        #expect(read(&aggregate).count == 2)
        aggregate.add(Array("s:1|s\ns:2|s\ns:3|s\ns:1|s".utf8))
        #expect(aggregate.trouble.droppedForMembers == 1)
        #expect(read(&aggregate) == ["s,metric_type=set value=2i 1"])
    }

    @Test("a packet cut at any byte is no trap")
    func cuts() throws {
        let packet = Array("a.b,t=x:1|c|@0.1|#k:v\nb:+1|g:2|ms\nc:1:2|h".utf8)
        for extensions in [false, true] {
            for start in packet.indices {
                for end in start...packet.count {
                    var aggregate = try aggregate { $0.datadogExtensions = extensions }
                    aggregate.add(Array(packet[start..<end]))
                    _ = aggregate.read(at: .zero)
                }
            }
        }
    }
}
