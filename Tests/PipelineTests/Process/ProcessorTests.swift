import Testing

@testable import Pipeline

private typealias Tag = Pipeline.Tag

/// A configuration of processors or aggregators, as text, compiled.
enum Processing {
    static func config(_ text: String) throws -> Config {
        let (tree, issues) = TOMLParser.parse(
            Array(("[[inputs.cpu]]\n[[outputs.file]]\n" + text).utf8), file: "test.toml")
        let decoder = ConfigDecoder(inputs: [PluginSpec(name: "cpu", summary: "", options: [])])
        let report = decoder.decode(tree, issues: issues)
        return try #require(report.config, "\(report.issues)")
    }

    /// What processors make of points, at a given time.
    static func run(_ text: String, _ points: [Point], wall: Timestamp = .zero) throws -> [Point] {
        let config = try config(text)
        var running = config.processors.sorted { $0.order < $1.order }.map(RunningProcessor.init)
        return points.compactMap { point in
            var point = point
            for index in running.indices where !running[index].apply(to: &point, wall: wall) { return nil }
            return point
        }
    }

    /// A point as line protocol, without its time.
    static func line(_ point: Point) -> String {
        var composer = PointComposer()
        var set = SampleSet()
        composer.append(point, to: &set)
        var encoder = StreamEncoder(options: .init(uintSupport: true, omitTimestamp: true))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "")
        _ = encoder.add(set, from: "")
        let text = encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) } ?? ""
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}

@Suite("Processors")
struct ProcessorTests {
    private func check(_ text: String, _ point: Point, gives expected: String?, _ line: Int = #line) throws {
        let results = try Processing.run(text, [point])
        #expect(results.first.map(Processing.line) == expected, "line \(line)")
    }

    private let time = Timestamp(nanoseconds: 1_502_489_900_000_000_000)

    @Test("rename: measurements, tags and fields")
    func rename() throws {
        let point = Point(
            "network_interface_throughput", tags: [Tag("hostname", "backend.example.com")],
            fields: ["lower": .int(10), "upper": .int(1000), "mean": .int(500)], time: time)
        let steps = """
            [[processors.rename]]
            [[processors.rename.replace]]
            measurement = "network_interface_throughput"
            dest = "throughput"
            [[processors.rename.replace]]
            tag = "hostname"
            dest = "host"
            [[processors.rename.replace]]
            field = "lower"
            dest = "min"
            [[processors.rename.replace]]
            field = "upper"
            dest = "max"
            """
        try check(steps, point, gives: "throughput,host=backend.example.com max=1000i,mean=500i,min=10i")
        try check(
            "[[processors.rename]]\n[[processors.rename.replace]]\nfield = \"lower\"\n"
                + "[[processors.rename.replace]]\nfield = \"upper\"\ndest = \"mean\"", point,
            gives: "network_interface_throughput,hostname=backend.example.com lower=10i,mean=1000i")
    }

    @Test("filters of a processor: others pass unchanged, modifiers change what it sees")
    func filters() throws {
        let rename = "[[processors.rename.replace]]\nmeasurement = \"a\"\ndest = \"b\"\n"
        let point = Point("a", tags: [Tag("t", "1"), Tag("u", "2")], fields: ["x": .int(1), "y": .int(2)], time: time)
        try check(
            "[[processors.rename]]\nnamepass = [\"z*\"]\nfieldinclude = [\"x\"]\n" + rename, point,
            gives: "a,t=1,u=2 x=1i,y=2i")
        try check(
            "[[processors.rename]]\nfieldinclude = [\"x\"]\ntagexclude = [\"u\"]\n" + rename, point, gives: "b,t=1 x=1i"
        )
        try check("[[processors.rename]]\nfieldinclude = [\"z\"]\n" + rename, point, gives: nil)
        try check("[[processors.rename]]\ntagdrop = {t = [\"1\"]}\n" + rename, point, gives: "a,t=1,u=2 x=1i,y=2i")
    }

    @Test("converter: tags to fields, types of fields, names")
    func converter() throws {
        func fields(_ list: String) -> String { "[[processors.converter]]\n[processors.converter.fields]\n\(list)\n" }
        func tags(_ list: String) -> String { "[[processors.converter]]\n[processors.converter.tags]\n\(list)\n" }
        let apache = Point(
            "apache", tags: [Tag("port", "80"), Tag("server", "d")], fields: ["n": .float(0)], time: time)
        try check(tags("string = [\"port\"]"), apache, gives: "apache,server=d n=0,port=\"80\"")
        try check(tags("integer = [\"p*\"]"), apache, gives: "apache,server=d n=0,port=80i")
        try check(tags("boolean = [\"server\"]"), apache, gives: "apache,port=80 n=0")
        try check(tags("measurement = [\"server\"]"), apache, gives: "d,port=80 n=0")
        let board = Point("m", fields: ["s_a": .float(0.5), "s_b": .float(-2.5), "o": .float(49)], time: time)
        try check(fields("integer = [\"s_*\"]"), board, gives: "m o=49,s_a=1i,s_b=-3i")
        try check(fields("unsigned = [\"s_*\"]"), board, gives: "m o=49,s_a=1u,s_b=0u")
        try check(fields("boolean = [\"*\"]"), board, gives: "m o=true,s_a=true,s_b=false")
        try check(fields("string = [\"o\"]"), board, gives: "m o=\"49\",s_a=0.5,s_b=-2.5")
        try check(fields("tag = [\"o\"]"), board, gives: "m,o=49 s_a=0.5,s_b=-2.5")
        try check(fields("measurement = [\"s_a\"]"), board, gives: "0.5 o=49,s_b=-2.5")
    }

    @Test("converter: what text can become")
    func conversions() {
        func integer(_ text: String) -> Int64? { FieldConversion.integer(.string(text)) }
        #expect(integer("12") == 12)
        #expect(integer("-0.6") == -1)
        #expect(integer("0x1F") == 31)
        #expect(integer("1e30") == .max)
        #expect(integer("x") == nil)
        #expect(integer("") == nil)
        #expect(integer("1e999") == nil)
        #expect(FieldConversion.integer(.uint(.max)) == .max)
        #expect(FieldConversion.integer(.float(.nan)) == nil)
        #expect(FieldConversion.unsigned(.int(-1)) == 0)
        #expect(FieldConversion.unsigned(.string("18446744073709551615")) == .max)
        #expect(FieldConversion.unsigned(.float(1e300)) == .max)
        #expect(FieldConversion.float(.string("0xff")) == 255)
        #expect(FieldConversion.float(.string("0xzz")) == nil)
        #expect(FieldConversion.float(.bool(true)) == 1)
        #expect(FieldConversion.bool(.string("T")) == true)
        #expect(FieldConversion.bool(.string("yes")) == nil)
        #expect(FieldConversion.bool(.int(-1)) == false)
        #expect(FieldConversion.string(.float(1e21)) == "1000000000000000000000")
        #expect(FieldConversion.string(.float(0.1)) == "0.1")
        #expect(FieldConversion.base64Float("RKeAAA==") == 1340)
        #expect(FieldConversion.base64Float("RKeA") == nil)
    }

    @Test("converter: times")
    func times() throws {
        func check(_ format: String, _ value: FieldValue, gives expected: Int64?, _ line: Int = #line) {
            #expect(TimeText(name: format)?.time(value)?.nanoseconds == expected, "line \(line)")
        }
        check("unix", .string("1677610769"), gives: 1_677_610_769_000_000_000)
        check("unix", .string("1677610769.123456789"), gives: 1_677_610_769_123_456_789)
        check("unix", .string("-1.5"), gives: -1_500_000_000)
        check("unix", .string("1.x"), gives: nil)
        check("unix", .string("99999999999999999999"), gives: nil)
        check("unix_ms", .int(1_677_610_769_123), gives: 1_677_610_769_123_000_000)
        check("unix_us", .uint(7), gives: 7_000)
        check("unix_ns", .int(7), gives: 7)
        check("unix", .float(1.5), gives: 1_500_000_000)
        check("unix", .float(.infinity), gives: nil)
        check("unix", .bool(true), gives: nil)
        check("rfc3339", .string("2024-05-05T10:00:00.5+02:00"), gives: 1_714_896_000_500_000_000)
        check("RFC3339", .string("1970-01-01T00:00:00Z"), gives: 0)
        check("2006-01-02T15:04:05Z07:00", .string("2024-02-29T00:00:00Z"), gives: 1_709_164_800_000_000_000)
        check("rfc3339", .string("2023-02-29T00:00:00Z"), gives: nil)
        check("rfc3339", .string("9999-01-01T00:00:00Z"), gives: nil)
        #expect(TimeText(name: "Jan _2") == nil)
        let point = Point("metric", tags: [Tag("time", "1677610769")], fields: ["temp": .float(42)], time: .zero)
        let text =
            "[[processors.converter]]\n[processors.converter.tags]\ntimestamp = [\"time\"]\ntimestamp_format = \"unix\""
        let result = try #require(try Processing.run(text, [point]).first)
        #expect(result.time.nanoseconds == 1_677_610_769_000_000_000)
        #expect(Processing.line(result) == "metric temp=42")
        let sample = "2024-05-05T10:00:00.5+02:00"
        for length in 0..<sample.utf8.count { _ = RFC3339.time(String(sample.prefix(length))) }
    }

    @Test("defaults: missing, empty and blank ones only")
    func defaults() throws {
        let text = """
            [[processors.defaults]]
            [processors.defaults.fields]
            status = "N/A"
            count = 0
            ok = true
            ratio = 0.5
            [processors.defaults.tags]
            tag = "foo"
            """
        let blank = Point(
            "lb", tags: [Tag("tag", " ")], fields: ["status": .string(" "), "count": .int(7)], time: time)
        try check(text, blank, gives: #"lb,tag=foo count=7i,ok=true,ratio=0.5,status="N/A""#)
        let full = Point(
            "lb", tags: [Tag("tag", "x")], fields: ["status": .string("up"), "ratio": .int(1)], time: time)
        try check(text, full, gives: #"lb,tag=x count=0i,ok=true,ratio=1i,status="up""#)
    }

    @Test("override: names and tags, those that are there too")
    func override() throws {
        let point = Point("m", tags: [Tag("a", "1"), Tag("b", "2")], fields: ["x": .int(1)], time: time)
        let text = "[[processors.override]]\nname_override = \"n\"\nname_prefix = \"p_\"\nname_suffix = \"_s\"\n"
        try check(text + "[processors.override.tags]\na = \"9\"\nc = \"3\"", point, gives: "p_n_s,a=9,b=2,c=3 x=1i")
    }

    @Test("tag_limit: surplus tags go in the order of their keys, those to keep stay")
    func tagLimit() throws {
        let point = Point(
            "t", tags: ["month", "environment", "region", "zone"].map { Tag($0, "x") }, fields: ["l": .int(1)],
            time: time)
        try check(
            "[[processors.tag_limit]]\nlimit = 3\nkeep = [\"environment\", \"region\"]", point,
            gives: "t,environment=x,region=x,zone=x l=1i")
        try check("[[processors.tag_limit]]\nlimit = 4", point, gives: "t,environment=x,month=x,region=x,zone=x l=1i")
        try check("[[processors.tag_limit]]\nlimit = 1", point, gives: "t,zone=x l=1i")
    }
}
