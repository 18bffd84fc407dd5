import Pipeline
import Testing

@Suite struct InfluxDBReplyTests {
    private func classify(
        _ status: Int, _ body: String, retryAfter: String? = nil, skip: Bool = false
    ) -> DeliveryOutcome {
        InfluxDBReply.classify(
            status: status, retryAfter: retryAfter, body: Array(body.utf8), skipDatabaseCreation: skip,
            now: Timestamp(nanoseconds: 784_111_777_000_000_000))
    }

    private static func error(_ text: String) -> String {
        JSONValue.object([JSONMember("error", .string(text))]).description
    }

    static let rows: [(Int, String, Bool, DeliveryOutcome.Class)] = [
        (204, "", false, .delivered), (200, "", false, .delivered), (200, "<html>ok</html>", false, .delivered),
        (400, error("partial write: field type conflict:"), false, .partial),
        (500, error("partial write: points beyond retention policy dropped=3"), false, .partial),
        (400, error("unable to parse 'cpu value': invalid field format"), false, .data),
        (500, error("unable to parse 'cpu value'"), false, .data),
        (400, error("unable to parse 'x partial write': bad"), false, .data),
        (400, error("unable to parse 'x database not found': bad"), false, .data),
        (400, "<html>partial write</html>", false, .data), (422, "", false, .data),
        (404, error("database not found: \"telegraf\""), false, .createDatabase),
        (500, error("database not found: \"telegraf\""), false, .createDatabase),
        (404, error("database not found: \"telegraf\""), true, .configuration),
        (404, "database not found", false, .configuration), (404, "{}", false, .configuration),
        (500, error("retention policy not found: x"), false, .server),
        (404, error("retention policy not found: x"), false, .server),
        (500, error("write failed: hinted handoff queue not empty"), false, .delivered),
        (400, error("hinted handoff queue not empty"), false, .data),
        (500, "", false, .server), (502, "", false, .server), (504, "<html>", false, .server),
        (599, "", false, .server),
        (503, error("unknown error"), false, .throttled), (429, "", false, .throttled),
        (413, error("Request Entity Too Large"), false, .tooBig), (413, "<html>too large</html>", false, .tooBig),
        (401, error("authorization failed"), false, .configuration), (403, "", false, .configuration),
        (401, error("database not found"), false, .configuration),
        (301, "", false, .configuration), (307, "", false, .configuration), (405, "", false, .configuration),
        (0, "", false, .ambiguous), (700, "", false, .ambiguous),
    ]

    @Test("each answer has its class", arguments: rows)
    func classes(row: (Int, String, Bool, DeliveryOutcome.Class)) {
        #expect(classify(row.0, row.1, skip: row.2).outcomeClass == row.3)
    }

    static func message(_ code: String, _ text: String) -> String {
        JSONValue.object([JSONMember("code", .string(code)), JSONMember("message", .string(text))]).description
    }

    static let laterVersions: [(Int, String, DeliveryOutcome.Class)] = [
        // InfluxDB 2
        (400, message("invalid", "unable to parse 'cpu value': invalid field format"), .data),
        (
            422, message("unprocessable entity", "failure writing points to database: partial write: x dropped=2"),
            .partial
        ),
        (422, message("unprocessable entity", "retention policy not found"), .data),
        (401, message("unauthorized", "unauthorized access"), .configuration),
        (404, message("not found", "bucket \"b\" not found"), .configuration),
        (413, message("request too large", "cannot read data: points batch is too large"), .tooBig),
        (429, message("too many requests", "org over its limit"), .throttled),
        (500, message("internal error", "unexpected error writing points to database"), .server),
        (503, message("unavailable", "database is closed"), .throttled),
        // InfluxDB 3
        (400, "{\"error\":\"partial write of line protocol occurred\",\"data\":[{\"line_number\":2}]}", .partial),
        (400, "{\"error\":\"parsing failed for write_lp endpoint\",\"data\":{\"line_number\":2}}", .data),
        (400, message("invalid", "partial write error (2 accepted): invalid column type"), .partial),
        // A gateway, which is not the database whatever it says.
        (400, "{\"message\":\"partial write\"}", .data),
    ]

    @Test("later versions are understood by their own words", arguments: laterVersions)
    func later(row: (Int, String, DeliveryOutcome.Class)) {
        #expect(classify(row.0, row.1, skip: true).outcomeClass == row.2)
    }

    @Test("a message without a code is nobody's word about the lines")
    func gateway() {
        #expect(
            classify(400, "{\"message\":\"bad request\"}")
                == .data(
                    reason: "status 400: {\"message\":\"bad request\"}", isExplained: false))
        let own = classify(400, Self.message("invalid", "unable to parse 'x'"))
        #expect(own == .data(reason: "status 400: unable to parse 'x'", isExplained: true))
    }

    @Test("a partial write counts what a later version names")
    func countsRejectedLater() {
        func rejected(_ body: String, points: Int? = 10) -> Int? {
            let outcome = InfluxDBReply.classify(
                status: 400, body: Array(body.utf8), skipDatabaseCreation: true, points: points, now: .zero)
            guard case .partial(let count, _) = outcome else { return nil }
            return count
        }
        #expect(rejected("{\"error\":\"partial write of line protocol occurred\",\"data\":[{},{},{}]}") == 3)
        #expect(rejected(Self.message("invalid", "partial write error (7 accepted): x")) == 3)
        #expect(rejected(Self.message("invalid", "partial write error (70 accepted): x")) == 1)
        #expect(rejected(Self.message("invalid", "partial write error (many accepted): x")) == 1)
        #expect(rejected(Self.message("invalid", "partial write error (7 accepted): x"), points: nil) == 1)
    }

    @Test("a partial write counts what the server names, and at least one")
    func countsRejected() {
        func rejected(_ text: String) -> Int? {
            guard case .partial(let count, _) = classify(400, Self.error(text)) else { return nil }
            return count
        }
        #expect(rejected("partial write: points beyond retention policy dropped=17") == 17)
        #expect(rejected("partial write: field type conflict:") == 1)
        #expect(rejected("partial write: unable to parse 'a': x\nunable to parse 'b': y dropped=0") == 2)
        #expect(rejected("partial write: dropped=99999999999999999999999") == .max)
        #expect(rejected("partial write: dropped=") == 1)
    }

    @Test("the reason is one printable line of bounded length")
    func reasonIsPrintable() {
        let reason = classify(500, "a\nb\u{1b}[31m" + String(repeating: "x", count: 1000)).reason
        #expect(reason.hasPrefix("status 500: a b [31mxxx"))
        #expect(reason.utf8.count <= 300)
        #expect(classify(502, "").reason == "status 502")
    }

    @Test(
        "a wait is obeyed within 0 to 600 s, garbage is ignored",
        arguments: [
            ("0", 0), ("30", 30), (" 30 ", 30), ("600", 600), ("86400", 600), ("99999999999999999999", 600),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0), ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
            ("Mon, 07 Nov 1994 08:49:37 GMT", 600), ("Sun, 06 Nov 1993 08:49:37 GMT", 0),
            ("-5", nil), ("1.5", nil), ("soon", nil), ("", nil), ("+3", nil), ("Sun, 06 Nov 1994 08:49:37 CET", nil),
            ("Sunday, 06-Nov-94 08:49:37 GMT", nil), ("Sun, 06 Foo 1994 08:49:37 GMT", nil),
            ("Sun, 00 Nov 1994 08:49:37 GMT", nil), ("Sun, 06 Nov 1994 25:49:37 GMT", nil),
        ] as [(String, Int?)])
    func retryAfter(text: String, seconds: Int?) {
        #expect(
            classify(429, "", retryAfter: text)
                == .throttled(retryAfter: seconds.map { .seconds($0) }, reason: "status 429"))
    }

    @Test("a date is read across leap years")
    func dates() {
        #expect(
            ReplyDate.imfFixdate(Array("Thu, 29 Feb 2024 00:00:00 GMT".utf8))
                == Timestamp(nanoseconds: 1_709_164_800_000_000_000))
        #expect(ReplyDate.imfFixdate(Array("Thu, 01 Jan 1970 00:00:00 GMT".utf8)) == .zero)
    }
}
