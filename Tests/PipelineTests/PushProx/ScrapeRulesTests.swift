import Testing

@testable import Pipeline

/// Names, targets, time and what a client may be asked for.
@Suite("Rules of scrapes")
struct ScrapeRulesTests {
    @Test("names are compared without case and last dot, and what is none is refused")
    func names() {
        #expect(ScrapeName("Host.Example.")?.description == "host.example")
        for same in ["::1", "[::1]", "0:0::0:1", "[0:0:0:0:0:0:0:1]"] {
            #expect(ScrapeName(same)?.description == "::1")
        }
        #expect(ScrapeName("[2001:DB8::A]") == ScrapeName("2001:db8:0::a"))
        #expect(ScrapeName(String(repeating: "a", count: 253)) != nil)
        for bad in [
            "", ".", " ", "a b", "<a>", "\"a\"", "ü", String(repeating: "a", count: 254), "[a]", "a/b", "a@b", "a:9100",
            "::1.", "[::1", "fe80::1%eth0", "%61", "a\0", String(repeating: "x", count: 10_240),
        ] {
            #expect(ScrapeName(bad) == nil, "\(bad)")
        }
    }

    @Test("a certificate's name covers itself and, with an asterisk, one label")
    func coverage() throws {
        let name = try #require(ScrapeName("a.w.example"))
        #expect(name.isCovered(by: "A.w.example"))
        #expect(name.isCovered(by: "*.w.example"))
        for other in ["*.example", "w.example", "*", "*.a.w.example", "*w.example", ""] {
            #expect(!name.isCovered(by: other), "\(other)")
        }
    }

    @Test("a target is an absolute URL")
    func targets() throws {
        let target = try #require(ProxiedTarget(absolute: "HTTP://A.b:9100/m?x=%20#frag"))
        #expect(target.name.description == "a.b")
        #expect(target.port == 9_100)
        #expect(target.pathAndQuery == "/m?x=%20")
        #expect(ProxiedTarget(absolute: "http://h")?.absolute(host: "H") == "http://H/")
        #expect(ProxiedTarget(absolute: "http://h?x")?.pathAndQuery == "/?x")
        #expect(ProxiedTarget(absolute: "http://[::1]:80/")?.authority(host: "::1") == "[::1]:80")
        #expect(ProxiedTarget(absolute: "https://h/")?.effectivePort == 443)
        #expect(ProxiedTarget(absolute: "http://h:/")?.port == nil)
        #expect(ProxiedTarget(absolute: "http://h:80")?.absolute(host: "h") == "http://h:80/")
        #expect(ProxiedTarget(absolute: "http://h/?")?.pathAndQuery == "/?")
        #expect(ProxiedTarget(absolute: "http://h#frag@x/")?.pathAndQuery == "/")
        for bad in [
            "/m", "h:1", "ftp://h/", "http://u@h/", "http://u:p@h/", "http://h:x/", "http://h:70000/", "http:///",
            "http://", "", "*", "http://%68/", "http://[::1/", "http://[::1]x/", "http://::1/", "http://h/ü",
            "http://h/\0",
            "http://h/a b", "http//h/", "http:h/",
        ] {
            #expect(ProxiedTarget(absolute: bad) == nil, "\(bad)")
        }
    }

    @Test("the time of a scrape is a number of seconds within bounds")
    func timeouts() {
        func parse(_ text: String?) -> Duration? {
            ScrapeTimeout.parse(text, fallback: .seconds(15), limit: .seconds(300))
        }
        #expect(parse("1.5") == .milliseconds(1_500))
        #expect(parse("1e30") == .seconds(300))
        // As the original reads them: hexadecimal, signs, blanks around, underscores.
        for (text, time) in [
            ("0x1p-2", 250), (".3", 300), ("+0.2", 200), (" 0.2 ", 200), ("1_0", 10_000), ("\t5", 5_000),
        ] {
            #expect(parse(text) == .milliseconds(time), "\(text)")
        }
        for missing in [nil, "", "x", "soon", "1 0", "1s", "0.2.1", "_"] { #expect(parse(missing) == .seconds(15)) }
        for none in ["0", "-0", "-1", "nan", "NaN", "inf", "Inf", "-inf", "1e-10", "1e-400"] {
            #expect(parse(none) == nil, "\(none)")
        }
        #expect(ScrapeTimeout.text(.milliseconds(1_005)) == "1.005")
        #expect(ScrapeTimeout.text(.zero) == "0.001")
        #expect(ScrapeTimeout.reserve(of: .seconds(100)) == .milliseconds(500))
    }

    @Test("the first rule that fits decides where a scrape goes")
    func rules() throws {
        let name = try #require(ScrapeName("a"))
        let rules = TargetRules([
            TargetRule(name: name, port: 9_100, pathPrefix: "/metrics", destination: .url("http://127.0.0.1:1")),
            TargetRule(name: name, port: 9_200, destination: .agent),
        ])
        func rule(_ url: String, _ method: String = "GET") throws -> TargetRule.Destination {
            try rules.rule(for: try #require(ProxiedTarget(absolute: url)), method: method).destination
        }
        #expect(try rule("http://A.:9100/metrics/x") == .url("http://127.0.0.1:1"))
        #expect(try rule("http://a:9200/", "HEAD") == .agent)
        #expect(throws: TargetRules.Refusal.method("POST")) { try rule("http://a:9200/", "POST") }
        #expect(throws: TargetRules.Refusal.name) { try rule("http://b:9200/") }
        for url in [
            "http://a:9100/", "http://a/metrics", "http://a:9100/metrics/../x", "http://a:9100/metrics/%2e%2e/x",
        ] {
            #expect(throws: TargetRules.Refusal.notListed) { try rule(url) }
        }
    }

    @Test("the parameter for TLS is ours and goes, the others stay as they are")
    func scheme() throws {
        func request(_ url: String) throws -> String {
            let (path, isTLS) = TargetRules.request(of: try #require(ProxiedTarget(absolute: url)))
            return "\(path) \(isTLS)"
        }
        #expect(try request("http://a/m?b=1&_scheme=https&a=2") == "/m?b=1&a=2 true")
        #expect(try request("http://a/m?_scheme=https") == "/m true")
        #expect(try request("http://a/m?_scheme=https&a=1&_scheme=https") == "/m?a=1 true")
        #expect(try request("http://a/m?%5fscheme=%68ttps&a=%31") == "/m?a=%31 true")
        #expect(try request("http://a/m?%5fscheme=http%") == "/m?%5fscheme=http% false")
        #expect(try request("http://a/m?_scheme=https#x") == "/m true")
        #expect(try request("https://a:9100/m?") == "/m? true")
        #expect(try request("http://a/m?_scheme=http&b=%20+") == "/m?_scheme=http&b=%20+ false")
    }

    @Test("headers of one leg stay on it")
    func headers() {
        let fields = [
            HTTPField("Connection", "close, X-Hop"), HTTPField("x-hop", "1"), HTTPField("Set-Cookie", "a"),
            HTTPField("Set-Cookie", "b"), HTTPField("Content-Length", "1"), HTTPField("Content-Type", "t"),
            HTTPField("ID", "1"), HTTPField("X-Prometheus-Scrape-Timeout", "-1"), HTTPField("TE", "x"),
        ]
        #expect(HeaderRules.response(fields).map(\.value) == ["a", "b", "t"])
    }

    @Test("a head that no client could read is told before it goes to one")
    func heads() {
        let many = (0..<5_000).map { HTTPField("a\($0)", "b") }
        #expect(!InnerHead.fits(many, line: "http://a/"))
        #expect(!InnerHead.fits([HTTPField("a", String(repeating: "x", count: 65_000))], line: "http://a/"))
        #expect(!InnerHead.fits([], line: "http://a/" + String(repeating: "x", count: 40_000)))
        #expect(
            InnerHead.fits(Array(many.prefix(900)), line: "http://a/" + String(repeating: "x", count: 9_000)))
    }

    @Test("where every failure is a 500, its words are the original's")
    func originalWords() {
        let url = "http://a/m"
        for cause in [ScrapeTable.Cause.unknownName, .notPolling(lastSeen: .seconds(3))] {
            #expect(
                cause.original(url).hasSuffix("\"\(url)\": Timeout reached for \"\(url)\": context deadline exceeded"))
        }
        #expect(ScrapeTable.Cause.noPush.original(url) == "Error scraping \"\(url)\": context deadline exceeded")
        #expect(ScrapeTable.Cause.draining.original(url).contains("stopping"))
    }

    @Test("the list of clients is what the original writes, with labels where there are any")
    func discovery() throws {
        #expect(DiscoveryList.page([]) == Array("[]\n".utf8))
        let page = DiscoveryList.page([("b", [HTTPField("site", "x\"")]), ("a", [])])
        #expect(
            String(decoding: page, as: UTF8.self)
                == "[{\"targets\":[\"a\"],\"labels\":null},{\"targets\":[\"b\"],\"labels\":{\"site\":\"x\\\"\"}}]\n")
        let many = DiscoveryList.page((0..<10_000).map { ("host-\($0).example", []) })
        #expect(try JSONValue.parse(many).array?.count == 10_000)
        #expect(
            DiscoveryList.labels("a=1,a=2,9x=1,__bad=1,__meta_x=ok, b = 3 ,ü=1").map(\.name) == ["__meta_x", "a", "b"])
    }
}
