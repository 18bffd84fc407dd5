import Testing

@testable import Pipeline

/// Which names there are, whose they are, who may ask for them.
@Suite("Rules of names")
struct NameRulesTests {
    private func rule(_ pattern: String, _ change: (inout NameRule) -> Void = { _ in }) throws -> NameRule {
        var rule = try #require(NameRule(pattern: pattern))
        change(&rule)
        return rule
    }

    private func name(_ text: String) throws -> ScrapeName { try #require(ScrapeName(text)) }

    @Test("the first rule that fits counts, written out or as a pattern")
    func order() throws {
        let rules = NameRules([
            try rule("A.example."), try rule("*.example"), try rule("b.example"), try rule("*.w.example"),
            try rule("b.example"), try rule("*"),
        ])
        #expect(rules.index(for: try name("a.example")) == 0)
        #expect(rules.index(for: try name("b.example")) == 1)
        #expect(rules.index(for: try name("c.w.example")) == 3)
        #expect(rules.index(for: try name("a.b.w.example")) == 5)
        #expect(NameRules([try rule("a")]).index(for: try name("b")) == nil)
        for bad in ["", "a b", "*a.example", "a.*", "**", "*."] { #expect(NameRule(pattern: bad) == nil, "\(bad)") }
    }

    @Test("a token of the name is as good as a certificate that carries it; the listener's credentials prove no name")
    func verdicts() throws {
        let rules = NameRules([try rule("t.example") { $0.tokens = ["d"] }, try rule("u.example")])
        let (tokened, plain, other) = (try name("t.example"), try name("u.example"), try name("x.example"))
        var claim = NameRules.Claim()
        for binds in [false, true] {
            #expect(rules.verdict(on: other, binds: binds, claim) == .unlisted)
            #expect(rules.verdict(on: tokened, binds: binds, claim) == .noToken)
        }
        #expect(rules.verdict(on: plain, binds: false, claim) == .allowed)
        #expect(rules.verdict(on: plain, binds: true, claim) == .notCarried)
        claim.isAccepted = false
        #expect(rules.verdict(on: plain, binds: false, claim) == .noCredentials)
        #expect(rules.verdict(on: tokened, binds: false, claim) == .noCredentials)
        claim.hasToken = true
        #expect(rules.verdict(on: tokened, binds: true, claim) == .allowed)
        #expect(rules.verdict(on: plain, binds: true, claim) == .noCredentials)
        claim = NameRules.Claim()
        claim.carriesName = true
        #expect(rules.verdict(on: tokened, binds: true, claim) == .allowed)
        #expect(rules.verdict(on: plain, binds: true, claim) == .allowed)
        #expect(rules.verdict(on: other, binds: true, claim) == .unlisted)
        #expect(NameRules().verdict(on: other, binds: false, NameRules.Claim()) == .allowed)
        #expect(NameRules().verdict(on: other, binds: true, NameRules.Claim()) == .notCarried)
    }

    @Test("who may ask for a name, and for which of its ports")
    func scrapers() throws {
        let rule = try rule("*") {
            $0.ports = [9100, 443]
            $0.scrapers = ["192.0.2.0/24", "Prometheus.example"].compactMap(NameRule.Scraper.init)
        }
        let target = try #require(ProxiedTarget(absolute: "http://a.example:9100/m"))
        let secure = try #require(ProxiedTarget(absolute: "https://a.example/m"))
        let other = try #require(ProxiedTarget(absolute: "http://a.example/m"))
        let near = IPAddress("192.0.2.7")
        #expect(rule.refusal(of: target, for: near, []) == nil)
        #expect(rule.refusal(of: secure, for: near, []) == nil)
        #expect(rule.refusal(of: other, for: near, []) == .port)
        #expect(rule.refusal(of: target, for: IPAddress("198.51.100.1"), []) == .scraper)
        #expect(rule.refusal(of: target, for: nil, ["x", "prometheus.EXAMPLE"]) == nil)
        #expect(rule.refusal(of: target, for: nil, ["*.example"]) == .scraper)
        for bad in ["", "10.0.0.0/33", "a/b", "a b", "*.x"] { #expect(NameRule.Scraper(bad) == nil, "\(bad)") }
    }

    @Test("durations are counted under the first bound that holds them")
    func histogram() {
        var text = PrometheusText()
        var histogram = DurationHistogram()
        for milliseconds in [0, 1, 2, 1_000, 61_000] { histogram.add(.milliseconds(milliseconds)) }
        histogram.add(.seconds(-1))
        text.histogram("x_seconds", "Help.", histogram)
        let lines = String(decoding: text.bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.contains("x_seconds_bucket{le=\"0.001\"} 3"))
        #expect(lines.contains("x_seconds_bucket{le=\"0.005\"} 4"))
        #expect(lines.contains("x_seconds_bucket{le=\"1\"} 5"))
        #expect(lines.contains("x_seconds_bucket{le=\"60\"} 5"))
        #expect(lines.suffix(3) == ["x_seconds_bucket{le=\"+Inf\"} 6", "x_seconds_sum 62.003", "x_seconds_count 6"])
    }
}
