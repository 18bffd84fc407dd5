import Testing

@testable import Pipeline

private typealias Tag = Pipeline.Tag

@Suite("Aggregators")
struct AggregatorTests {
    private func at(_ seconds: Double) -> Timestamp { Timestamp(nanoseconds: Int64(seconds * 1e9)) }
    private func now(_ seconds: Double) -> Instant { Instant(nanoseconds: Int64(seconds * 1e9)) }

    private func load(_ value: Double, _ seconds: Double, _ tags: [Tag] = [Tag("host", "tars")]) -> Point {
        Point("system", tags: tags, fields: ["load1": .float(value)], time: at(seconds))
    }

    /// An aggregator whose window is 0 s to `period`.
    private func aggregator(_ text: String) throws -> RunningAggregator {
        let config = try #require(try Processing.config(text).aggregators.first)
        return RunningAggregator(config, isAligned: true, wall: at(0), now: now(0))
    }

    private func pushed(_ text: String, _ points: [Point], at end: Double = 30) throws -> [String] {
        var aggregator = try aggregator(text)
        for point in points { _ = aggregator.add(point) }
        return aggregator.push(wall: at(end), now: now(end), precision: .seconds(1))
            .map { "\(Processing.line($0)) \($0.time.nanoseconds / 1_000_000_000)" }
    }

    @Test("basicstats: the default statistics")
    func basicStats() throws {
        let points = [load(1, 10), load(3, 20)]
        #expect(
            try pushed("[[aggregators.basicstats]]", points) == [
                "system,host=tars load1_count=2,load1_max=3,load1_mean=2,load1_min=1,load1_s2=2,"
                    + "load1_stdev=1.4142135623730951 30"
            ])
        #expect(
            try pushed("[[aggregators.basicstats]]", [load(1, 10)]) == [
                "system,host=tars load1_count=1,load1_max=1,load1_mean=1,load1_min=1 30"
            ])
        #expect(try pushed("[[aggregators.basicstats]]\nstats = []", points) == [])
    }

    @Test("basicstats: differences run from the first to the last of a window")
    func basicDifferences() throws {
        let stats =
            "[[aggregators.basicstats]]\nstats = [\"sum\", \"diff\", \"rate\", \"interval\", \"last\", \"first\", "
            + "\"percent_change\", \"non_negative_diff\", \"non_negative_rate\"]"
        #expect(
            try pushed(stats, [load(1, 10), load(7, 15), load(3, 20)]) == [
                "system,host=tars load1_diff=2,load1_first=1,load1_interval=10000000000i,load1_last=3,"
                    + "load1_non_negative_diff=2,load1_non_negative_rate=0.2,load1_percent_change=200,load1_rate=0.2,"
                    + "load1_sum=11 30"
            ])
        #expect(
            try pushed(stats, [load(4, 10), load(3, 20)]) == [
                "system,host=tars load1_diff=-1,load1_first=4,load1_interval=10000000000i,load1_last=3,"
                    + "load1_percent_change=-25,load1_rate=-0.1,load1_sum=7 30"
            ])
        // At one time there is no rate; from zero there is no percentage.
        #expect(
            try pushed(stats, [load(0, 10), load(3, 10)]) == [
                "system,host=tars load1_diff=3,load1_first=0,load1_interval=0i,load1_last=3,load1_non_negative_diff=3,"
                    + "load1_non_negative_rate=0,load1_rate=0,load1_sum=3 30"
            ])
    }

    @Test("minmax: each numeric field of each series, in the order in which series came")
    func minMax() throws {
        let points = [load(1.72, 5), load(1.6, 10), load(9, 11, [Tag("host", "case")]), load(1.66, 20)]
        #expect(
            try pushed("[[aggregators.minmax]]", points) == [
                "system,host=tars load1_max=1.72,load1_min=1.6 30", "system,host=case load1_max=9,load1_min=9 30",
            ])
        let mixed = Point(
            "m", fields: ["i": .int(-1), "u": .uint(2), "b": .bool(true), "s": .string("x")], time: at(1))
        #expect(try pushed("[[aggregators.minmax]]", [mixed]) == ["m i_max=-1,i_min=-1,u_max=2,u_min=2 30"])
        let text = Point("m", fields: ["s": .string("x")], time: at(1))
        #expect(try pushed("[[aggregators.minmax]]", [text]) == [])
    }

    @Test("final: the last point after a silence, or of each period, under its own time")
    func final() throws {
        func counter(_ value: Int64, _ seconds: Double) -> Point {
            Point("counter", fields: ["i": .int(value), "s": .string("x")], time: at(seconds))
        }
        let points = [counter(1, 10), counter(2, 20)]
        #expect(try pushed("[[aggregators.final]]\nseries_timeout = \"10s\"", points, at: 30) == [])
        #expect(
            try pushed("[[aggregators.final]]\nseries_timeout = \"9s\"", points, at: 30) == [
                #"counter i_final=2i,s_final="x" 20"#
            ])
        #expect(
            try pushed(
                "[[aggregators.final]]\noutput_strategy = \"periodic\"\nkeep_original_field_names = true", points)
                == [#"counter i=2i,s="x" 20"#])
        // A series that went on is given once it falls silent.
        var aggregator = try aggregator("[[aggregators.final]]\nseries_timeout = \"40s\"")
        for point in points { _ = aggregator.add(point) }
        let counts = [30.0, 60, 90, 120].map { aggregator.push(wall: at($0), now: now($0), precision: .zero).count }
        #expect(counts == [0, 0, 1, 0])
    }

    @Test("merge: one point of those with equal name, tags and time")
    func merge() throws {
        func part(_ key: String, _ seconds: Double) -> Point {
            Point("cpu", tags: [Tag("host", "h")], fields: [key: .float(42)], time: at(seconds))
        }
        let points = [part("usage_time", 10), part("idle_time", 10), part("idle_time", 10.25)]
        #expect(
            try pushed("[[aggregators.merge]]", points) == [
                "cpu,host=h idle_time=42,usage_time=42 10", "cpu,host=h idle_time=42 10",
            ])
        #expect(
            try pushed("[[aggregators.merge]]\nround_timestamp_to = \"1s\"", points) == [
                "cpu,host=h idle_time=42,usage_time=42 10"
            ])
    }

    @Test("names, tags and filters: the original keeps what the aggregate loses")
    func options() throws {
        var aggregator = try aggregator(
            """
            [[aggregators.minmax]]
            namepass = ["sys*"]
            tagexclude = ["host"]
            fieldinclude = ["load1"]
            name_prefix = "p_"
            name_suffix = "_s"
            drop_original = true
            tags = {made = "yes"}
            """)
        let others = ["cpu": "load1", "system": "x"].sorted { $0.key < $1.key }
            .map { Point($0.key, fields: [$0.value: .int(1)], time: at(5)) }
        let dropped = ([load(1, 5)] + others).map { aggregator.add($0) }
        #expect(dropped == [true, false, true])
        let points = aggregator.push(wall: at(30), now: now(30), precision: .zero)
        #expect(points.map(Processing.line) == ["p_system_s,made=yes load1_max=1,load1_min=1"])
        #expect(aggregator.counters.points == 2)
        #expect(aggregator.counters.dropped == 2)
        #expect(aggregator.counters.made == 1)
    }

    @Test("windows: aligned, with grace and delay at their ends, moved when the clock is set")
    func windows() throws {
        var aggregator = RunningAggregator(
            AggregatorConfig(id: "a", plugin: "minmax", period: .seconds(30), grace: .seconds(5), rule: .minMax),
            isAligned: true, wall: at(100), now: now(7))
        #expect(aggregator.start == at(90))
        #expect(aggregator.end == at(120))
        #expect(aggregator.pushes == now(27.1))
        for seconds in [84.9, 85, 90, 120, 120.1, 120.2] { _ = aggregator.add(load(seconds, seconds)) }
        #expect(aggregator.counters.late == 2)
        let first = aggregator.push(wall: at(120.1), now: now(27.1), precision: .seconds(1))
        #expect(first.map(\.time) == [at(120)])
        #expect(aggregator.start == at(120))
        #expect(aggregator.pushes == now(57.1))
        _ = aggregator.push(wall: at(1_000), now: now(57.1), precision: .seconds(1))
        #expect(aggregator.start == at(990))
        _ = aggregator.push(wall: at(10), now: now(77.2), precision: .seconds(1))
        #expect(aggregator.start == at(0))
        #expect(aggregator.pushes == now(97.3))
        let rolling = RunningAggregator(
            AggregatorConfig(id: "a", plugin: "minmax", rule: .minMax), isAligned: false, wall: at(100), now: now(7))
        #expect(rolling.end == at(130))
    }

    @Test("series beyond the limit are counted, and their originals go on")
    func bounded() throws {
        var aggregator = try aggregator("[[aggregators.minmax]]\nseries_limit = 2\ndrop_original = true")
        let dropped = (0..<4).map { aggregator.add(load(1, 5, [Tag("n", "\($0)")])) }
        #expect(dropped == [true, true, false, false])
        #expect(aggregator.counters.overflow == 2)
        let points = aggregator.push(wall: at(30), now: now(30), precision: .zero)
        #expect(points.count == 2)
        let isDropped = aggregator.add(load(1, 35, [Tag("n", "3")]))
        #expect(isDropped)
    }
}
