import Testing

@testable import Pipeline

@Suite("Globs")
struct GlobTests {
    private func check(
        _ pattern: String, _ text: String, gives expected: Bool, separators: String = "",
        at place: SourceLocation = #_sourceLocation
    ) throws {
        let glob = try Glob(pattern, separators: separators)
        #expect(glob.matches(text) == expected, "\(pattern) on \(text)", sourceLocation: place)
    }

    @Test("a star matches any run, dots and slashes too")
    func stars() throws {
        try check("*", "", gives: true)
        try check("*", "a.b/c", gives: true)
        try check("foo*", "foo", gives: true)
        try check("foo*", "foo.bar", gives: true)
        try check("foo*", "barfoo", gives: false)
        try check("*foo", "barfoo", gives: true)
        try check("a*c*e", "abcde", gives: true)
        try check("a*c*e", "abde", gives: false)
    }

    @Test("the whole text must match, and case counts")
    func whole() throws {
        try check("cpu", "cpu", gives: true)
        try check("cpu", "cpu0", gives: false)
        try check("cpu", "CPU", gives: false)
        try check("", "", gives: true)
        try check("", "a", gives: false)
    }

    @Test("a question mark matches one character, also one of several bytes")
    func questionMarks() throws {
        try check("sd?", "sda", gives: true)
        try check("sd?", "sd", gives: false)
        try check("sd?", "sdaa", gives: false)
        try check("?", "é", gives: true)
        try check("?", "漢", gives: true)
    }

    @Test("classes take lists, ranges and negation")
    func classes() throws {
        try check("sd[abc]", "sdb", gives: true)
        try check("sd[abc]", "sdd", gives: false)
        try check("sd[a-c]", "sdc", gives: true)
        try check("sd[!a-c]", "sdc", gives: false)
        try check("sd[!a-c]", "sdd", gives: true)
        try check("[a-cx-z]", "y", gives: true)
        try check("[a-]", "-", gives: true)
        try check("[\\]]", "]", gives: true)
        try check("[*]", "*", gives: true)
        try check("[*]", "a", gives: false)
    }

    @Test("braces hold alternatives, and nest")
    func braces() throws {
        try check("{cpu,mem}*", "memory", gives: true)
        try check("{cpu,mem}*", "disk", gives: false)
        try check("a{b,c{d,e}}f", "acef", gives: true)
        try check("a{b,c{d,e}}f", "acf", gives: false)
        try check("a{,b}c", "ac", gives: true)
        try check("{a*,b?}", "b1", gives: true)
        try check("a,b", "a,b", gives: true)
        try check("a}b", "a}b", gives: true)
    }

    @Test("a backslash takes the next character as it is")
    func escapes() throws {
        try check("a\\*", "a*", gives: true)
        try check("a\\*", "ab", gives: false)
        try check("\\{a\\}", "{a}", gives: true)
        try check("{a\\,b,c}", "a,b", gives: true)
    }

    @Test("a star and a question mark stop at separators, two stars do not")
    func separators() throws {
        try check("foo.*.bar", "foo..bar", gives: true, separators: ".,")
        try check("foo.*.bar", "foo.abc.bar", gives: true, separators: ".,")
        try check("foo.*.bar", "foo.bar", gives: false, separators: ".,")
        try check("foo.*.bar", "foo.a.b.bar", gives: false, separators: ".,")
        try check("foo.**.bar", "foo.a.b.bar", gives: true, separators: ".,")
        try check("a?b", "a.b", gives: false, separators: ".")
        try check("a[.]b", "a.b", gives: true, separators: ".")
    }

    @Test(
        "a pattern that makes no sense is an error that names it",
        arguments: ["[", "[]", "[a", "[z-a]", "{a", "{a,b", "a\\", "[a-", "[\\", "[!]", "{{a}"])
    func broken(pattern: String) {
        do throws(Glob.PatternError) {
            _ = try Glob(pattern)
            Issue.record("\(pattern) was accepted")
        } catch {
            #expect(error.pattern == pattern)
            #expect(!error.reason.isEmpty)
        }
    }

    @Test("a pattern beyond the limit is refused")
    func tooLong() {
        #expect(throws: Glob.PatternError.self) { try Glob(String(repeating: "a", count: 4097)) }
    }

    @Test("hostile patterns cost a bounded number of steps")
    func hostile() throws {
        let text = String(repeating: "a", count: 2_000)
        try check(String(repeating: "*a", count: 200) + "b", text, gives: false)
        try check(String(repeating: "{a,a}", count: 200), String(repeating: "a", count: 200), gives: true)
        try check(String(repeating: "{*,*}", count: 100) + "b", text, gives: false)
        try check(String(repeating: "{", count: 500) + "a" + String(repeating: "}", count: 500), "a", gives: true)
    }

    @Test("random patterns and texts agree with a plain recursive matcher")
    func againstReference() throws {
        var random = SplitMix(seed: 7)
        for _ in 0..<20_000 {
            let pattern = String(
                (0..<Int.random(in: 0...6, using: &random)).map { _ in "ab*?".randomElement(using: &random) ?? "a" })
            let text = String(
                (0..<Int.random(in: 0...6, using: &random)).map { _ in "abc".randomElement(using: &random) ?? "a" })
            let expected = reference(Array(pattern)[...], Array(text)[...])
            #expect(try Glob(pattern).matches(text) == expected, "\(pattern) on \(text)")
        }
    }

    private func reference(_ pattern: ArraySlice<Character>, _ text: ArraySlice<Character>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "*" {
            return reference(pattern.dropFirst(), text) || !text.isEmpty && reference(pattern, text.dropFirst())
        }
        guard let letter = text.first, first == "?" || first == letter else { return false }
        return reference(pattern.dropFirst(), text.dropFirst())
    }
}

@Suite("Pattern lists")
struct PatternListTests {
    @Test("a list without a star, question mark or class is compared literally")
    func literal() throws {
        let list = try PatternList(["{cpu,mem}", "disk"])
        #expect(list.matches("{cpu,mem}"))
        #expect(list.matches("disk"))
        #expect(!list.matches("cpu"))
    }

    @Test("one glob makes globs of all patterns of the list")
    func mixed() throws {
        let list = try PatternList(["{cpu,mem}", "x*"])
        for name in ["cpu", "mem", "xy"] { #expect(list.matches(name)) }
        #expect(!list.matches("{cpu,mem}"))
    }

    @Test("separators make globs of all patterns")
    func separators() throws {
        let list = try PatternList(["{cpu,mem}"], separators: ".")
        #expect(list.matches("cpu"))
    }

    @Test("a broken pattern counts only where globs are meant")
    func broken() throws {
        #expect(try PatternList(["{a"]).matches("{a"))
        #expect(throws: Glob.PatternError.self) { try PatternList(["{a", "b*"]) }
    }

    @Test("an empty list matches nothing")
    func empty() {
        #expect(!PatternList.none.matches(""))
        #expect(PatternList.none.isEmpty)
    }
}

/// A small generator with a seed, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
