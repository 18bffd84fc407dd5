import Testing

@testable import Pipeline

@Suite("Remote write messages")
struct RemoteWriteEncoderTests {
    private func encode(_ lines: String, _ version: RemoteWriteEncoder.Version) throws -> [DecodedSeries] {
        var encoder = RemoteWriteEncoder(version: version)
        return try encode(lines, &encoder, version)
    }

    private func encode(
        _ lines: String, _ encoder: inout RemoteWriteEncoder, _ version: RemoteWriteEncoder.Version
    ) throws -> [DecodedSeries] {
        var parser = LineProtocolParser()
        let (samples, issues) = parser.parse(all: Array(lines.utf8), at: .zero)
        #expect(issues.count == 0)
        encoder.add(samples)
        let request = encoder.finish()
        let series = try DecodedSeries.all(request.message, version)
        #expect(request.samples == series.reduce(0) { $0 + $1.samples.count })
        return series
    }

    @Test("the bytes of a message of 1.0 are those of the specification")
    func bytes() {
        var encoder = RemoteWriteEncoder(version: .first)
        var set = SampleSet()
        set.append(Series("up"), Schema([.int("x")]), at: Timestamp(nanoseconds: 300_000_000))
        set.int(1)
        encoder.add(set)
        let label: [UInt8] = [0x0A, 8] + Array("__name__".utf8) + [0x12, 4] + Array("up_x".utf8)
        let sample: [UInt8] = [0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0x10, 0xAC, 0x02]
        let series = [0x0A, UInt8(label.count)] + label + [0x12, UInt8(sample.count)] + sample
        #expect(encoder.finish().message == [0x0A, UInt8(series.count)] + series)
    }

    @Test(
        "every number is a sample, tags are sorted labels, texts are left out",
        arguments: RemoteWriteEncoder.Version.allCases)
    func fields(version: RemoteWriteEncoder.Version) throws {
        let series = try encode(
            "cpu,zone=b,Host=a,empty-name=x usage=1.5,on=true,count=7i,note=\"text\" 1700000000123456789\n", version)
        let labels = [["Host", "a"], ["__name__", "cpu_usage"], ["empty_name", "x"], ["zone", "b"]]
        #expect(series.count == 3)
        let usage = try #require(series.first { $0.labels.contains(["__name__", "cpu_usage"]) })
        #expect(usage.labels == labels)
        #expect(usage.samples == [DecodedSeries.Sample(time: 1_700_000_000_123, value: 1.5)])
        let values = Dictionary(uniqueKeysWithValues: series.map { ($0.labels[1][1], $0.samples[0].value) })
        #expect(values == ["cpu_usage": 1.5, "cpu_on": 1, "cpu_count": 7])
    }

    @Test(
        "samples of a series stand together in order of time, the later of two in one millisecond counts",
        arguments: RemoteWriteEncoder.Version.allCases)
    func order(version: RemoteWriteEncoder.Version) throws {
        let lines = "m v=3 3000000\nm v=1 1000000\nm v=2 2000000\nm v=9 2000001\nm,a=b v=5 1000000\nm v=4 4000000\n"
        let series = try encode(lines, version)
        #expect(series.map(\.labels.count) == [1, 2])
        #expect(series[0].samples.map(\.time) == [1, 2, 3, 4])
        #expect(series[0].samples.map(\.value) == [1, 9, 3, 4])
    }

    @Test("a series whose points have different fields stays one series")
    func shapes() throws {
        let series = try encode("m a=1,b=2 1000000\nm b=3 2000000\nm b=4,c=5 3000000\n", .first)
        let b = try #require(series.first { $0.labels == [["__name__", "m_b"]] })
        #expect(b.samples.map(\.value) == [2, 3, 4])
        #expect(series.count == 3)
    }

    @Test("a message holds only its own samples and texts")
    func separate() throws {
        for version in RemoteWriteEncoder.Version.allCases {
            var encoder = RemoteWriteEncoder(version: version)
            _ = try encode("first,a=b v=1 1000000\n", &encoder, version)
            let second = try encode("second,c=d v=2 2000000\n", &encoder, version)
            #expect(second.map(\.labels) == [[["__name__", "second_v"], ["c", "d"]]])
            #expect(try encode("", &encoder, version).isEmpty)
        }
    }

    private static var notes: MetricNotes {
        var notes = MetricNotes()
        notes.add("t", .init(.histogram, help: "Time.", unit: "seconds"))
        notes.add("c_total", .init(.counter, help: ""))
        return notes
    }

    @Test("1.0 tells of a family once an interval, and again until a server has taken it")
    func metadataOfFirst() throws {
        var declared = MetricNotes()
        declared.add("cpu_usage", .init(.gauge, help: "Share.", unit: "percent"))
        var encoder = RemoteWriteEncoder(version: .first, declared: declared, metadataInterval: .seconds(60))
        encoder.notes = Self.notes
        let lines = "prometheus,le=1 t_bucket=1 1\nprometheus t_sum=1,c_total=2 1\ncpu usage=3 1\nother x=1 1\n"
        func request(at now: Instant) throws -> RemoteWriteEncoder.Request {
            var parser = LineProtocolParser()
            encoder.add(parser.parse(all: Array(lines.utf8), at: .zero).samples)
            return encoder.finish(now: now)
        }
        let all = [
            ["3", "t", "Time.", "seconds"], ["1", "c_total", "", ""], ["2", "cpu_usage", "Share.", "percent"],
        ]
        let start = Instant(nanoseconds: 1)
        #expect(try DecodedSeries.families(request(at: start).message) == all)
        let second = try request(at: start)
        #expect(try DecodedSeries.families(second.message) == all)
        encoder.confirm(second, now: start)
        #expect(try request(at: start + .seconds(59)).families == [])
        #expect(try request(at: start + .seconds(60)).families == ["t", "c_total", "cpu_usage"])
        encoder = RemoteWriteEncoder(version: .first, declared: declared)
        #expect(try request(at: start).families == [])
    }

    @Test("2.0 tells of its family with each series, by references")
    func metadataOfSecond() throws {
        var encoder = RemoteWriteEncoder(version: .second, metadataInterval: .seconds(60))
        encoder.notes = Self.notes
        let series = try encode("prometheus,le=1 t_bucket=1,c_total=4 1\nm x=1 1\n", &encoder, .second)
        #expect(series.map(\.metadata) == [["3", "Time.", "seconds"], ["1", "", ""], []])
    }

    @Test("ends of series and what is not finite keep their bits", arguments: RemoteWriteEncoder.Version.allCases)
    func specials(version: RemoteWriteEncoder.Version) throws {
        var parser = LineProtocolParser(takesSpecials: true)
        let (samples, issues) = parser.parse(all: Array("m a=Stale,b=NaN,c=Inf,d=NegInf 1\n".utf8), at: .zero)
        #expect(issues.count == 0)
        var encoder = RemoteWriteEncoder(version: version)
        encoder.add(samples)
        let values = try DecodedSeries.all(encoder.finish().message, version).map { $0.samples[0].value }
        #expect(values[0].bitPattern == 0x7FF0_0000_0000_0002)
        #expect(values[1].isNaN && !values[1].isStaleMarker && values[2] == .infinity && values[3] == -.infinity)
    }

    @Test("times before 1970 are rounded down")
    func early() throws {
        #expect(try encode("m v=1 -1\n", .first)[0].samples[0].time == -1)
        #expect(try encode("m v=1 -1000000\n", .second)[0].samples[0].time == -1)
        #expect(try encode("m v=1 0\n", .second)[0].samples[0].time == 0)
    }
}

/// A message read back.
struct DecodedSeries: Equatable {
    struct Sample: Equatable {
        var time: Int64
        var value: Double
    }

    var labels: [[String]] = []
    var samples: [Sample] = []
    /// Kind, help text and unit, in 2.0.
    var metadata: [String] = []

    /// Number of the kind, family, help text and unit of each family that a message of 1.0 tells of.
    static func families(_ message: [UInt8]) throws -> [[String]] {
        try fields(message[...]).filter { $0.number == 3 }.map { field in
            var found = ["", "", "", ""]
            for part in try fields(field.run) {
                switch part.number {
                case 1: found[0] = "\(part.value)"
                case 2: found[1] = String(decoding: part.run, as: UTF8.self)
                case 4: found[2] = String(decoding: part.run, as: UTF8.self)
                case 5: found[3] = String(decoding: part.run, as: UTF8.self)
                default: throw Broken()
                }
            }
            return found
        }
    }

    struct Broken: Error {}

    static func all(_ message: [UInt8], _ version: RemoteWriteEncoder.Version) throws -> [DecodedSeries] {
        let fields = try fields(message[...])
        let symbols = fields.filter { $0.number == 4 }.map { String(decoding: $0.run, as: UTF8.self) }
        if version == .second { #expect(symbols.first == "") }
        return try fields.filter { $0.number == (version == .first ? 1 : 5) }.map { field in
            var series = DecodedSeries()
            for part in try DecodedSeries.fields(field.run) {
                switch (part.number, version) {
                case (1, .first):
                    series.labels.append(
                        try DecodedSeries.fields(part.run).map { String(decoding: $0.run, as: UTF8.self) })
                case (1, .second):
                    var rest = part.run
                    while !rest.isEmpty {
                        let (name, value) = (try varint(&rest), try varint(&rest))
                        series.labels.append([symbols[Int(name)], symbols[Int(value)]])
                    }
                case (5, .second):
                    let parts = try DecodedSeries.fields(part.run)
                    series.metadata = [
                        "\(parts[0].value)", symbols[Int(parts[1].value)], symbols[Int(parts[2].value)],
                    ]
                case (2, _):
                    let parts = try DecodedSeries.fields(part.run)
                    series.samples.append(
                        Sample(time: Int64(bitPattern: parts[1].value), value: Double(bitPattern: parts[0].value)))
                default: throw Broken()
                }
            }
            return series
        }
    }

    private struct Field {
        var number: Int
        var value: UInt64 = 0
        var run: ArraySlice<UInt8> = []
    }

    private static func fields(_ bytes: ArraySlice<UInt8>) throws -> [Field] {
        var rest = bytes
        var fields: [Field] = []
        while !rest.isEmpty {
            let key = try varint(&rest)
            var field = Field(number: Int(key >> 3))
            switch key & 7 {
            case 0: field.value = try varint(&rest)
            case 1:
                guard rest.count >= 8 else { throw Broken() }
                field.value = rest.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
                rest = rest.dropFirst(8)
            case 2:
                let count = Int(try varint(&rest))
                guard rest.count >= count else { throw Broken() }
                field.run = rest.prefix(count)
                rest = rest.dropFirst(count)
            default: throw Broken()
            }
            fields.append(field)
        }
        return fields
    }

    private static func varint(_ rest: inout ArraySlice<UInt8>) throws -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard let byte = rest.popFirst(), shift < 64 else { throw Broken() }
            value |= UInt64(byte & 0x7F) << shift
            shift += 7
            if byte < 0x80 { return value }
        }
    }
}
