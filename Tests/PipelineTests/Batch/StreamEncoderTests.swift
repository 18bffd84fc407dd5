import Testing

@testable import Pipeline

@Suite("Stream encoder")
struct StreamEncoderTests {
    private static let schema = Schema([.float("usage"), .uint("count")])

    private func set(_ rows: Int, series: Series = Series("cpu", tags: [Tag("cpu", "cpu0")])) -> SampleSet {
        var set = SampleSet()
        for row in 0..<rows {
            set.append(series, StreamEncoderTests.schema, at: Timestamp(nanoseconds: Int64(row) * 1_000_000_000))
            set.float(Double(row) + 0.5)
            set.uint(UInt64(row))
        }
        return set
    }

    private func rules(
        precision: Duration = .zero, _ edit: (inout MetricOptions) throws -> Void
    ) rethrows -> InputRules {
        var options = MetricOptions()
        try edit(&options)
        return InputRules(
            transforms: [MetricTransform(options, globalTags: [Tag("host", "h1")], stage: .input)], precision: precision
        )
    }

    private func sealedText(_ encoder: inout StreamEncoder) -> String? {
        encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) }
    }

    @Test("a point is written with its name, tags, sorted fields and time")
    func writesLines() {
        var encoder = StreamEncoder()
        encoder.setRules(rules { $0.namePrefix = "agent_" }, for: "cpu")
        #expect(encoder.add(set(2), from: "cpu") == 2)
        #expect(
            sealedText(&encoder)
                == "agent_cpu,cpu=cpu0,host=h1 count=0i,usage=0.5 0\nagent_cpu,cpu=cpu0,host=h1 count=1i,usage=1.5 1000000000\n"
        )
    }

    @Test("a full batch stops the encoding at the row to go on with, and nothing is lost or doubled")
    func stopsWhenFull() {
        var encoder = StreamEncoder(limits: BatchLimits(points: 3, bytes: 1 << 20))
        encoder.setRules(rules { _ in }, for: "cpu")
        let input = set(8)
        var row = 0
        var batches: [Int] = []
        while row < input.rows.count || encoder.openPoints > 0 {
            row = encoder.add(input, from: "cpu", first: row)
            if let points = encoder.seal({ _, points, _ in points }) { batches.append(points) }
        }
        #expect(batches == [3, 3, 2])
    }

    @Test("an input without rules contributes nothing")
    func ignoresUnknownInput() {
        var encoder = StreamEncoder()
        #expect(encoder.add(set(1), from: "nobody") == 1)
        #expect(encoder.openPoints == 0)
    }

    @Test("filters drop points and fields, and what they drop is counted")
    func filters() throws {
        var encoder = StreamEncoder()
        encoder.setRules(
            try rules { $0.filter.nameDrop = try PatternList(["cpu"]) }, for: "cpu")
        _ = encoder.add(set(4), from: "cpu")
        #expect(encoder.filteredPoints == 4)
        #expect(encoder.openPoints == 0)
    }

    @Test("a point whose fields are all filtered away is counted, not written")
    func dropsFieldless() throws {
        var encoder = StreamEncoder()
        encoder.setRules(try rules { $0.filter.fieldExclude = try PatternList(["*"]) }, for: "cpu")
        _ = encoder.add(set(2), from: "cpu")
        #expect(encoder.filteredPoints == 2)
        #expect(encoder.unencodablePoints == 0)
        #expect(sealedText(&encoder) == nil)
    }

    @Test("timestamps are rounded to the nearest multiple of the precision")
    func rounds() {
        var encoder = StreamEncoder()
        encoder.setRules(rules(precision: .seconds(10)) { _ in }, for: "cpu")
        _ = encoder.add(set(6), from: "cpu")
        let times = sealedText(&encoder)?.split(separator: "\n").map { $0.split(separator: " ").last ?? "" }
        #expect(times == ["0", "0", "0", "0", "0", "10000000000"])
    }

    @Test("new rules replace what was derived from the old ones")
    func newRules() {
        var encoder = StreamEncoder()
        let series = Series("cpu")
        encoder.setRules(rules { _ in }, for: "cpu")
        _ = encoder.add(set(1, series: series), from: "cpu")
        encoder.setRules(rules { $0.nameOverride = "x" }, for: "cpu")
        _ = encoder.add(set(1, series: series), from: "cpu")
        #expect(sealedText(&encoder)?.split(separator: "\n").map { $0.prefix(4) } == ["cpu,", "x,ho"])
    }

    @Test("the cache stays bounded when every tick brings new series")
    func boundedCache() {
        var encoder = StreamEncoder()
        encoder.setRules(rules { _ in }, for: "cpu")
        for round in 0..<30 {
            for index in 0..<1_000 {
                _ = encoder.add(set(1, series: Series("s\(round)-\(index)")), from: "cpu")
            }
            _ = sealedText(&encoder)
        }
        #expect(encoder.cachedSeries(of: "cpu") <= 10_001)
    }

    @Test("a listener sees each line with its final name")
    func observes() {
        var encoder = StreamEncoder()
        encoder.setRules(rules { $0.nameSuffix = "_x" }, for: "cpu")
        var seen: [String] = []
        _ = encoder.add(set(2), from: "cpu") { name, line in
            seen.append(name + "|" + String(decoding: line, as: UTF8.self))
        }
        #expect(seen.count == 2)
        #expect(seen.first == "cpu_x|cpu_x,cpu=cpu0,host=h1 count=0i,usage=0.5 0\n")
    }
}
