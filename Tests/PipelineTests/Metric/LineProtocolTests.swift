import Testing

@testable import Pipeline

// Swift Testing has a Tag too.
private typealias Tag = Pipeline.Tag

@Suite("Line protocol")
struct LineProtocolTests {
    private enum Value {
        case int(Int64), uint(UInt64), float(Double), bool(Bool), string(String)

        var kind: FieldKind {
            switch self {
            case .int: .int
            case .uint: .uint
            case .float: .float
            case .bool: .bool
            case .string: .string
            }
        }
    }

    private func line(
        _ name: String, _ tags: [Tag] = [], _ fields: [(String, Value)], time: Int64 = 1,
        _ options: LineProtocol.Options = LineProtocol.Options()
    ) throws(LineProtocol.EncodingError) -> String {
        let schema = Schema(fields.map { Schema.Field($0.0, $0.1.kind) })
        let series = Series(name, tags: tags)
        var set = SampleSet()
        set.append(series, schema, at: Timestamp(nanoseconds: time))
        for (_, value) in fields {
            switch value {
            case .int(let value): set.int(value)
            case .uint(let value): set.uint(value)
            case .float(let value): set.float(value)
            case .bool(let value): set.bool(value)
            case .string(let value): set.string(value)
            }
        }
        guard let header = LineProtocol.header(series.measurement, series.tags) else { throw .invalidName }
        var out = ByteWriter()
        try LineProtocol.append(
            header: header, schema: schema, columns: schema.lineOrder, set: set, firstCell: 0,
            time: Timestamp(nanoseconds: time), options: options, to: &out)
        return String(decoding: out.bytes, as: UTF8.self)
    }

    @Test("every kind of field, sorted by key")
    func kinds() throws {
        let text = try line(
            "cpu", [Tag("host", "h"), Tag("cpu", "cpu0")],
            [
                ("u", .uint(7)), ("s", .string("x")), ("i", .int(-3)), ("f", .float(1.5)), ("b", .bool(true)),
                ("c", .bool(false)),
            ],
            time: 1_700_000_000_000_000_000)
        #expect(text == "cpu,cpu=cpu0,host=h b=true,c=false,f=1.5,i=-3i,s=\"x\",u=7i 1700000000000000000\n")
    }

    @Test("unsigned values stop at the largest signed one, or carry u")
    func unsigned() throws {
        #expect(try line("m", [], [("v", .uint(.max))]) == "m v=9223372036854775807i 1\n")
        let options = LineProtocol.Options(uintSupport: true)
        #expect(try line("m", [], [("v", .uint(.max))], options) == "m v=18446744073709551615u 1\n")
    }

    @Test("names escape comma and blank, not the equals sign")
    func names() throws {
        #expect(try line("a b,c=d", [], [("v", .int(1))]) == "a\\ b\\,c=d v=1i 1\n")
        #expect(try line("a\tb\nc\u{C}d\re", [], [("v", .int(1))]) == "a\\tb\\nc\\fd\\re v=1i 1\n")
        #expect(throws: LineProtocol.EncodingError.invalidName) { try line("", [], [("v", .int(1))]) }
    }

    @Test("tag keys, tag values and field keys escape the equals sign too")
    func tagsAndKeys() throws {
        let text = try line("m", [Tag("a=b", "c d,e=f")], [("x =,y", .int(1))])
        #expect(text == "m,a\\=b=c\\ d\\,e\\=f x\\ \\=\\,y=1i 1\n")
    }

    @Test("trailing backslashes of tags and keys go, inner ones stay")
    func backslashes() throws {
        #expect(try line("m", [Tag("k\\", "v\\\\")], [("f\\", .int(1))]) == "m,k=v f=1i 1\n")
        #expect(try line("m", [Tag("k", "a\\b")], [("f", .int(1))]) == "m,k=a\\b f=1i 1\n")
        #expect(try line("m", [Tag("k", "\\")], [("f", .int(1))]) == "m f=1i 1\n")
    }

    @Test("empty tags and field keys are left out")
    func empty() throws {
        #expect(
            try line("m", [Tag("a", ""), Tag("", "b"), Tag("c", "d")], [("", .int(9)), ("f", .int(1))])
                == "m,c=d f=1i 1\n")
    }

    @Test("strings escape quotes and backslashes, newlines stay raw, empty ones are written")
    func strings() throws {
        #expect(try line("m", [], [("s", .string("a\"b\\c\nd"))]) == "m s=\"a\\\"b\\\\c\nd\" 1\n")
        #expect(try line("m", [], [("s", .string(""))]) == "m s=\"\" 1\n")
    }

    @Test("NaN and infinities are left out; without another field the point is an error and writes nothing")
    func notFinite() throws {
        #expect(try line("m", [], [("a", .float(.nan)), ("b", .int(1)), ("c", .float(.infinity))]) == "m b=1i 1\n")
        #expect(throws: LineProtocol.EncodingError.noFields) { try line("m", [], [("a", .float(.nan))]) }
        #expect(throws: LineProtocol.EncodingError.noFields) { try line("m", [], []) }
    }

    @Test("timestamps may be negative, and left out")
    func timestamps() throws {
        #expect(try line("m", [], [("v", .int(1))], time: -5) == "m v=1i -5\n")
        #expect(try line("m", [], [("v", .int(1))], LineProtocol.Options(omitTimestamp: true)) == "m v=1i\n")
    }

    @Test("a long point is split by fields, header and time repeated")
    func split() throws {
        let fields: [(String, Value)] = [("a", .int(1)), ("b", .int(2)), ("c", .int(3))]
        #expect(try line("m", [], fields, LineProtocol.Options(maxLineBytes: 14)) == "m a=1i,b=2i 1\nm c=3i 1\n")
        #expect(try line("m", [], fields, LineProtocol.Options(maxLineBytes: 9)) == "m a=1i 1\nm b=2i 1\nm c=3i 1\n")
        #expect(try line("m", [], fields, LineProtocol.Options(maxLineBytes: 19)) == "m a=1i,b=2i,c=3i 1\n")
        #expect(throws: LineProtocol.EncodingError.needMoreSpace) {
            try line("m", [], fields, LineProtocol.Options(maxLineBytes: 8))
        }
    }

    @Test("a field that does not fit alone is an error after the lines before it")
    func splitWithHugeField() throws {
        let schema = Schema([.int("a"), .string("b")])
        var set = SampleSet()
        set.append(Series("m"), schema, at: .zero)
        set.int(1)
        set.string(String(repeating: "x", count: 50))
        var out = ByteWriter()
        var thrown: LineProtocol.EncodingError?
        do throws(LineProtocol.EncodingError) {
            try LineProtocol.append(
                header: Array("m ".utf8), schema: schema, columns: schema.lineOrder, set: set, firstCell: 0,
                time: .zero, options: LineProtocol.Options(maxLineBytes: 20), to: &out)
        } catch { thrown = error }
        #expect(thrown == .needMoreSpace)
        #expect(String(decoding: out.bytes, as: UTF8.self) == "m a=1i 0\n")
    }

    @Test("only the chosen columns are written")
    func columns() throws {
        let schema = Schema([.int("b"), .int("a")])
        var set = SampleSet()
        set.append(Series("m"), schema, at: .zero)
        set.int(1)
        set.int(2)
        var out = ByteWriter()
        let lines = try LineProtocol.append(
            header: Array("m ".utf8), schema: schema, columns: [1], set: set, firstCell: 0, time: .zero,
            options: .init(),
            to: &out)
        #expect(lines == 1)
        #expect(String(decoding: out.bytes, as: UTF8.self) == "m a=2i 0\n")
    }

    @Test("a line never holds a raw line feed outside of a string")
    func hostileNames() throws {
        var random = SplitMix(seed: 3)
        let alphabet = Array("a,= \\\"\n\r\t\u{C}é#")
        for _ in 0..<5_000 {
            func word() -> String {
                String(
                    (0..<Int.random(in: 1...6, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a"
                    })
            }
            guard let text = try? line(word(), [Tag(word(), word())], [(word(), .int(1))]) else { continue }
            #expect(text.utf8.filter { $0 == UInt8(ascii: "\n") }.count == 1, "\(text)")
            #expect(text.hasSuffix("=1i 1\n"), "\(text)")
        }
    }
}
