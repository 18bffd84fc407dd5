import Testing

@testable import Pipeline

/// Names, targets, time and what a client may be asked for.
@Suite("Rules of scrapes")
struct ScrapeRulesTests {
    @Test("names are compared without case and last dot, and what is none is refused")
    func names() {
        #expect(ScrapeName("Host.Example.")?.description == "host.example")
        #expect(ScrapeName("[::1]")?.description == "::1")
        for bad in ["", ".", "a b", "<a>", "ü", String(repeating: "a", count: 254), "[a]", "a/b", "a@b"] {
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
        for bad in [
            "/m", "h:1", "ftp://h/", "http://u@h/", "http://h:x/", "http://h:70000/", "http:///", "http://", "",
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
        for missing in [nil, "", "x"] { #expect(parse(missing) == .seconds(15)) }
        for none in ["0", "-1", "nan", "inf", "-inf"] { #expect(parse(none) == nil, "\(none)") }
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

    @Test("the list of clients is what the original writes, with labels where there are any")
    func discovery() {
        #expect(DiscoveryList.page([]) == Array("[]\n".utf8))
        let page = DiscoveryList.page([("b", [HTTPField("site", "x\"")]), ("a", [])])
        #expect(
            String(decoding: page, as: UTF8.self)
                == "[{\"targets\":[\"a\"],\"labels\":null},{\"targets\":[\"b\"],\"labels\":{\"site\":\"x\\\"\"}}]\n")
        #expect(
            DiscoveryList.labels("a=1,a=2,9x=1,__bad=1,__meta_x=ok, b = 3 ,ü=1").map(\.name) == ["__meta_x", "a", "b"])
    }
}
