import Actors
import Pipeline
import Synchronization
import Testing

/// Answers by URL, and what was asked.
private final class ScriptedClient: HTTPClient {
    private let answers: [String: Result<HTTPReply, TransferFailure>]
    private let seen = Mutex<[HTTPRequest]>([])
    var requests: [HTTPRequest] { seen.withLock { $0 } }

    init(_ answers: [String: Result<HTTPReply, TransferFailure>]) { self.answers = answers }

    func perform(_ request: HTTPRequest) async -> Result<HTTPReply, TransferFailure> {
        seen.withLock { $0.append(request) }
        return answers[request.url] ?? .failure(TransferFailure(.hardDown, "refused"))
    }
}

@Suite("HTTPResponseCollector")
struct HTTPResponseCollectorTests {
    private func reply(_ status: Int, _ body: String = "", _ change: (inout HTTPReply) -> Void = { _ in }) -> HTTPReply
    {
        var reply = HTTPReply(status: status, body: Array(body.utf8))
        reply.bodyBytes = body.utf8.count
        reply.answerTime = .milliseconds(250)
        change(&reply)
        return reply
    }

    private func gather(
        _ client: ScriptedClient, _ urls: [String], _ set: [String: OptionValue] = [:], host: MemoryHost = MemoryHost()
    ) async throws -> (lines: [String], errors: [String]) {
        var environment = InputEnvironment(alone: host)
        environment.http = client
        var options = set
        options["urls"] = .strings(urls)
        let collector = try HTTPResponseCollector(
            options: OptionValues(HTTPResponseCollector.spec.options, set: options), environment: environment)
        let now = Instant(nanoseconds: 0)
        let gather = await collector.gather(at: .zero, now: now, deadline: now + .seconds(10))
        return (Bench.lines(gather.samples), gather.errors)
    }

    private func line(_ reply: HTTPReply, _ set: [String: OptionValue] = [:]) async throws -> String {
        let client = ScriptedClient(["http://a/": .success(reply)])
        return try await gather(client, ["http://a/"], set).lines.first ?? ""
    }

    @Test("an answer is a success whatever its status")
    func success() async throws {
        #expect(
            try await line(reply(500, "oops"))
                == "http_response,method=GET,result=success,server=http://a/,status_code=500 "
                + "content_length=4i,http_response_code=500i,response_time=0.25,result_code=0i,result_type=\"success\"")
    }

    @Test("failures by their kind, in the order of the URLs; what cannot be asked is an error")
    func failures() async throws {
        let kinds: [(String, TransferFailure.Kind, String, Int)] = [
            ("http://dns", .dns, "dns_error", 5), ("http://slow", .timeout, "timeout", 4),
            ("http://down", .hardDown, "connection_failed", 3), ("https://tls", .tls, "connection_failed", 3),
            ("http://cut", .reset, "connection_failed", 3),
        ]
        let bad: [(String, TransferFailure.Kind)] = [("http://bad", .invalid), ("http://gone", .cancelled)]
        let client = ScriptedClient(
            Dictionary(
                uniqueKeysWithValues: (kinds.map { ($0.0, $0.1) } + bad).map {
                    ($0, .failure(TransferFailure($1, "x")))
                }))
        let (lines, errors) = try await gather(client, kinds.map(\.0) + bad.map(\.0))
        #expect(
            lines
                == kinds.map { url, _, name, code in
                    "http_response,method=GET,result=\(name),server=\(url) result_code=\(code)i,result_type=\"\(name)\""
                })
        #expect(errors == ["http://bad: invalid request: x"])
    }

    @Test("body and status are compared; a wrong status outranks a wrong body")
    func expectations() async throws {
        let match: [String: OptionValue] = [
            "response_string_match": .string("\"up\":\\s*true"), "response_status_code": .integer(200),
        ]
        let good = try await line(reply(200, "{\"up\":  true}"), match)
        #expect(good.contains("result=success") && good.contains("response_string_match=1i"))
        #expect(good.contains("response_status_code_match=1i"))
        let wrong = try await line(reply(200, "{\"up\": false}"), match)
        #expect(wrong.contains("result=response_string_mismatch") && wrong.contains("result_code=1i"))
        let both = try await line(reply(404, "no"), match)
        #expect(both.contains("result=response_status_code_mismatch") && both.contains("result_code=6i"))
        #expect(both.contains("response_string_match=0i") && both.contains("response_status_code_match=0i"))
    }

    @Test("a plain text is found anywhere, an expression in the beginning")
    func longBodies() async throws {
        let long = String(repeating: "x", count: 100_000) + "needle"
        #expect(try await line(reply(200, long), ["response_string_match": .string("needle")]).contains("=success"))
        #expect(try await line(reply(200, long), ["response_string_match": .string("^xx")]).contains("=success"))
        #expect(try await line(reply(200, long), ["response_string_match": .string("n.edle")]).contains("mismatch"))
    }

    @Test("a body that is too long, cut, or no text where it becomes a field is body_read_error")
    func bodies() async throws {
        let options: [String: OptionValue] = ["response_string_match": .string("x")]
        for broken in [
            reply(200, "x") { $0.isTruncated = true },
            reply(200, "x") { $0.bodyFailure = TransferFailure(.reset, "") },
        ] {
            let text = try await line(broken, options)
            #expect(text.contains("result=body_read_error") && text.contains("response_string_match=0i"))
            #expect(text.contains("http_response_code=200i") && text.contains("content_length=1i"))
        }
        let field: [String: OptionValue] = ["response_body_field": .string("content")]
        #expect(try await line(reply(200, "a\"b"), field).contains("content=\"a\\\"b\""))
        #expect(try await line(reply(200) { $0.body = [0xFF] }, field).contains("result=body_read_error"))
    }

    @Test("headers of the answer become tags")
    func headers() async throws {
        let answer = reply(200) { $0.headers = ["x-cache": "HIT"] }
        let set: [String: OptionValue] = ["http_header_tags": .table(["X-Cache": "cache", "X-None": "none"])]
        #expect(try await line(answer, set).hasPrefix("http_response,cache=HIT,method=GET,result=success,"))
    }

    @Test("the request has what the options say, and no password gets into a tag")
    func requests() async throws {
        let client = ScriptedClient(["http://a/x": .success(reply(200))])
        let set: [String: OptionValue] = [
            "method": .string("PUT"), "body_form": .listTable(["k": ["a b", "ü"]]), "follow_redirects": .bool(true),
            "headers": .table(["Host": "h"]), "response_timeout": .duration(.seconds(2)),
            "response_body_max_size": .size(10), "interface": .string("lo"), "insecure_skip_verify": .bool(true),
        ]
        let (lines, _) = try await gather(client, ["http://me:canary@a/x"], set)
        #expect(lines.first?.contains("server=http://a/x") == true && !"\(lines)".contains("canary"))
        let request = try #require(client.requests.first)
        #expect(request.url == "http://a/x" && request.headers == ["Host: h"] && request.timeout == .seconds(2))
        guard case .basic(let user, let password) = request.credentials else {
            Issue.record("no credentials")
            return
        }
        #expect(user == "me" && password.revealed == "canary")
        guard case .post(let body) = request.method else {
            Issue.record("no body")
            return
        }
        #expect(String(decoding: body, as: UTF8.self) == "k=a+b&k=%C3%BC")
        let probe = try #require(request.probe)
        #expect(probe.verb == "PUT" && probe.followsRedirects && probe.bodyLimit == 10 && !probe.keepsBody)
        #expect(request.connection.localAddress == "lo" && request.connection.skipsVerification)
    }

    @Test("a token comes from its file at each tick; without the file nothing is asked")
    func tokens() async throws {
        let host = MemoryHost()
        let client = ScriptedClient([:])
        let set: [String: OptionValue] = ["bearer_token": .string("/run/token")]
        #expect(try await gather(client, ["http://a"], set, host: host).errors.count == 1)
        #expect(client.requests.isEmpty)
        host.file("absolute/run/token", "canary\n")
        _ = try await gather(client, ["http://a"], set, host: host)
        guard case .bearer(let token)? = client.requests.first?.credentials else {
            Issue.record("no token")
            return
        }
        #expect(token.revealed == "canary")
    }

    @Test("addresses that are none, bad expressions and two tokens are refused")
    func refused() async {
        for set: [String: OptionValue] in [
            ["urls": .strings(["ftp://a"])], ["urls": .strings(["http://"])], ["response_string_match": .string("(")],
            ["token": .secret(Secret("a")), "bearer_token": .string("/b")],
        ] {
            #expect(throws: CollectorError.self) { try Bench("http_response", set) }
        }
    }
}
