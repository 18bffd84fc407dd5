import Pipeline
import Synchronization
import Testing

@testable import Actors

/// Answers by URL, and what was asked; an address without an answer hangs until it is cancelled.
private final class PageServer: HTTPClient {
    private let answers = Mutex<[String: Result<HTTPReply, TransferFailure>]>([:])
    private let seen = Mutex<[HTTPRequest]>([])
    private let clock: (any Clock)?
    var requests: [HTTPRequest] { seen.withLock { $0 } }

    init(hangsOn clock: (any Clock)? = nil) { self.clock = clock }

    func answer(_ url: String, _ result: Result<HTTPReply, TransferFailure>) {
        answers.withLock { $0[url] = result }
    }

    func page(_ url: String, _ body: String, type: String = "text/plain", status: Int = 200) {
        var reply = HTTPReply(status: status, body: Array(body.utf8))
        reply.headers = ["content-type": type]
        answer(url, .success(reply))
    }

    func perform(_ request: HTTPRequest) async -> Result<HTTPReply, TransferFailure> {
        seen.withLock { $0.append(request) }
        if let answer = answers.withLock({ $0[request.url] }) { return answer }
        if let clock {
            try? await clock.sleep(until: clock.now + request.timeout)
            return .failure(TransferFailure(Task.isCancelled ? .cancelled : .timeout, ""))
        }
        return .failure(TransferFailure(.hardDown, "refused"))
    }
}

/// Keeps what it is given.
private final class Collected: SampleEmitter {
    private let lines = Mutex<[String]>([])
    private let errors = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
    var reported: [String] { errors.withLock { $0 } }

    func emit(_ samples: SampleSet, sealing: Bool, until deadline: Instant) async -> Handover {
        let new = Bench.lines(samples)
        lines.withLock { $0 += new }
        return .taken
    }
    func report(_ errors: [String]) async { self.errors.withLock { $0 += errors } }
    func attributed<Result>(_ work: () throws -> Result) rethrows -> Result { try work() }
}

@Suite("PrometheusInput")
struct PrometheusInputTests {
    private let server = PageServer()
    private let host = MemoryHost()

    private func input(
        _ set: [String: OptionValue], tables: [(String, [String: OptionValue])] = []
    ) throws
        -> PrometheusInput
    {
        var environment = InputEnvironment(alone: host)
        environment.http = server
        var options = OptionValues(PrometheusInput.spec.options, set: set)
        options.tables = tables.map {
            OptionValues.Table(name: $0.0, options: OptionValues(RelabelRule.options, set: $0.1))
        }
        return try PrometheusInput(options: options, environment: environment)
    }

    private func gather(_ input: PrometheusInput) async -> (lines: [String], errors: [String]) {
        let now = Instant(nanoseconds: 1_000_000_000_000)
        let gather = await input.gather(at: .zero, now: now, deadline: now + .seconds(10))
        return (Bench.lines(gather.samples).map(PrometheusInputTests.withoutDuration), gather.errors)
    }

    /// How long it took is not looked at.
    static func withoutDuration(_ line: String) -> String {
        guard let start = line.firstRange(of: "scrape_duration_seconds=")?.upperBound else { return line }
        let rest = line[start...].drop { $0 != "," && $0 != " " }
        return line[..<start] + "T" + rest
    }

    @Test("a page becomes points, with the address as a tag and what the scrape was like")
    func page() async throws {
        server.page("http://a:1/metrics", "# TYPE x counter\nx{l=\"1\"} 5\ny 2\n")
        let plain: [String: OptionValue] = ["urls": .strings(["http://u:canary@a:1"])]
        let second = try input(plain.merging(["metric_version": .integer(2)]) { _, new in new })
        let (lines, errors) = await gather(second)
        #expect(errors == [])
        #expect(
            lines == [
                "prometheus,l=1,url=http://a:1 x=5", "prometheus,url=http://a:1 y=2",
                "prometheus,url=http://a:1 scrape_duration_seconds=T,scrape_samples_post_metric_relabeling=2,"
                    + "scrape_samples_scraped=2,scrape_series_added=2,up=1",
            ])
        let request = try #require(server.requests.first)
        #expect(request.headers.contains("Accept-Encoding: gzip") && request.timeout == .seconds(5))
        guard case .basic(let user, let password) = request.credentials else {
            Issue.record("no credentials")
            return
        }
        #expect(user == "u" && password.revealed == "canary")
        let first = await gather(try input(plain))
        #expect(
            first.lines.prefix(3) == [
                "x,l=1,url=http://a:1 counter=5", "y,url=http://a:1 value=2", "up,url=http://a:1 gauge=1",
            ])
    }

    @Test("what cannot be scraped is down, and the error says why")
    func failures() async throws {
        var long = HTTPReply(status: 200, body: [], isTruncated: true)
        server.answer("http://long/metrics", .success(long))
        long.isTruncated = false
        long.bodyFailure = TransferFailure(.reset, "cut")
        server.answer("http://cut/metrics", .success(long))
        server.page("http://gone/metrics", "", status: 404)
        server.page("http://moved/metrics", "", status: 302)
        server.page("http://html/metrics", "<html>", type: "text/html; charset=utf-8")
        server.page("http://open/metrics", "a 1\n", type: "application/openmetrics-text")
        server.page("http://many/metrics", "a 1\nb 1\n")
        for (name, reason) in [
            ("down", "unreachable: refused"), ("cut", "the answer broke off: reset: cut"), ("gone", "status 404"),
            ("long", "the answer is longer than content_length_limit (16777216 bytes)"),
            ("moved", "status 302; redirects are not followed"),
            ("html", "the answer is no page of metrics but text/html"),
            ("open", "the page ends without # EOF: a part of it is missing"),
            ("many", "more than sample_limit (1) samples"),
        ] {
            let set: [String: OptionValue] = [
                "urls": .strings(["http://\(name)"]), "metric_version": .integer(2), "sample_limit": .integer(1),
            ]
            let (lines, errors) = await gather(try input(set))
            #expect(errors == ["http://\(name): \(reason)"])
            let tags = "prometheus,url=http://\(name) scrape_duration_seconds=T,"
            let none = "scrape_samples_post_metric_relabeling=0,scrape_samples_scraped=0,scrape_series_added=0,up=0"
            #expect(lines == [tags + none])
        }
    }

    @Test("a broken line costs its family alone, and is told")
    func brokenLine() async throws {
        server.page("http://a/metrics", "good 1\nbad x\n")
        let (lines, errors) = await gather(try input(["urls": .strings(["http://a"]), "scrape_points": .bool(false)]))
        #expect(lines == ["good,url=http://a value=1"])
        #expect(errors == ["http://a: line 2: a value that is no number"])
    }

    @Test("compressed pages, of which no more comes out than the limit")
    func compression() async throws {
        var reply = HTTPReply(status: 200, body: GzipCompressor().compress(Array("a 1\n".utf8)) ?? [])
        reply.headers = ["content-encoding": "gzip"]
        server.answer("http://a/metrics", .success(reply))
        let set: [String: OptionValue] = ["urls": .strings(["http://a"]), "scrape_points": .bool(false)]
        #expect(await gather(try input(set)).lines == ["a,url=http://a value=1"])
        let small = try input(set.merging(["content_length_limit": .size(3)]) { _, new in new })
        #expect(await gather(small).errors == ["http://a: the answer is longer than content_length_limit (3 bytes)"])
        reply.body = [1, 2, 3]
        server.answer("http://a/metrics", .success(reply))
        #expect(await gather(try input(set)).errors == ["http://a: the answer is damaged gzip"])
    }

    @Test("unix sockets, with both ways to name the path")
    func sockets() async throws {
        server.page("http://localhost/metrics", "a 1\n")
        server.page("http://localhost/x", "b 1\n")
        let urls = ["unix:///run/a.sock", "unix:///run/b.sock?path=/x", "unix:///run/c.sock:/x"]
        let (lines, _) = await gather(
            try input(["urls": .strings(urls), "scrape_points": .bool(false), "url_tag": .string("")]))
        #expect(lines.sorted() == ["a value=1", "b value=1", "b value=1"])
        #expect(
            Set(server.requests.compactMap(\.connection.unixSocketPath)) == [
                "/run/a.sock", "/run/b.sock", "/run/c.sock",
            ])
    }

    @Test("targets of files, by rules; a broken file leaves what was known")
    func files() async throws {
        host.file(
            "absolute/etc/t.json", #"[{"targets": ["a:1", "b:1"], "labels": {"env": "x", "__metrics_path__": "/p"}}]"#)
        server.page("http://a:1/p", "v 1\n")
        server.page("http://b:1/p", "v 2\n")
        let drop: [String: OptionValue] = [
            "action": .string("drop"), "source_labels": .strings(["__address__"]), "regex": .string("b:.*"),
        ]
        let name: [String: OptionValue] = [
            "source_labels": .strings(["__address__"]), "regex": .string("(.*):.*"), "target_label": .string("node"),
        ]
        let input = try input(
            ["file_sd_files": .strings(["/etc/t.json"]), "scrape_points": .bool(false), "url_tag": .string("")],
            tables: [("relabel_configs", drop), ("relabel_configs", name)])
        #expect(await gather(input).lines == ["v,env=x,node=a value=1"])
        for (text, reason) in [
            ("{}", "no list of groups"), ("[{\"targets\": [1]}]", "group 1: a target that is no text"),
            ("[{\"targets\": [], \"labels\": {\"a b\": \"\"}}]", "group 1: no name of a label"),
        ] {
            host.file("absolute/etc/t.json", text)
            let (lines, errors) = await gather(input)
            #expect(lines == ["v,env=x,node=a value=1"] && errors == ["/etc/t.json: \(reason)"])
        }
        host.file("absolute/etc/t.json", "[]")
        let (lines, errors) = await gather(input)
        #expect(lines == [] && errors == [])
    }

    @Test("what fails or goes ends its series, those of the scrape too when the target goes")
    func ends() async throws {
        host.file("absolute/etc/t.json", #"[{"targets": ["a:1", "b:1"]}]"#)
        server.page("http://a:1/metrics", "v 1\n")
        server.page("http://b:1/metrics", "w 1\n")
        let input = try input(["file_sd_files": .strings(["/etc/t.json"]), "metric_version": .integer(2)])
        func ended() async -> [String] {
            let now = Instant(nanoseconds: 1_000_000_000_000)
            let samples = await input.gather(at: .zero, now: now, deadline: now + .seconds(10)).samples
            return samples.rows.filter { Double(bitPattern: samples.cells[$0.firstCell]).isStaleMarker }
                .map { "\($0.series.tags.first?.value ?? "") \($0.schema.fields[0].key)" }.sorted()
        }
        #expect(await ended() == [])
        server.page("http://a:1/metrics", "", status: 500)
        #expect(await ended() == ["http://a:1/metrics v"])
        #expect(await ended() == [])
        host.file("absolute/etc/t.json", #"[{"targets": ["a:1"]}]"#)
        #expect(await ended() == ["http://b:1/metrics up", "http://b:1/metrics w"])
        host.file("absolute/etc/t.json", "[]")
        #expect(await ended() == ["http://a:1/metrics up"])
        #expect(await ended() == [])
    }

    @Test("scrapes of several targets are spread over the interval, with times of their own", .timeLimit(.minutes(1)))
    func spread() async throws {
        let clock = ManualClock()
        for name in ["a", "b", "c"] { server.page("http://\(name)/metrics", "v 1\n") }
        var environment = InputEnvironment(alone: host)
        environment.http = server
        environment.clock = clock
        let set: [String: OptionValue] = [
            "urls": .strings(["http://a", "http://b", "http://c"]), "scrape_points": .bool(false),
        ]
        let input = try PrometheusInput(
            options: OptionValues(PrometheusInput.spec.options, set: set), environment: environment)
        let collected = Collected()
        let serving = Task { try await input.serve(collected) }
        await eventually("serving") { await input.isServing }
        let now = clock.now
        _ = await input.gather(at: .zero, now: now, deadline: now + .seconds(10))
        for count in 1...3 {
            await eventually("scrape \(count)") { collected.all.count == count }
            #expect(server.requests.count == count)
            clock.advance(by: .seconds(3))
        }
        serving.cancel()
        _ = await serving.result
    }

    @Test("targets of a server, which gets no credentials; more than the limit are left out")
    func servers() async throws {
        server.page("http://sd/targets", #"[{"targets": ["a:1", "b:1"]}]"#, type: "application/json")
        server.page("http://a:1/metrics", "v 1\n")
        let set: [String: OptionValue] = [
            "http_sd_urls": .strings(["http://sd/targets"]), "bearer_token_string": .secret(Secret("canary")),
            "scrape_points": .bool(false), "target_limit": .integer(1), "http_headers": .table(["X-Key": "canary"]),
        ]
        let (lines, errors) = await gather(try input(set))
        #expect(lines == ["v,url=http://a:1/metrics value=1"])
        #expect(errors == ["2 targets are more than target_limit (1); the last ones are left out"])
        let list = try #require(server.requests.first { $0.url == "http://sd/targets" })
        guard case .none = list.credentials, !"\(list.headers)".contains("canary") else {
            Issue.record("the server of targets learns the token")
            return
        }
        guard case .bearer = server.requests.last?.credentials else {
            Issue.record("the target gets no token")
            return
        }
    }

    @Test("what makes no sense is refused")
    func refused() {
        for set: [String: OptionValue] in [
            ["urls": .strings(["ftp://a"])], ["urls": .strings(["unix:x"])], ["file_sd_files": .strings(["/a.yml"])],
            ["file_sd_files": .strings(["a.json"])], ["http_sd_urls": .strings(["unix:///a"])],
            ["bearer_token": .string("/a"), "bearer_token_string": .secret(Secret("b"))],
        ] {
            #expect(throws: CollectorError.self) { try input(set) }
        }
        #expect(throws: CollectorError.self) { try input([:], tables: [("relabel_configs", [:])]) }
    }

    @Test("a target that hangs delays no other one, and is not asked twice at a time", .timeLimit(.minutes(1)))
    func slowTarget() async throws {
        let clock = ManualClock()
        let server = PageServer(hangsOn: clock)
        server.page("http://a/metrics", "v 1\n")
        var environment = InputEnvironment(alone: host)
        environment.http = server
        let set: [String: OptionValue] = [
            "urls": .strings(["http://hangs", "http://a"]), "scrape_points": .bool(false), "max_parallel": .integer(2),
            "spread": .bool(false),
        ]
        let input = try PrometheusInput(
            options: OptionValues(PrometheusInput.spec.options, set: set), environment: environment)
        let collected = Collected()
        let serving = Task { try await input.serve(collected) }
        var ticks = 0
        // Until `serve` runs, a gather waits for all targets.
        await eventually("serving") { await input.isServing }
        while collected.all.count < 3, ticks < 1_000 {
            ticks += 1
            _ = await input.gather(at: .zero, now: .zero, deadline: .zero + .seconds(10))
            await eventually("the points") { collected.all.count >= min(ticks, 3) }
        }
        #expect(
            collected.all.prefix(3) == ["v,url=http://a value=1", "v,url=http://a value=1", "v,url=http://a value=1"])
        #expect(server.requests.filter { $0.url == "http://hangs/metrics" }.count == 1)
        serving.cancel()
        _ = await serving.result
        #expect(await !input.isServing)
    }
}
