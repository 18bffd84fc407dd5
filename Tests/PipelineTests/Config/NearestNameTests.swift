import Testing

@testable import Pipeline

@Suite("Nearest names")
struct NearestNameTests {
    @Test(
        "what was meant",
        arguments: [
            ("timeot", "timeout"), ("url", "urls"), ("URLS", "urls"), ("databse", "database"), ("pecrpu", "percpu"),
            ("intervall", "interval"), ("xyz", nil), ("", nil), (String(repeating: "a", count: 1_000), nil),
        ] as [(String, String?)])
    func nearest(name: String, expected: String?) {
        let known = ["urls", "database", "timeout", "percpu", "interval", "flush_interval"]
        #expect(NearestName.find(name, among: known) == expected)
    }

    @Test("edit distance counts swaps of neighbours as one")
    func distance() {
        func distance(_ a: String, _ b: String) -> Int { NearestName.editDistance(Array(a.utf8), Array(b.utf8)) }
        #expect(distance("", "") == 0)
        #expect(distance("", "abc") == 3)
        #expect(distance("abc", "") == 3)
        #expect(distance("abc", "acb") == 1)
        #expect(distance("kitten", "sitting") == 3)
    }
}
