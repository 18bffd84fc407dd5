import Testing

@testable import Pipeline

@Suite("Reading line protocol")
struct LineProtocolParserTests {
    private static let now = Timestamp(nanoseconds: 1_700_000_000_123_456_789)

    private func parse(
        _ text: String, precision: TimePrecision = .nanoseconds
    ) -> (samples: SampleSet, issues: LineIssues) {
        var parser = LineProtocolParser()
        return parser.parse(all: Array(text.utf8), at: Self.now, precision: precision)
    }

    /// What the encoder makes of what was read.
    private func encoded(_ samples: SampleSet) -> String {
        var encoder = StreamEncoder(
            options: LineProtocol.Options(uintSupport: true), limits: BatchLimits(points: .max, bytes: .max))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "x")
        _ = encoder.add(samples, from: "x")
        return encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) } ?? ""
    }

    private func check(_ line: String, gives expected: String, location: SourceLocation = #_sourceLocation) {
        let (samples, issues) = parse(line)
        #expect(issues.texts == [], sourceLocation: location)
        #expect(encoded(samples) == expected + "\n", sourceLocation: location)
    }

    private func refuses(
        _ line: String, _ reason: LineIssue.Reason, location: SourceLocation = #_sourceLocation
    ) {
        let (samples, issues) = parse("good a=1 1\n" + line + "\ngood a=2 2\n")
        #expect(issues.named == [LineIssue(line: 2, reason)], sourceLocation: location)
        #expect(encoded(samples) == "good a=1 1\ngood a=2 2\n", sourceLocation: location)
    }

    @Test("lines of every kind of value")
    func values() {
        check(
            "cpu,host=a usage=1.5,n=2i,u=3u,ok=t,s=\"x y\" 10",
            gives: "cpu,host=a n=2i,ok=true,s=\"x y\",u=3u,usage=1.5 10")
        check("m a=-1.5e3,b=.5,c=1.,d=+7,e=1E-7 1", gives: "m a=-1500,b=0.5,c=1,d=7,e=0.0000001 1")
        check(
            "m a=-9223372036854775808i,b=18446744073709551615u 1",
            gives: "m a=-9223372036854775808i,b=18446744073709551615u 1")
        check(
            "m a=true,b=TRUE,c=True,d=T,e=false,f=FALSE,g=False,h=F,i=f 1",
            gives: "m a=true,b=true,c=true,d=true,e=false,f=false,g=false,h=false,i=false 1")
        check(
            "m a=0.1,b=123456789.123456789,c=1e300 1",
            gives: "m a=0.1,b=123456789.12345679,c=1" + String(repeating: "0", count: 300) + " 1")
        check("m s=\"\" 1", gives: "m s=\"\" 1")
        check("m a=1 -5", gives: "m a=1 -5")
        check("m a=1", gives: "m a=1 \(Self.now.nanoseconds)")
        check("m a=1   7   \r", gives: "m a=1 7")
    }

    @Test("escapes are undone, and every other backslash is itself")
    func escapes() {
        check(
            "my\\ m\\,x,ta\\=g\\ 1=v\\,al\\ ue fi\\=e\\,ld=1 1",
            gives: "my\\ m\\,x,ta\\=g\\ 1=v\\,al\\ ue fi\\=e\\,ld=1 1")
        let (samples, _) = parse("a\\=b,t=c:\\d\\\\e f=\"q\\\"b\\\\ \\n\"")
        #expect(samples.rows[0].series.measurement == "a\\=b")
        #expect(samples.rows[0].series.tags == [Tag("t", "c:\\d\\\\e")])
        #expect(samples.strings == ["q\"b\\ \\n"])
    }

    @Test("a string may hold line ends, and the lines after it are counted on")
    func newlinesInStrings() {
        let (samples, issues) = parse("a s=\"1\n2\n3\" 1\nb =\n\"x\"")
        #expect(samples.strings == ["1\n2\n3"])
        #expect(issues.named.map(\.line) == [4, 5])
    }

    @Test("a bad line costs that line and says why")
    func badLines() {
        refuses("cpu", .missingFields)
        refuses("cpu,host=a", .missingFields)
        refuses(",host=a v=1", .missingMeasurement)
        refuses("cpu,=a v=1", .missingTagKey)
        refuses("cpu,host v=1", .missingTagValue)
        refuses("cpu,host= v=1", .missingTagValue)
        refuses("cpu,host=a=b v=1", .missingTagValue)
        refuses("cpu, v=1", .missingTagKey)
        refuses("cpu =1", .missingFieldKey)
        refuses("cpu v", .missingFieldValue)
        refuses("cpu v=", .missingFieldValue)
        refuses("cpu v=1,", .missingFieldKey)
        refuses("cpu v=1, w=2", .missingFieldKey)
        refuses("cpu v=1x", .afterValue)
        refuses("cpu v=--1", .badNumber)
        refuses("cpu v=.", .badNumber)
        refuses("cpu v=1e", .badNumber)
        refuses("cpu v=1.5i", .afterValue)
        refuses("cpu v=9223372036854775808i", .outOfRange)
        refuses("cpu v=-1u", .outOfRange)
        refuses("cpu v=1e999", .outOfRange)
        refuses("cpu v=NaN", .badBool)
        refuses("cpu v=tru", .badBool)
        refuses("cpu v=truely", .badBool)
        refuses("cpu v=1 1.5", .afterTime)
        refuses("cpu v=1 x", .badTime)
        refuses("cpu v=1 1 2", .afterTime)
        refuses("cpu v=1 9223372036854775808", .timeOutOfRange)
    }

    @Test("an unclosed string costs its line alone")
    func openString() {
        let (samples, issues) = parse("cpu s=\"abc 1\nb v=1 1\n")
        #expect(issues.named == [LineIssue(line: 1, .openString)])
        #expect(encoded(samples) == "b v=1 1\n")
    }

    @Test("timestamps come in the unit that was asked for")
    func precisions() {
        for (name, factor) in [("s", 1_000_000_000), ("ms", 1_000_000), ("u", 1_000), ("h", 3_600_000_000_000)] {
            let precision = TimePrecision(parameter: name) ?? .nanoseconds
            #expect(encoded(parse("m v=1 12", precision: precision).samples) == "m v=1 \(12 * factor)\n")
        }
        #expect(parse("m v=1 9999999999999999", precision: .seconds).issues.named.map(\.reason) == [.timeOutOfRange])
    }

    @Test("of tags and fields of one key the last counts, whatever its kind")
    func repeatedKeys() {
        check("m,a=1,a=2 v=1,w=2,v=\"x\" 1", gives: "m,a=2 v=\"x\",w=2 1")
    }

    @Test("series and schemas are the same objects for lines of the same shape")
    func interning() {
        let (samples, _) = parse("m,a=1 v=1,w=2i 1\nm,a=1 v=5,w=6i 2\nm,a=2 v=5,w=6i 2\nm,a=1 v=1 3\nm,a=1 v=1i 4\n")
        #expect(samples.rows[0].series === samples.rows[1].series)
        #expect(samples.rows[0].schema === samples.rows[1].schema)
        #expect(samples.rows[0].series !== samples.rows[2].series)
        #expect(samples.rows[0].schema === samples.rows[2].schema)
        #expect(encoded(samples) == "m,a=1 v=1,w=2i 1\nm,a=1 v=5,w=6i 2\nm,a=2 v=5,w=6i 2\nm,a=1 v=1 3\nm,a=1 v=1i 4\n")
    }

    @Test("lines of one series whose fields change are read as they are")
    func changingShapes() {
        let lines = [
            "m a=1,b=2,c=3 1", "m a=1,c=3 2", "m a=1,b=\"x\",c=3 3", "m a=1,b=2,c=3,d=4 4", "m b=2 5", "m a=1,b=2 6",
            "m a=1,bb=2 7",
        ]
        #expect(encoded(parse(lines.joined(separator: "\n")).samples) == lines.joined(separator: "\n") + "\n")
    }

    @Test("what is remembered stays within its bound, and every line is right all the same")
    func manySeries() {
        var parser = LineProtocolParser()
        var rows = 0
        for round in 0..<20 {
            let text = (0..<5_000).map { "m,n=\(round * 5_000 + $0) f\($0 % 50)=1 1" }.joined(separator: "\n")
            let (samples, issues) = parser.parse(all: Array(text.utf8), at: Self.now)
            #expect(issues.count == 0)
            rows += samples.rows.count
            #expect(samples.rows.last?.series.tags == [Tag("n", "\(round * 5_000 + 4_999)")])
        }
        #expect(rows == 100_000)
        #expect(parser.knownSeries <= 2 * 8_192)
    }

    @Test("a set is handed over when it is full, and the rest follows")
    func chunks() {
        var limits = LineProtocolParser.Limits()
        limits.rows = 3
        var parser = LineProtocolParser(limits: limits)
        let bytes = Array((1...8).map { "m v=\($0) 1\n" }.joined().utf8)
        var position = LineProtocolParser.Position()
        var issues = LineIssues()
        var counts: [Int] = []
        bytes.withUnsafeBufferPointer { bytes in
            var isMore = true
            while isMore {
                var samples = SampleSet()
                isMore = parser.parse(bytes, from: &position, at: Self.now, into: &samples, &issues)
                counts.append(samples.rows.count)
            }
        }
        #expect(counts == [3, 3, 2])
        #expect(position.line == 8)
    }

    @Test("a text cut at any byte gives points or issues, never a trap")
    func cuts() {
        let text = Array("cpu,host=a\\ b,x=y u=1.5e3,n=-2i,k=3u,ok=true,s=\"x\\\"\ny\\\\\" 10\n#c\n\nm v=1\r\n".utf8)
        for end in 0...text.count {
            for start in 0...end {
                var parser = LineProtocolParser()
                let (samples, issues) = parser.parse(all: Array(text[start..<end]), at: Self.now)
                #expect(samples.isComplete)
                #expect(samples.rows.count + issues.count <= 6)
            }
        }
    }

    @Test("what the encoder writes is read back as it was")
    func roundTrip() {
        var random = SystemRandomNumberGenerator()
        let alphabet = Array("ab,= \\\"\u{E4}t1\u{1F600}")
        func text(_ range: ClosedRange<Int>) -> String {
            String(
                (0..<Int.random(in: range, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
        }
        for _ in 0..<2_000 {
            let series = Series("m" + text(0...4), tags: [Tag("k" + text(0...3), text(0...4) + "v")])
            let schema = Schema([.float("f" + text(0...3)), .string("g" + text(0...3)), .int("h" + text(0...2))])
            var set = SampleSet()
            set.append(series, schema, at: Timestamp(nanoseconds: Int64.random(in: -5...5, using: &random)))
            set.float(Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random)))
            set.string(text(0...6))
            set.int(Int64.random(in: .min ... .max, using: &random))
            let written = encoded(set)
            guard !written.hasPrefix("#") else { continue }
            let (read, issues) = parse(written)
            #expect(issues.texts == [], "\(written)")
            #expect(encoded(read) == written)
        }
    }
}
