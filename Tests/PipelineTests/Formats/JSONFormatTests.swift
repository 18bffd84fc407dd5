import Testing

@testable import Pipeline

@Suite("Reading JSON as points")
struct JSONFormatTests {
    private static let now = Timestamp(nanoseconds: 99)

    private func read(
        _ text: String, lines: Bool = false, _ settings: [String: OptionValue] = [:]
    ) throws -> (lines: String, errors: [String]) {
        var all = settings
        all["data_format"] = .string("json")
        let options = OptionValues(ForeignData.options(fallback: "json"), set: all)
        var data = try ForeignData(options: options, measurement: "exec")
        let bytes = Array(text.utf8)
        let result = lines ? data.read(lines: bytes, at: Self.now) : data.read(bytes, at: Self.now)
        var encoder = StreamEncoder(limits: BatchLimits(points: .max, bytes: .max))
        encoder.setRules(InputRules(transforms: [], precision: .zero), for: "x")
        _ = encoder.add(result.samples, from: "x")
        return (encoder.seal { lines, _, _ in String(decoding: lines, as: UTF8.self) } ?? "", result.errors)
    }

    @Test("nested keys are joined, arrays numbered, numbers are floats, the rest is left out")
    func flattening() throws {
        let text = #"{"a":5,"b":{"c":6,"d":[1,{"e":2.5}]},"s":"x","t":true,"n":null,"_u_":1}"#
        #expect(try read(text).lines == "exec a=5,b_c=6,b_d_0=1,b_d_1_e=2.5,u=1 99\n")
    }

    @Test("tags, strings, name and time are where the options say")
    func options() throws {
        let text = #"[{"host":"a","n":7,"v":1,"msg":"up","ok":true,"m":"cpu","at":1.5},{"host":"b","v":2,"at":2}]"#
        let settings: [String: OptionValue] = [
            "tag_keys": .strings(["ho*", "n"]), "json_string_fields": .strings(["msg", "ok"]),
            "json_name_key": .string("m"), "json_time_key": .string("at"), "json_time_format": .string("unix"),
        ]
        let (lines, errors) = try read(text, settings)
        #expect(errors == [])
        #expect(lines == "cpu,host=a,n=7 msg=\"up\",ok=true,v=1 1500000000\nexec,host=b v=2 2000000000\n")
    }

    @Test("a query finds the part to read")
    func query() throws {
        let text = #"{"data":{"items.x":[{"v":1},{"v":2}]}}"#
        #expect(try read(text, ["json_query": .string("data.items\\.x.1")]).lines == "exec v=2 99\n")
        #expect(try read(text, ["json_query": .string("data.none")]).errors == ["json_query finds nothing"])
        #expect(throws: FormatError.self) { try read(text, ["json_query": .string("a.#(x=1)")]) }
    }

    @Test("a bad element costs the array when strict, itself when not")
    func strictness() throws {
        let strict = try read(#"[{"v":1},5]"#)
        #expect(strict.lines == "" && strict.errors == ["an element is no object"])
        let lax = try read(#"[{"v":1},5]"#, ["json_strict": .bool(false)])
        #expect(lax.lines == "exec v=1 99\n" && lax.errors.count == 1)
    }

    @Test("each line is a document where lines are read")
    func lines() throws {
        let (lines, errors) = try read("{\"v\":1}\n\nnonsense\n{\"v\":2}\n", lines: true)
        #expect(lines == "exec v=1 99\nexec v=2 99\n")
        #expect(errors == ["line 3: JSON syntax at byte 1"])
    }

    @Test("times of every form")
    func times() throws {
        func time(_ text: String) -> Int64? { RFC3339.time(text)?.nanoseconds }
        #expect(time("1970-01-01T00:00:00Z") == 0)
        #expect(time("2026-11-21T05:35:25Z") == 1_795_239_325_000_000_000)
        #expect(time("2000-02-29T12:00:00.25+01:30") == 951_820_200_250_000_000)
        #expect(time("2000-02-29 12:00:00Z") == time("2000-02-29t12:00:00z"))
        #expect(time("1969-12-31T23:59:59.5Z") == -500_000_000)
        for wrong in [
            "", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+1:00", "x026-01-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
        ] {
            #expect(time(wrong) == nil, "\(wrong)")
        }
        #expect(throws: FormatError.self) { try TimeFormat("Mon Jan 2") }
    }

    @Test("a document cut at any byte gives an error, never a trap")
    func cuts() throws {
        let text = #"[{"a":{"b":[1,2.5e3,"x"]},"at":"2026-11-21T05:35:25Z"}]"#
        for end in 0..<text.utf8.count {
            let (lines, errors) = try read(String(text.prefix(end)))
            #expect(lines == "" && errors.count == 1)
        }
    }
}
