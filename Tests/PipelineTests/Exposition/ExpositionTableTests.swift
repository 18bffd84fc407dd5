import Testing

@testable import Pipeline

@Suite struct ExpositionTableTests {
    private func table(_ change: (inout ExpositionTable.Settings) -> Void = { _ in }) -> ExpositionTable {
        var settings = ExpositionTable.Settings()
        change(&settings)
        return ExpositionTable(settings: settings)
    }

    private func at(_ seconds: Int) -> Instant { .zero + .seconds(seconds) }

    @discardableResult
    private func add(_ lines: String, to table: inout ExpositionTable, at seconds: Int = 0) -> Int {
        var parser = LineProtocolParser(takesSpecials: true)
        let (set, issues) = parser.parse(all: Array(lines.utf8), at: .zero)
        #expect(issues.count == 0)
        return table.add(set, now: at(seconds))
    }

    /// The page without HELP lines.
    private func page(_ table: inout ExpositionTable, at seconds: Int = 0) -> [String] {
        let text = String(decoding: table.page(now: at(seconds)).bytes, as: UTF8.self)
        return text.split(separator: "\n").map(String.init).filter { !$0.hasPrefix("# HELP") }
    }

    @Test("a field is a sample, tags are labels; families and samples stand in order")
    func page() {
        var table = table()
        add("net,interface=b in=1i,out=2.5 5\nnet,interface=a in=9007199254740993i 5\ncpu usage=1e300 5\n", to: &table)
        #expect(
            page(&table) == [
                "# TYPE cpu_usage untyped", "cpu_usage 1e+300",
                "# TYPE net_in untyped", "net_in{interface=\"a\"} 9007199254740993", "net_in{interface=\"b\"} 1",
                "# TYPE net_out untyped", "net_out{interface=\"b\"} 2.5",
            ])
    }

    @Test("version 1: value has the name of the measurement, flags are left out, every strange character is a _")
    func firstVersion() {
        var table = table()
        add("m.x value=1,ok=true,a\\ b=2i 5\n9m v=1 5\n", to: &table)
        #expect(page(&table) == ["# TYPE m_x untyped", "m_x 1", "# TYPE m_x_a_b untyped", "m_x_a_b 2"])
    }

    @Test("version 2: flags are 0 and 1, the measurement prometheus is not part of a name, _ goes at the ends")
    func secondVersion() {
        var table = table { $0.version = .second }
        add("m value=1,ok=true,no=f 5\nprometheus up=1 5\n9m.v. v.=1 5\n", to: &table)
        #expect(
            page(&table).filter { !$0.hasPrefix("#") } == ["m_no 0", "m_ok 1", "m_v__v 1", "m_value 1", "up 1"])
    }

    @Test("names: what is valid stays, the rest becomes valid or nothing")
    func names() {
        #expect(ExpositionName.label("a.b") == "a_b")
        #expect(ExpositionName.label("_x") == "_x")
        #expect(ExpositionName.label("5x:y") == "x_y")
        #expect(ExpositionName.label("...") == nil)
        #expect(ExpositionName.label("") == nil)
        #expect(ExpositionName.label("__name__") == nil)
        #expect(ExpositionName.label("größe") == "gr__e")
        #expect(ExpositionName.metric("a:b", "c", .second) == "a:b_c")
        #expect(ExpositionName.metric("12", "3", .second) == "_3")
        #expect(ExpositionName.metric("12", "x", .second) == "_x")
        #expect(ExpositionName.metric("12", "x", .first) == nil)
    }

    @Test("labels are escaped, of two that become one name the first stays")
    func labels() {
        var table = table()
        add("m,a.b=1,a_b=2,q=x\"y\\z v=1 5\n", to: &table)
        #expect(page(&table).last == "m_v{a_b=\"1\",q=\"x\\\"y\\\\z\"} 1")
    }

    @Test("string fields are labels unless a tag has the name; a changed text replaces in version 1, adds in version 2")
    func strings() {
        var first = table()
        var second = table { $0.version = .second }
        for lines in ["m,a=1 a=\"no\",s=\"x y\",v=1 5\n", "m,a=1 a=\"no\",s=\"z\",v=2 6\n"] {
            add(lines, to: &first)
            add(lines, to: &second)
        }
        #expect(page(&first).dropFirst() == ["m_v{a=\"1\",s=\"z\"} 2"])
        #expect(page(&second).dropFirst() == ["m_v{a=\"1\",s=\"x y\"} 1", "m_v{a=\"1\",s=\"z\"} 2"])
        var none = table { $0.stringsAreLabels = false }
        add("m,a=1 s=\"x\",v=1 5\nm s=\"alone\" 5\n", to: &none)
        #expect(page(&none).dropFirst() == ["m_v{a=\"1\"} 1"])
    }

    @Test("an older value never replaces a newer one, and times are written when asked for")
    func order() {
        var table = table { $0.writesTimes = true }
        add("m v=2 7000000\n", to: &table)
        add("m v=1 6000000\n", to: &table)
        #expect(page(&table).last == "m_v 2 7")
    }

    @Test("a sample goes when nothing came for the expiration, with 0 never")
    func expiration() {
        var table = table()
        var kept = self.table { $0.expiration = .zero }
        for each in [0, 50] {
            add("m,a=\(each) v=1 5\n", to: &table, at: each)
            add("m,a=\(each) v=1 5\n", to: &kept, at: each)
        }
        #expect(page(&table, at: 60).count == 3)
        #expect(page(&table, at: 61) == ["# TYPE m_v untyped", "m_v{a=\"50\"} 1"])
        #expect(page(&table, at: 111).isEmpty)
        #expect(table.count == 0)
        #expect(table.expiredSamples == 2)
        #expect(page(&kept, at: 100_000).count == 3)
        #expect(table.isHistory(.zero, wall: .zero + .seconds(61)))
        #expect(!table.isHistory(.zero, wall: .zero + .seconds(60)))
        #expect(!kept.isHistory(.zero, wall: .zero + .seconds(61)))
    }

    @Test("a series that ends leaves the page at once, unless a newer value is there")
    func ends() {
        var table = table { $0.version = .second }
        _ = add("m,a=1 v=1,w=1 1000000000\nm,a=2 v=2 3000000000\n", to: &table)
        #expect(table.count == 3)
        _ = add("m,a=1 v=Stale 2000000000\nm,a=2 v=Stale 2000000000\nm,a=3 v=Stale 2000000000\n", to: &table)
        #expect(page(&table).filter { !$0.hasPrefix("#") } == ["m_v{a=\"2\"} 2", "m_w{a=\"1\"} 1"])
        _ = add("m,a=1 v=Stale,w=Stale 4000000000\nm,a=2 v=NaN 4000000000\n", to: &table)
        #expect(page(&table).filter { !$0.hasPrefix("#") } == ["m_v{a=\"2\"} NaN"] && table.count == 1)
    }

    @Test("beyond the limit points are refused and counted, known series go on, and room comes back")
    func limit() {
        var table = table { $0.seriesLimit = 3 }
        #expect(add("m,a=1 v=1,w=1 5\nm,a=2 v=1,w=1 5\nm,a=3 v=1 5\n", to: &table) == 2)
        #expect(table.count == 3)
        #expect(table.refusedPoints == 2)
        #expect(add("m,a=1 v=7,w=8 6\n", to: &table, at: 55) == 0)
        #expect(page(&table, at: 61).filter { !$0.hasPrefix("#") } == ["m_v{a=\"1\"} 7", "m_w{a=\"1\"} 8"])
        #expect(add("m,a=4 v=1 7\n", to: &table, at: 62) == 0)
    }

    @Test("long labels are bounded together, and what goes makes room")
    func bytesLimit() {
        for version in [ExpositionName.Version.first, .second] {
            var table = table {
                $0.version = version
                $0.bytesLimit = 1_000
            }
            let long = String(repeating: "x", count: 300)
            #expect(add("m,a=\(long) v=1,w=1 5\n", to: &table) == 1)
            #expect(table.count == 1)
            #expect(add("m,a=\(long) v=2 6\n", to: &table, at: 30) == 0)
            #expect(add("m s=\"\(long)\(long)\(long)\",v=1 6\n", to: &table, at: 30) == 1)
            #expect(page(&table, at: 91).isEmpty)
            #expect(add("m,b=\(long) v=1 7\n", to: &table, at: 92) == 0)
        }
    }

    @Test("types come from the globs that were configured")
    func types() throws {
        let counters = try PatternList(["*_total"])
        let gauges = try PatternList(["m_*"])
        var table = table {
            $0.counters = counters
            $0.gauges = gauges
        }
        add("m x_total=1,v=2 5\nn v=1 5\n", to: &table)
        #expect(
            page(&table).filter { $0.hasPrefix("#") } == [
                "# TYPE m_v gauge", "# TYPE m_x_total counter", "# TYPE n_v untyped",
            ])
    }
}
