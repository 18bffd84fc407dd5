import Testing

@testable import Pipeline

@Suite("TOML")
struct TOMLParserTests {
    private func parse(_ text: String) -> (tree: ConfigNode, issues: [ConfigIssue]) {
        TOMLParser.parse(Array(text.utf8), file: "f")
    }

    /// The value of `v = text`.
    private func value(_ text: String, at place: SourceLocation = #_sourceLocation) -> ConfigNode.Kind? {
        let (tree, issues) = parse("v = \(text)\n")
        #expect(issues == [], sourceLocation: place)
        return tree["v"]?.kind
    }

    private func errorLine(_ text: String) -> Int? { parse(text).issues.first?.origin.line }

    @Test("strings of all four kinds, with their escapes")
    func strings() {
        #expect(value(#""a\"\\\b\t\n\f\r\u00e9\U0001F600""#) == .string("a\"\\\u{8}\t\n\u{C}\ré😀"))
        #expect(value(#"'a\b"'"#) == .string(#"a\b""#))
        #expect(value("\"\"\"\na\n b\"\"\"") == .string("a\n b"))
        #expect(value("\"\"\"a\\\n   \n  b\"\"\"") == .string("ab"))
        #expect(value("\"\"\"a\"\"b\"\"\"\"\"") == .string("a\"\"b\"\""))
        #expect(value("'''\na'b\\\n'''") == .string("a'b\\\n"))
        #expect(value("\"\"") == .string(""))
        #expect(value("''") == .string(""))
        #expect(value("\"\\u0000\"") == .string("\0"))
    }

    @Test("numbers")
    func numbers() {
        #expect(value("0") == .integer(0))
        #expect(value("-17") == .integer(-17))
        #expect(value("+1_000") == .integer(1000))
        #expect(value("0xDEAD_beef") == .integer(0xDEAD_BEEF))
        #expect(value("0o755") == .integer(0o755))
        #expect(value("0b11") == .integer(3))
        #expect(value("-9223372036854775808") == .integer(.min))
        #expect(value("1.5") == .float(1.5))
        #expect(value("-0.25e+2") == .float(-25))
        #expect(value("6e10") == .float(6e10))
        #expect(value("inf") == .float(.infinity))
        #expect(value("1_0.0_1") == .float(10.01))
    }

    @Test("booleans and dates")
    func others() {
        #expect(value("true") == .bool(true))
        #expect(value("false # x") == .bool(false))
        for date in ["1979-05-27", "1979-05-27T07:32:00Z", "1979-05-27 07:32:00.5-07:00", "07:32:00"] {
            #expect(value(date) == .moment(date))
        }
    }

    @Test("lists go over lines, tables on one line nest")
    func lists() {
        let (tree, issues) = parse("a = [ 1, # one\n 2,\n]\nb = { x = 1, y.z = [ { q = 'w' } ] }\nc = []\nd = {}\n")
        #expect(issues == [])
        guard case .array(let nodes)? = tree["a"]?.kind else {
            Issue.record("no list")
            return
        }
        #expect(nodes.map(\.kind) == [.integer(1), .integer(2)])
        #expect(nodes.map(\.origin.line) == [1, 2])
        #expect(tree["b"]?["x"]?.kind == .integer(1))
        guard case .array(let inner)? = tree["b"]?["y"]?["z"]?.kind else {
            Issue.record("no list")
            return
        }
        #expect(inner.first?["q"]?.kind == .string("w"))
        #expect(tree["c"]?.kind == .array([]))
        #expect(tree["d"]?.kind == .table([]))
    }

    @Test("sections, lists of sections, dotted and quoted keys, each with its line")
    func sections() {
        let (tree, issues) = parse(
            """
            # comment
            top = 1
            [a.b]
            "quoted key" = 2
            c . d = 3

            [[list]]
            x = 1
              [list.sub]
              y = 2
            [[list]]
            x = '''
            two
            lines'''
            after = 4
            [a]
            z = 5

            """)
        #expect(issues == [])
        #expect(tree["top"]?.origin.line == 2)
        #expect(tree["a"]?["b"]?["quoted key"]?.origin.line == 4)
        #expect(tree["a"]?["b"]?["c"]?["d"]?.kind == .integer(3))
        guard case .array(let tables)? = tree["list"]?.kind else {
            Issue.record("no list")
            return
        }
        #expect(tables.map(\.origin.line) == [7, 11])
        #expect(tables.first?["sub"]?["y"]?.origin.line == 10)
        #expect(tables.last?["after"]?.origin.line == 15)
        #expect(tree["a"]?["z"]?.origin.line == 17)
    }

    @Test("a byte order mark, CR LF and a missing last line end do no harm")
    func lineEnds() {
        let (tree, issues) = parse("\u{FEFF}a = 1\r\n# c\r\n[s]\r\nb = \"\"\"\r\nx\r\n\"\"\"\r\nc = [\r\n1\r\n]")
        #expect(issues == [])
        #expect(tree["a"]?.kind == .integer(1))
        #expect(tree["s"]?["b"]?.kind == .string("x\r\n"))
        #expect(tree["s"]?["c"]?.origin.line == 7)
    }

    @Test(
        "what is no TOML is an error with its line",
        arguments: [
            "a", "a =", "= 1", "a = 1 b = 2", "a = b", "[a", "[a]]", "[[a]", "[]", "a = 01", "a = 1__0", "a = _1",
            "a = 1.",
            "a = .5", "a = 1e", "a = 0x", "a = 0x_1", "a = +0x1", "a = 9223372036854775808", "a = \"x", "a = 'x",
            "a = \"\"\"x",
            "a = \"\\q\"", "a = \"\\u12\"", "a = \"\\ud800\"", "a = \"\u{1}\"", "a = [1 2]", "a = [1", "a = {b = 1,}",
            "a = {b = 1", "a = {b = 1\n}", "a = ${LIMIT}", "a.b", "\"a\nb\" = 1", "# \u{1}", "a = True",
        ])
    func broken(statement: String) {
        let line = errorLine("x = 1\n\(statement)\n")
        #expect(line == 2 || line == 3, "\(statement)")
    }

    @Test(
        "nothing is defined twice",
        arguments: [
            "a = 1\na = 2", "[a]\n[a]", "a = 1\n[a]", "[[a]]\n[a]", "[a]\n[[a]]", "a = []\n[[a]]", "a.b = 1\na.b.c = 2",
            "[a.b]\n[a]\nb.c = 1", "a = {}\na.b = 1", "a = { b = 1, b = 2 }", "[a]\nb.c = 1\n[a.b]",
        ])
    func twice(text: String) {
        #expect(!parse(text).issues.isEmpty, "\(text)")
    }

    @Test("after an error the next statements are read, so that all errors show at once")
    func recovery() {
        let (tree, issues) = parse("a = 1\nb = x\n[s\nhidden = 1\n[t]\nc = 0755\nd = 2\n")
        #expect(issues.map(\.origin.line) == [2, 3, 6])
        #expect(tree["a"]?.kind == .integer(1))
        #expect(tree["t"]?["d"]?.kind == .integer(2))
        #expect(tree["hidden"] == nil)
    }

    @Test("bytes that are not UTF-8 are an error with their line")
    func invalidUTF8() {
        let issues = TOMLParser.parse(Array("a = 1\nb = \"".utf8) + [0xFF] + Array("\"\n".utf8), file: "f").issues
        #expect(issues.map(\.origin.line) == [2])
    }

    @Test("deep nesting and endless keys are errors, not stack overflows")
    func deep() {
        for text in [
            "a = " + String(repeating: "[", count: 100_000), "a = " + String(repeating: "{a=", count: 100_000),
            String(repeating: "a.", count: 100_000) + "a = 1", "[" + String(repeating: "a.", count: 100_000) + "a]",
        ] {
            #expect(!parse(text).issues.isEmpty)
        }
        #expect(!TOMLParser.parse([UInt8](repeating: 0x20, count: TOMLParser.sizeLimit + 1), file: "f").issues.isEmpty)
    }

    @Test("no truncation and no changed byte of a real file makes it trap")
    func mutated() {
        let text = Array(
            """
            [agent]\n  interval = "60s"\n[[outputs.influxdb]]\n  urls = ["https://h:1", 'x']
              insecure_skip_verify = true
            [[inputs.cpu]]\n  a.b = { c = [1, 2.5e3, 0x1F], d = \"\"\"\nlong\\\n \"\"\" }\n t = 1979-05-27 07:32:00Z\n
            """.utf8)
        for length in 0...text.count { _ = TOMLParser.parse(Array(text[..<length]), file: "f") }
        var random = SplitMix(seed: 11)
        let bytes = Array("[]{}\"'=,.#\n\r\\_-+eE0x1uU \t\u{0}".utf8) + [0xFF, 0xC3]
        for _ in 0..<5_000 {
            var changed = text
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                changed[Int.random(in: 0..<changed.count, using: &random)] = bytes.randomElement(using: &random) ?? 0
            }
            _ = TOMLParser.parse(changed, file: "f")
        }
    }
}
