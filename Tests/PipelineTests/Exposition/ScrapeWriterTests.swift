import Testing

@testable import Pipeline

@Suite("Reading pages of metrics")
struct ScrapeWriterTests {
    private static let now = Timestamp(nanoseconds: 1_700_000_000_000_000_000)

    static let page = """
        # HELP http_requests_total Requests\\n\\\\ seen.
        # TYPE http_requests_total counter
        http_requests_total{method="post",code="200"} 1027 1395066363000
        http_requests_total{method="post",code="400",}    3
        # A comment, and an empty line

        escapes{path="C:\\\\DIR\\\\x",error="Cannot \\"find\\"\\nit", ü="ö"} 1.5e9

        """

    static let families = """
        # HELP t Time.
        # TYPE t histogram
        t_bucket{a="x",le="0.05"} 2
        t_bucket{a="x",le="+Inf"} 5
        t_sum{a="x"} 7.25
        t_count{a="x"} 5
        t_bucket{a="y",le="+Inf"} 1
        t_sum{a="y"} 1
        t_count{a="y"} 1
        # TYPE q summary
        q{quantile="0.5"} 4e-05
        q{quantile="0.99"} NaN
        q_sum 17
        q_count 3
        # TYPE g gauge
        g{z="1"} -Inf
        g 12

        """

    static let openMetrics = """
        # TYPE foo counter
        # UNIT foo seconds
        # HELP foo Things.
        foo_total{a="b"} 17.0 1520879607.789 # {trace_id="abc",x=""} 0.67 1520879607
        foo_created{a="b"} 1520430000.123
        # TYPE build info
        build_info{version="1"} 1
        # TYPE state stateset
        state{state="on"} 1
        # EOF

        """

    private func writer(
        _ version: ExpositionName.Version = .second, tags: [Pipeline.Tag] = [],
        _ change: (inout ScrapeWriter.Settings) -> Void = { _ in }
    ) -> ScrapeWriter {
        var settings = ScrapeWriter.Settings()
        settings.version = version
        change(&settings)
        return ScrapeWriter(settings, tags: tags)
    }

    /// Without an output of Prometheus as a database gets them.
    private func encoded(_ samples: SampleSet, exact: Bool = false) -> [String] {
        var encoder = StreamEncoder(
            options: LineProtocol.Options(writesSpecials: exact), limits: BatchLimits(points: .max, bytes: .max))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "x")
        _ = encoder.add(samples, from: "x")
        let text = encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) } ?? ""
        return text.split(separator: "\n").map { String($0).replacing(" 1700000000000000000", with: "") }
    }

    private func read(
        _ text: String, _ writer: inout ScrapeWriter, _ format: ExpositionFormat = .text
    )
        -> ScrapeWriter.Page
    {
        writer.read(Array(text.utf8), format, at: Self.now)
    }

    @Test("labels, escapes, comments, times and trailing commas")
    func text() {
        var version2 = writer(tags: [Pipeline.Tag("url", "u")])
        for _ in 0..<2 {
            let page = read(Self.page.replacing(", ü=\"ö\"", with: ", u=\"ö\""), &version2)
            #expect(page.complaints == [] && page.failure == nil && page.count == 3)
            #expect(
                encoded(page.samples) == [
                    "prometheus,code=200,method=post,url=u http_requests_total=1027 1395066363000000000",
                    "prometheus,code=400,method=post,url=u http_requests_total=3",
                    "prometheus,error=Cannot\\ \"find\"\\nit,path=C:\\DIR\\x,u=ö,url=u escapes=1500000000",
                ])
        }
    }

    @Test("a series that is gone gets its end, and only Prometheus sees it", arguments: [1, 2])
    func ends(version: Int) {
        var writer = writer(version == 1 ? .first : .second)
        let rest = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\n"
        let bucket = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\n"
        let first = read("a 1\nb{x=\"1\",y=\"2\"} 2\n" + bucket + rest, &writer)
        #expect(first.addedCount == 5 && first.keptCount == 5)
        // Neither another order nor another way to write its labels ends a series.
        let same = read("b{y=\"2\",x=\"1\"} 2\n" + bucket + rest + "a 1\n", &writer)
        #expect(!encoded(same.samples, exact: true).contains { $0.contains("Stale") })
        let less = read("a 1\n" + rest, &writer)
        let ended = encoded(less.samples, exact: true).filter { $0.contains("Stale") }
        #expect(
            ended.sorted()
                == (version == 1
                    ? ["b,x=1,y=2 value=Stale", "h 1=Stale"]
                    : ["prometheus,le=1 h_bucket=Stale", "prometheus,x=1,y=2 b=Stale"]))
        #expect(!encoded(less.samples).contains { $0.contains("Stale") })
        #expect(read("a 1\n" + rest, &writer).samples.rows.count == (version == 1 ? 2 : 3))
        // A page that cannot be taken ends all; what comes back is there again.
        let cut = read("a 1\n", &writer, .openMetrics)
        #expect(encoded(cut.samples, exact: true).count == 3 && encoded(cut.samples).isEmpty)
        #expect(encoded(read("a 1\n", &writer).samples, exact: true).count == 1)
        #expect(encoded(writer.end(at: Self.now), exact: true).count == 1)
        #expect(encoded(writer.end(at: Self.now), exact: true).isEmpty)
    }

    @Test("what has a time of its own has no end, unless the time is ignored; nor has anything without markers")
    func noEnds() {
        var own = writer()
        _ = read("a 1 1000\nb 1\n", &own)
        #expect(encoded(read("", &own).samples, exact: true) == ["prometheus b=Stale"])
        var ignoring = writer { $0.ignoresTimes = true }
        _ = read("a 1 1000\n", &ignoring)
        #expect(encoded(read("", &ignoring).samples, exact: true) == ["prometheus a=Stale"])
        var without = writer { $0.marksEnds = false }
        _ = read("a 1\n", &without)
        #expect(read("", &without).samples.isEmpty)
    }

    @Test("what is not finite goes to outputs of Prometheus alone, and is not counted as lost elsewhere")
    func specials() {
        var version2 = writer()
        let samples = read("a NaN\nb +Inf\nc -Inf\n", &version2).samples
        #expect(encoded(samples, exact: true) == ["prometheus a=NaN", "prometheus b=Inf", "prometheus c=NegInf"])
        var encoder = StreamEncoder()
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "x")
        _ = encoder.add(samples, from: "x")
        #expect(encoder.openPoints == 0 && encoder.unencodablePoints == 0 && encoder.filteredPoints == 3)
        var parser = LineProtocolParser()
        for word in ["Stale", "NaN", "Inf", "NegInf"] {
            #expect(parser.parse(all: Array("m v=\(word) 1\n".utf8), at: .zero).issues.count == 1)
        }
    }

    @Test("the first page tells kinds and help texts, the same page again tells nothing")
    func notes() {
        var version2 = writer()
        let first = read(Self.families + Self.page, &version2)
        #expect(first.notes.contains { $0.name == "t" && $0.note == .init(.histogram, help: "Time.") })
        #expect(
            first.notes.contains {
                $0.name == "http_requests_total" && $0.note == .init(.counter, help: "Requests\n\\ seen.")
            })
        #expect(read(Self.families, &version2).notes.isEmpty)
    }

    @Test("histograms and summaries in both layouts")
    func families() {
        var version2 = writer()
        #expect(
            encoded(read(Self.families, &version2).samples) == [
                "prometheus,a=x,le=0.05 t_bucket=2", "prometheus,a=x,le=+Inf t_bucket=5", "prometheus,a=x t_sum=7.25",
                "prometheus,a=x t_count=5", "prometheus,a=y,le=+Inf t_bucket=1", "prometheus,a=y t_sum=1",
                "prometheus,a=y t_count=1", "prometheus,quantile=0.5 q=0.00004", "prometheus q_sum=17",
                "prometheus q_count=3", "prometheus g=12",
            ])
        var version1 = writer(.first)
        for _ in 0..<2 {
            #expect(
                encoded(read(Self.families, &version1).samples) == [
                    "t,a=x +Inf=5,0.05=2,count=5,sum=7.25", "t,a=y +Inf=1,count=1,sum=1",
                    "q 0.5=0.00004,count=3,sum=17", "g gauge=12",
                ])
        }
        #expect(encoded(read("a 1\n# TYPE c counter\nc 2\n", &version1).samples) == ["a value=1", "c counter=2"])
    }

    @Test("OpenMetrics: exemplars are passed over, times are seconds, the end is needed")
    func openMetrics() {
        var version2 = writer()
        let page = read(Self.openMetrics, &version2, .openMetrics)
        #expect(page.complaints == [] && page.failure == nil)
        #expect(
            encoded(page.samples) == [
                "prometheus,a=b foo_total=17 1520879607789000000", "prometheus,a=b foo_created=1520430000.123",
                "prometheus,version=1 build_info=1", "prometheus,state=on state=1",
            ])
        #expect(page.notes.contains { $0.name == "foo_total" && $0.note.kind == .counter })
        #expect(page.notes.contains { $0.name == "build_info" && $0.note.kind == .gauge })
        let cut = read(Self.openMetrics.replacing("# EOF\n", with: ""), &version2, .openMetrics)
        #expect(cut.failure?.contains("# EOF") == true && encoded(cut.samples).isEmpty)
        let more = read(Self.openMetrics + "a 1\n", &version2, .openMetrics)
        #expect(more.complaints == ["line 11: something behind # EOF"])
    }

    @Test("CRLF, blanks, missing line end, special numbers, quoted names")
    func odd() {
        var version2 = writer()
        let text =
            "a 1\r\n  b{x = \"1\" , y=\"2\"}\t2\r\n{\"my.name\",x=\"y\"} 3\n# TYPE \"q.t\" gauge\n"
            + "{\"q.t\"} 4\nc +Inf\nd nan\ne infinity\nf 0x1\nf2 1i\nh .5e1\ni{} 9"
        let page = read(text, &version2)
        #expect(
            encoded(page.samples) == [
                "prometheus a=1", "prometheus,x=1,y=2 b=2", "prometheus,x=y my.name=3", "prometheus q.t=4",
                "prometheus h=5", "prometheus i=9",
            ])
        #expect(page.complaints == ["line 9: a value that is no number", "line 10: a value that is no number"])
    }

    @Test("a broken line costs its family and names its line; the others are kept")
    func broken() {
        var version2 = writer()
        for (line, reason) in [
            ("bad{a=\"1} 1", "labels that are not closed"), ("bad{a=1} 1", "a label without a quoted value"),
            ("bad{a=\"1\" b=\"2\"} 1", "something other than a comma behind a label"),
            ("bad{a=\"1\",a=\"2\"} 1", "a label that stands there twice"),
            ("bad{a=\"\\x\"} 1", "an escape that there is not"),
            ("bad", "no value"), ("bad{}", "no value"), ("bad one", "a value that is no number"),
            ("bad 1 x", "a timestamp that is no number"), ("bad 1 2 3", "something behind the sample"),
            ("bad 1 # {} 1", "something behind the sample"), ("bad{0=\"1\"} 1", "no name of a label"),
            ("bad 1e999", "a value that is no number"), ("bad 1 99999999999999999999", "a timestamp that is no number"),
        ] {
            let page = read(
                "# TYPE bad gauge\nbad{k=\"1\"} 1\n\(line)\nbad{k=\"2\"} 2\n# TYPE good gauge\ngood 1\n", &version2)
            #expect(encoded(page.samples) == ["prometheus good=1"], "\(line)")
            #expect(page.complaints == ["line 3: \(reason)"])
        }
        let type = read("good 1\n# TYPE bad thing\nbad 1\n%%% 1\n", &version2)
        #expect(type.complaints == ["line 2: a type that there is not", "line 4: no name of a metric"])
        #expect(encoded(type.samples) == ["prometheus good=1"])
        let bytes = version2.read(
            Array("a 1\nb{x=\"".utf8) + [0xFF, 0x22, 0x7D, 0x20, 0x31, 0x0A], .text, at: Self.now)
        #expect(bytes.complaints == ["line 2: bytes that are no UTF-8"])
        let many = read((0..<20).map { "b\($0) x\n" }.joined(), &version2)
        #expect(many.complaints.count == 9 && many.complaints.last == "12 more lines")
    }

    @Test("too many samples fail the page, the limit is named")
    func limit() {
        var small = writer { $0.samplesLimit = 3 }
        #expect(read("a 1\nb 1\nc 1\n", &small).failure == nil)
        let page = read("a 1\nb 1\nc 1\nd 1\n", &small)
        #expect(page.failure == "more than sample_limit (3) samples" && encoded(page.samples).isEmpty)
    }

    @Test("times of the page can be ignored, and rules drop and rename series")
    func settings() throws {
        var plain = writer { $0.ignoresTimes = true }
        #expect(encoded(read("a 1 5\n", &plain).samples) == ["prometheus a=1"])
        func rule(_ set: [String: OptionValue]) throws -> RelabelRule {
            try RelabelRule(OptionValues(RelabelRule.options, set: set))
        }
        let rules = [
            try rule(["source_labels": .strings(["__name__"]), "regex": .string("go_.*"), "action": .string("drop")]),
            try rule(["regex": .string("id"), "action": .string("labeldrop")]),
            try rule([
                "source_labels": .strings(["__name__"]), "regex": .string("old_(.*)"),
                "target_label": .string("__name__"), "replacement": .string("new_$1"),
            ]),
        ]
        var ruled = writer { $0.rules = rules }
        let page = read("go_x 1\nold_a{id=\"1\",b=\"2\"} 1\nkept 2\n", &ruled)
        #expect(encoded(page.samples) == ["prometheus,b=2 new_a=1", "prometheus kept=2"] && page.count == 3)
    }

    @Test("pages cut at every byte, and with every byte changed, give points or complaints")
    func cut() {
        for text in [Self.page, Self.families, Self.openMetrics, "{\"a\\\"b\",\"c\"=\"d\"} 1 # {a=\"\"} 1 1\n"] {
            for format in [ExpositionFormat.text, .openMetrics] {
                let bytes = Array(text.utf8)
                for version in [ExpositionName.Version.first, .second] {
                    var writer = writer(version)
                    for end in bytes.indices {
                        _ = writer.read(Array(bytes[..<end]), format, at: Self.now)
                        for replacement in [UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "{"), 0xFF, 0x5C] {
                            var changed = bytes
                            changed[end] = replacement
                            _ = writer.read(changed, format, at: Self.now)
                        }
                    }
                }
            }
        }
    }

    @Test("the header of the answer tells the format")
    func formats() {
        #expect(
            ExpositionFormat(contentType: "application/openmetrics-text; version=1.0.0; charset=utf-8") == .openMetrics)
        #expect(ExpositionFormat(contentType: "text/plain; version=0.0.4") == .text)
        #expect(ExpositionFormat(contentType: "") == .text)
        #expect(ExpositionFormat(contentType: "text/html") == nil)
        #expect(ExpositionFormat(contentType: "application/vnd.google.protobuf; proto=x") == nil)
    }
}
