import Testing

@testable import Pipeline

@Suite("The chain of processors and aggregators")
struct PointChainTests {
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }
    private func now(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    private func plan(_ text: String) throws -> ChainPlan {
        try #require(ChainPlan(try Processing.config(text), nodeName: "node"))
    }

    private static let schema = Schema([.uint("value"), .string("text"), .float("gone")])

    private func set(_ name: String, _ values: [UInt64], at seconds: Int64 = 1) -> SampleSet {
        var set = SampleSet()
        let series = Series(name)
        for value in values {
            set.append(series, PointChainTests.schema, at: at(seconds))
            set.uint(value)
            set.string("t\(value)")
            set.float(.nan)
        }
        return set
    }

    private func lines(_ set: SampleSet) -> [String] {
        var encoder = StreamEncoder()
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: PointChain.source)
        _ = encoder.add(set, from: PointChain.source)
        return encoder.seal { lines, _, _ in
            String(decoding: lines, as: UTF8.self).split(separator: "\n").map(String.init)
        } ?? []
    }

    @Test("input rules come first, then processors by order, those of one order as they stand in the file")
    func order() throws {
        func override(_ suffix: String, _ order: Int?) -> String {
            "[[processors.override]]\n" + (order.map { "order = \($0)\n" } ?? "") + "name_suffix = \"\(suffix)\"\n"
        }
        let text =
            override("c", 2) + override("a", nil)
            + "[[processors.strings]]\n[[processors.strings.uppercase]]\nmeasurement = \"*\"\n" + override("b", nil)
            + override("z", -1)
        var chain = PointChain(try plan(text), wall: at(0), now: now(0))
        let out = chain.add(set("m", [1]), from: "cpu", wall: at(1))
        #expect(lines(out) == ["MZAbc,host=node text=\"t1\",value=1i 1000000000"])
    }

    @Test("the end of a series takes its names, but has no value to convert, to repeat or to aggregate")
    func ends() throws {
        let text = """
            [[processors.override]]
            name_suffix = "_p"
            [[processors.converter]]
            [processors.converter.fields]
            string = ["*"]
            [[processors.dedup]]
            [[aggregators.minmax]]
            period = "10s"
            """
        var chain = PointChain(try plan(text), wall: at(0), now: now(0))
        var set = SampleSet()
        let (series, schema) = (Series("m"), Schema([.float("v")]))
        for second in [Int64(1), 2] {
            set.append(series, schema, at: at(second))
            set.float(.staleMarker)
        }
        var encoder = StreamEncoder(options: LineProtocol.Options(writesSpecials: true))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: PointChain.source)
        _ = encoder.add(chain.add(set, from: "cpu", wall: at(2)), from: PointChain.source)
        let out = encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) }
        #expect(out == "m_p,host=node v=Stale 1000000000\nm_p,host=node v=Stale 2000000000\n")
        #expect(chain.push(wall: at(10), now: now(11)).isEmpty)
    }

    @Test("aggregates pass the processors again, originals do not")
    func twice() throws {
        let text = "[[processors.override]]\nname_suffix = \"_p\"\n[[aggregators.minmax]]\nperiod = \"10s\"\n"
        func run(_ agent: String) throws -> [String] {
            var chain = PointChain(try plan("[agent]\n" + agent + text), wall: at(0), now: now(0))
            let first = chain.add(set("m", [1, 5]), from: "cpu", wall: at(1))
            let early = chain.push(wall: at(5), now: now(5))
            #expect(early.isEmpty)
            let made = chain.push(wall: at(10), now: now(11))
            return (lines(first) + lines(made)).map { String($0.prefix { $0 != "," }) }
        }
        #expect(try run("") == ["m_p", "m_p", "m_p_p"])
        #expect(try run("skip_processors_after_aggregators = true\n") == ["m_p", "m_p", "m_p"])
        #expect(try run("skip_processors_before_aggregators = true\n") == ["m", "m", "m_p"])
    }

    @Test("every point is passed on, or counted as filtered")
    func balance() throws {
        let text =
            "[[processors.dedup]]\nnamepass = [\"d\"]\n[[processors.override]]\nnamepass = [\"f\"]\nfieldexclude = [\"*\"]\n"
            + "[[aggregators.minmax]]\nnamepass = [\"a\"]\ndrop_original = true\n[[aggregators.final]]\nnamepass = [\"a\"]\n"
        var chain = PointChain(try plan(text), wall: at(0), now: now(0))
        var passed = 0
        for name in ["d", "f", "a", "x"] {
            passed += chain.add(set(name, [7, 7]), from: "cpu", wall: at(1)).rows.count
        }
        passed += chain.add(set("x", [1]), from: "nobody", wall: at(1)).rows.count
        #expect(passed == 3)
        #expect(chain.filteredPoints == 6)
        #expect(chain.processorCounters.map(\.dropped) == [1, 2])
        #expect(chain.aggregatorCounters.map(\.dropped) == [2, 0])
    }

    @Test("a reload keeps what did not change, and gives out what an aggregator had that goes")
    func reload() throws {
        let minmax = "[[aggregators.minmax]]\nperiod = \"10s\"\n"
        let dedup = "[[processors.dedup]]\n"
        var chain = PointChain(try plan(dedup + minmax), wall: at(0), now: now(0))
        let first = chain.add(set("m", [1]), from: "cpu", wall: at(1))
        #expect(first.rows.count == 1)
        let rename = "[[processors.rename]]\n[[processors.rename.replace]]\nmeasurement = \"m\"\ndest = \"n\"\n"
        let kept = chain.configure(try plan(dedup + rename + minmax), wall: at(2), now: now(2))
        #expect(kept.isEmpty)
        let repeated = chain.add(set("m", [1], at: 3), from: "cpu", wall: at(3))
        #expect(repeated.isEmpty)
        let given = chain.configure(try plan(dedup + rename), wall: at(4), now: now(4))
        #expect(lines(given) == ["n,host=node value_max=1,value_min=1 4000000000"])
        #expect(chain.nextPush == nil)
        #expect(chain.filteredPoints == 1)
    }

    @Test("series and schemas are the same objects from set to set")
    func sharing() throws {
        var chain = PointChain(try plan("[[processors.override]]\n"), wall: at(0), now: now(0))
        let first = chain.add(set("m", [1]), from: "cpu", wall: at(1))
        let second = chain.add(set("m", [2]), from: "cpu", wall: at(2))
        #expect(first.rows[0].series === second.rows[0].series)
        #expect(first.rows[0].schema === second.rows[0].schema)
    }
}
