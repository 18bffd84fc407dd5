import Testing

@testable import Pipeline

@Suite("Regular expressions")
struct RE2PatternTests {
    private func check(_ pattern: String, in text: String, gives groups: [String]?, _ line: Int = #line) {
        do throws(RE2Pattern.SyntaxError) {
            let compiled = try RE2Pattern("(\(pattern))")
            #expect(compiled.groups(of: text) == groups, "line \(line): \(pattern) in \(text)")
            #expect(compiled.matches(text) == (groups != nil), "line \(line): \(pattern) in \(text)")
        } catch {
            Issue.record("line \(line): \(error)")
        }
    }

    private func replace(
        _ pattern: String, _ text: String, _ template: String, gives result: String?, _ line: Int = #line
    )
        throws
    {
        let ours = try RE2Pattern(pattern).replacing(in: text, with: RE2Replacement(template))
        #expect(ours == result, "line \(line): \(pattern)")
    }

    @Test("literals, sets, loops and alternatives match leftmost, in order of preference")
    func matches() {
        check("", in: "", gives: [""])
        check("", in: "abc", gives: [""])
        check("b", in: "abc", gives: ["b"])
        check("x", in: "abc", gives: nil)
        check("a|ab", in: "ab", gives: ["a"])
        check("ab|a", in: "ab", gives: ["ab"])
        check("a*", in: "aaa", gives: ["aaa"])
        check("a*?", in: "aaa", gives: [""])
        check("a+?b", in: "aab", gives: ["aab"])
        check("(a+)(b*)", in: "xaabb", gives: ["aabb", "aa", "bb"])
        check("(a|b)*c", in: "ababc", gives: ["ababc", "b"])
        check("(a)|(b)", in: "b", gives: ["b", "", "b"])
        check("[a-c]+", in: "xxabcd", gives: ["abc"])
        check("[^a-c]+", in: "abxyc", gives: ["xy"])
        check("[]a]+", in: "x]a]", gives: ["]a]"])
        check("[a-]+", in: "-a-", gives: ["-a-"])
        check(#"[\d.]+"#, in: "v1.25x", gives: ["1.25"])
        check(#"[^\d]+"#, in: "12ab34", gives: ["ab"])
        check(#"[\D]+"#, in: "12ab34", gives: ["ab"])
        check("[[:alpha:]_]+", in: "12ab_34", gives: ["ab_"])
        check("[[:^alpha:]]+", in: "ab12", gives: ["12"])
        check(".", in: "\n", gives: nil)
        check("(?s).", in: "\n", gives: ["\n"])
        check("(?:ab){2}", in: "ababab", gives: ["abab"])
        check("a{2,3}", in: "aaaa", gives: ["aaa"])
        check("a{2,}?", in: "aaaa", gives: ["aa"])
        check("a{,2}", in: "a{,2}", gives: ["a{,2}"])
        check("a{0}b", in: "ab", gives: ["b"])
        check("(a*)*", in: "b", gives: ["", ""])
        check("(a|b)??b", in: "bb", gives: ["b", ""])
    }

    @Test("places: ends of text, of lines, of words")
    func assertions() {
        check("^b", in: "ab", gives: nil)
        check("^a", in: "ab", gives: ["a"])
        check("a$", in: "ba", gives: ["a"])
        check("a$", in: "a\n", gives: nil)
        check("(?m)a$", in: "a\nb", gives: ["a"])
        check("(?m)^b$", in: "a\nb\nc", gives: ["b"])
        check(#"\Ab"#, in: "a\nb", gives: nil)
        check(#"b\z"#, in: "ab", gives: ["b"])
        check(#"\bcat\b"#, in: "a cat sat", gives: ["cat"])
        check(#"\bcat\b"#, in: "concat", gives: nil)
        check(#"\Bcat"#, in: "concat", gives: ["cat"])
        check("^$", in: "", gives: [""])
    }

    @Test("flags, escapes, quotes, categories and characters beyond ASCII")
    func syntax() {
        check("(?i)straße", in: "STRAßE", gives: ["STRAßE"])
        check("(?i)[a-z]+", in: "12AbC", gives: ["AbC"])
        check("(?i:a)b", in: "Ab", gives: ["Ab"])
        check("(?i:a)b", in: "AB", gives: nil)
        check("(?i)é", in: "É", gives: ["É"])
        check("(?U)a+", in: "aaa", gives: ["a"])
        check("(?U)a+?", in: "aaa", gives: ["aaa"])
        check(#"\Qa.b*\Ec"#, in: "xa.b*c", gives: ["a.b*c"])
        check(#"\x41\x{1F600}\t"#, in: "A😀\t", gives: ["A😀\t"])
        check(#"\.\*\/\-"#, in: ".*/-", gives: [".*/-"])
        check(#"\p{Lu}\pL+"#, in: "éÉéx", gives: ["Ééx"])
        check(#"\PL+"#, in: "ab12", gives: ["12"])
        check(#"[\p{N}x]+"#, in: "ab1x", gives: ["1x"])
        check("ü+", in: "grüün", gives: ["üü"])
        check(#"(?P<a>\w)(?<b>\d)"#, in: "-x1", gives: ["x1", "x", "1"])
    }

    @Test("what cannot be matched in linear time, or is no expression, is refused with the reason")
    func refused() {
        for pattern in [
            "(", ")", "a)", "[", "[a", "[b-a]", "*", "+a", "a**", "a{2}{3}", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)",
            #"(a)\1"#, #"\"#, #"\y"#, #"[\y]"#, #"\p{Greek}"#, #"\p{"#, #"\x1"#, #"\x{110000}"#, "(?P<a>x)(?P<a>y)",
            "(?P<>x)", "(?P<a-b>x)", "(?z)", "(?i", "a{1001}", "a{3,2}", "(((a{100}){100}){100})", "[[:nope:]]", #"\8"#,
            String(repeating: "(", count: 200) + String(repeating: ")", count: 200), #"\C"#, #"\G"#,
            String(repeating: "a", count: 5_000),
        ] {
            #expect(throws: RE2Pattern.SyntaxError.self, "\(pattern.prefix(40))") { try RE2Pattern(pattern) }
        }
    }

    @Test("every match is replaced, and references name groups")
    func replaces() throws {
        try replace("a", "banana", "o", gives: "bonono")
        try replace("x", "banana", "o", gives: nil)
        try replace("", "abc", "-", gives: "-a-b-c-")
        try replace("b*", "abc", "-", gives: "-a-c-")
        try replace("^(\\d)\\d\\d$", "200", "${1}xx", gives: "2xx")
        try replace("^/api(?P<method>/[\\w/]+)\\S*", "/api/search/?category=plugins", "${method}", gives: "/search/")
        try replace(".*category=(\\w+).*", "/api?category=plugins&q=regex", "${1}", gives: "plugins")
        try replace("(a)(b)", "ab", "$2$1", gives: "ba")
        try replace("(a)", "a", "$1x", gives: "")
        try replace("(a)", "a", "${1}x", gives: "ax")
        try replace("(a)", "a", "$$1 $9 ${9} ${nope}|", gives: "$1   |")
        try replace("a", "a", "$ ${ ${} $-", gives: "$ ${ ${} $-")
        try replace("(?P<first>\\w+) (?P<last>\\w+)", "Ada Lovelace", "$last, $first", gives: "Lovelace, Ada")
        try replace("é", "né", "e", gives: "ne")
        try replace("(a)|b", "ab", "[$1]", gives: "[a][]")
        try replace("$", "ab", "!", gives: "ab!")
        try replace("(?m)^", "a\nb", "> ", gives: "> a\n> b")
    }

    @Test("patterns that are exponential elsewhere are linear here")
    func linear() throws {
        let text = String(repeating: "a", count: 3_000)
        #expect(try RE2Pattern("(a+)+$").matches(text + "b") == false)
        #expect(try RE2Pattern("(a|aa)+$").matches(text + "b") == false)
        #expect(try RE2Pattern("(x+x+)+y").matches(text) == false)
        #expect(try RE2Pattern("(?:a?){100}a{100}").matches(String(repeating: "a", count: 100)))
    }

    @Test("a text beyond the limit does not match, and replacing does bounded work")
    func bounds() throws {
        let pattern = try RE2Pattern("a")
        #expect(pattern.matches(String(repeating: "a", count: RE2Pattern.textLimit)))
        #expect(pattern.matches(String(repeating: "a", count: RE2Pattern.textLimit + 1)) == false)
        // Each search reads to the end; what is beyond the work limit stays as it is.
        let quadratic = try RE2Pattern("a.*b|a")
        let text = String(repeating: "a", count: 20_000)
        let result = try #require(quadratic.replacing(in: text, with: RE2Replacement("c")))
        #expect(result.utf8.count == text.utf8.count)
        #expect(result.hasPrefix("ccccc"))
    }

    @Test("a pattern cut anywhere is a pattern or an error")
    func cut() {
        let sample = Array(#"^(?P<a>[\w\-.]{2,5}?|(?i:x)\x{41}[[:alpha:]]*)\b\p{Lu}\Q.\E$"#.unicodeScalars)
        for start in sample.indices {
            for end in start...sample.count {
                var text = String.UnicodeScalarView()
                text.append(contentsOf: sample[start..<end])
                let pattern = try? RE2Pattern(String(text))
                _ = pattern?.replacing(in: "ab-cd.XA zz", with: RE2Replacement(String(text)))
            }
        }
    }
}
