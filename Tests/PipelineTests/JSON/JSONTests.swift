import Pipeline
import Testing

@Suite struct JSONTests {
    @Test("integers stay exact up to the bounds of Int64 and UInt64, beyond they become doubles")
    func integersAreExact() throws {
        #expect(try JSONValue.parse("9223372036854775807") == .integer(.max))
        #expect(try JSONValue.parse("-9223372036854775808") == .integer(.min))
        #expect(try JSONValue.parse("9223372036854775808") == .unsigned(1 << 63))
        #expect(try JSONValue.parse("18446744073709551615") == .unsigned(.max))
        #expect(try JSONValue.parse("18446744073709551616") == .number(18446744073709551616))
        #expect(try JSONValue.parse("-0").double?.sign == .minus)
        #expect(try JSONValue.parse("1.5e3") == .number(1500))
        #expect(try JSONValue.parse("5.0").int64 == 5)
    }

    @Test("every form of value is read, members keep their order")
    func readsAllForms() throws {
        let value = try JSONValue.parse(" {\"b\":[1,true,null,\"x\"],\"a\":{}, \"c\":[]}\n")
        #expect(value.members?.map(\.key) == ["b", "a", "c"])
        #expect(value["b"]?[3]?.string == "x")
        #expect(value["b"]?[4] == nil)
        #expect(value["zz"] == nil)
        #expect(value.description == "{\"b\":[1,true,null,\"x\"],\"a\":{},\"c\":[]}")
    }

    @Test("escapes and surrogate pairs are decoded")
    func decodesEscapes() throws {
        let text = #""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\u0000""#
        #expect(try JSONValue.parse(text).string == "a\"\\/\u{8}\u{c}\n\r\té😀\0")
    }

    @Test(
        "what is not JSON is refused with its place",
        arguments: [
            ("", "truncated", 0), ("{", "truncated", 1), ("[1,]", "syntax", 3), ("{\"a\":1,}", "syntax", 7),
            ("nul", "truncated", 3), ("nulx", "syntax", 3), ("01", "trailing", 1), ("1.", "truncated", 2),
            ("+1", "syntax", 0), ("-", "truncated", 1), ("1e999", "badNumber", 0), ("NaN", "syntax", 0),
            ("\"a\nb\"", "badString", 2), (#""\ud800""#, "badString", 3), (#""\udc00""#, "badString", 3),
            (#""\ud800\u0041""#, "badString", 3), (#""\x""#, "badString", 2), (#""\u12g4""#, "badString", 5),
            ("{\"a\":1,\"a\":2}", "duplicateKey", 7), ("1 2", "trailing", 2), ("{1:2}", "syntax", 1),
            ("[1 2]", "syntax", 3), ("// x", "syntax", 0), ("{\"a\" 1}", "syntax", 5),
        ])
    func refuses(text: String, code: String, offset: Int) {
        do {
            let value = try JSONValue.parse(text)
            Issue.record("\(text) gave \(value)")
        } catch {
            #expect(error.code.rawValue == code)
            #expect(error.offset == offset)
        }
    }

    @Test("bytes that are not UTF-8 are refused")
    func refusesBadUTF8() {
        #expect(throws: JSONError(.badString, at: 0)) { try JSONValue.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONError(.badString, at: 0)) { try JSONValue.parse([0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    @Test("64 levels are read, 65 and a million are refused")
    func boundsDepth() throws {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        _ = try JSONValue.parse(nested(64))
        #expect(throws: JSONError(.tooDeep, at: 64)) { try JSONValue.parse(nested(65)) }
        #expect(throws: JSONError(.tooDeep, at: 64)) { try JSONValue.parse(nested(1_000_000)) }
        #expect(throws: JSONError(.tooLong, at: 10)) { try JSONValue.parse(nested(6), bytesLimit: 10) }
    }

    @Test("a text cut at any byte is refused and never traps")
    func survivesTruncation() throws {
        let text = Array(#"{"a":[1,-2.5e+3,true,false,null,"x\u00e9\ud83d\ude00"],"b":{"c":""}}"#.utf8)
        for length in 0..<text.count {
            #expect(throws: JSONError.self) { try JSONValue.parse(Array(text.prefix(length))) }
        }
        #expect(try JSONValue.parse(text)["b"]?["c"]?.string == "")
    }

    @Test("what is written reads back the same, compact and indented")
    func roundTrips() throws {
        let value: JSONValue = [
            "s": "q\"\\\n\u{1}\u{7f}é😀", "n": nil, "i": -5, "u": .unsigned(.max), "d": 0.1, "big": 1e300,
            "a": [[], [1, [:]], "x"], "e": [:],
        ]
        #expect(try JSONValue.parse(value.encoded()) == value)
        #expect(try JSONValue.parse(value.encoded(indent: true)) == value)
        #expect(
            String(decoding: JSONValue.array([1, ["k": 2]]).encoded(indent: true), as: UTF8.self)
                == "[\n  1,\n  {\n    \"k\": 2\n  }\n]")
        #expect(JSONValue.number(.nan).description == "null")
    }
}
