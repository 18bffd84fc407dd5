import Testing

@testable import Pipeline

/// A report with something in every part, some of it hostile.
private func sample() -> StatusReport {
    var report = StatusReport()
    report.version = "1.0"
    report.hostname = "host\u{1B}[2J"
    report.pid = 77
    report.uptime = .seconds(7_384)
    report.config.paths = ["/etc/godwit/config.toml"]
    report.config.skipped = ["inputs.a\u{1B}b"]
    report.config.lastReload = ReloadVerdict(time: .zero, isAccepted: false, errors: ["config.toml:3: unknown key"])
    report.tree = ChildStatus(
        id: "root", kind: .supervisor, state: .running, age: .seconds(60),
        children: [
            ChildStatus(
                id: "disk", kind: .worker, state: .parked, age: .seconds(5), restarts: 6,
                lastError: "bad \"mount\"\nline", retryIn: .seconds(295))
        ])
    var input = StatusReport.Input(id: "cpu", interval: .seconds(10))
    input.points = 1_234_567
    input.lastGather = .seconds(3)
    input.lastDuration = .microseconds(340)
    report.inputs = [input]
    report.batcher.dropped = ["filtered": 4]
    report.processors = [StageCounters(id: "dedup")]
    report.aggregators = [StageCounters(id: "minmax")]
    var stream = SpillStatus(name: "default", state: .memory)
    stream.lastError = "No space left on device"
    stream.verdicts = [.tornTail: 1]
    report.streams = [stream]
    var output = StatusReport.Output(id: "influxdb", kind: "influxdb", stream: "default")
    output.balance = Balance(sealed: 100, delivered: 60, rejected: 1, dropped: [.age: 9], pending: 30)
    output.routes = [
        StatusReport.Route(name: "direct", breaker: .open, lastError: "refused"),
        StatusReport.Route(name: "second", breaker: .closed),
    ]
    output.routes[1].destinations = ["http://a.example:8086", "http://b.example:8086"]
    output.activeRoute = "second"
    output.lastDelivery = .seconds(2)
    output.requests = ["delivered": 3]
    report.outputs = [output]
    return report
}

@Suite("StatusReport")
struct StatusReportTests {
    @Test("a report of an agent that is well is ok")
    func isOK() {
        var report = StatusReport()
        report.assessHealth()
        #expect(report.health.state == .ok && report.health.reasons.isEmpty)
    }

    @Test("every trouble is a reason, the worst first")
    func reasons() {
        var report = sample()
        report.assessHealth(notes: [Health.Reason(.degraded, "TLS is not verified")])
        #expect(report.health.state == .degraded)
        let text = report.health.reasons.map(\.text).joined(separator: "\n")
        for part in ["root/disk is parked", "spill default", "route second, not direct", "reload was refused", "TLS"] {
            #expect(text.contains(part))
        }
        report.outputs[0].lastDelivery = .seconds(61)
        report.assessHealth()
        #expect(report.health.state == .failing)
        #expect(report.health.reasons.first?.text == "output influxdb delivered nothing for 1 min 1 s: refused")
    }

    @Test("silence without anything to deliver is no trouble, dropping is")
    func silence() {
        var report = sample()
        report.outputs[0].balance.pending = 0
        report.outputs[0].lastDelivery = .seconds(9_999)
        report.assessHealth()
        #expect(report.health.state == .degraded)
        report.outputs[0].droppedRecently = 5
        report.assessHealth()
        #expect(report.health.state == .failing)
    }

    @Test("the JSON parses and holds the balance and the tree")
    func json() throws {
        let value = try JSONValue.parse(sample().json.encoded(indent: true))
        #expect(value["outputs"]?[0]?["balance"]?["pending"]?.uint64 == 30)
        #expect(value["outputs"]?[0]?["balance"]?["dropped"]?["age"]?.uint64 == 9)
        #expect(value["tree"]?["children"]?[0]?["state"]?.string == "parked")
        #expect(value["outputs"]?[0]?["routes"]?[1]?["destinations"]?[0]?.string == "http://a.example:8086")
        #expect(value["config"]?["last_reload"]?["accepted"]?.bool == false)
    }

    @Test("the text shows what an operator looks for, and no control character of anybody")
    func text() {
        var report = sample()
        report.assessHealth()
        let page = StatusText.page(report)
        let parts = [
            "health  degraded", "parked", "retry in 4 min 55 s", "1,234,567",
            "100 sealed = 60 delivered + 1 rejected + 9 dropped (age 9) + 30 pending",
            "direct: open; last error: refused", "second http://a.example:8086, http://b.example:8086: closed",
            "recovered_torn_tail 1", "config.toml:3: unknown key", "filtered 4",
        ]
        for part in parts { #expect(page.contains(part), "\(part)") }
        #expect(page.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" })
    }
}

@Suite("LiveView")
struct LiveViewTests {
    @Test(
        "the page keeps to the terminal",
        arguments: [(20, 4), (80, 24), (132, 50), (0, 0), (9_999, 9_999), (-5, -5)])
    func fits(width: Int, height: Int) {
        var report = sample()
        report.headlines = (0..<300).map {
            StatusReport.Headline(name: "cpu", series: "cpu\($0)", fields: [.init("usage_idle", "99.50")])
        }
        report.assessHealth()
        let page = LiveView.page(report, width: width, height: height)
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count <= min(max(height, 4), 200))
        #expect(lines.allSatisfy { $0.count <= min(max(width, 20), 500) })
        #expect(page.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\n" })
    }

    @Test("at 80 columns every value is seen, however long the names of the series are")
    func valuesAreSeen() {
        var report = sample()
        let path = "/var/lib/" + String(repeating: "long", count: 40)
        report.headlines = [
            StatusReport.Headline(
                name: "cpu", series: "cpu-total",
                fields: [
                    .init("usage_user", "1.25"), .init("usage_system", "0.50"), .init("usage_iowait", "0.00"),
                    .init("usage_idle", "98.25"),
                ]),
            StatusReport.Headline(
                name: "disk", series: path, fields: [.init("used_percent", "12.34"), .init("free", "81.7 GiB")]),
        ]
        let page = LiveView.page(report, width: 80, height: 40)
        for part in ["usage_idle", "98.25", "used_percent", "12.34", "81.7 GiB", "/var/lib/longlong"] {
            #expect(page.contains(part), "\(part)\n\(page)")
        }
    }
}

@Suite("PrometheusText")
struct PrometheusTextTests {
    @Test("values and labels are written as the format wants them")
    func format() {
        var text = PrometheusText()
        text.family("godwit_x_total", .counter, "A \\ and\na line.")
        text.sample([("path", "a\"b\\c\nd")], UInt64.max)
        text.sample([], 1.5)
        text.sample([], Double.nan)
        text.sample([], -Double.infinity)
        #expect(
            String(decoding: text.bytes, as: UTF8.self) == """
                # HELP godwit_x_total A \\\\ and\\na line.
                # TYPE godwit_x_total counter
                godwit_x_total{path="a\\"b\\\\c\\nd"} 18446744073709551615
                godwit_x_total 1.5
                godwit_x_total NaN
                godwit_x_total -Inf

                """)
    }

    @Test("each family appears once, typed, with the right ending of its name")
    func families() {
        let page = String(decoding: StatusMetrics.exposition(sample()), as: UTF8.self)
        var families: [String: String] = [:]
        var current = ""
        for line in page.split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("# TYPE") {
                current = String(words[2])
                #expect(families.updateValue(String(words[3]), forKey: current) == nil, "\(current) twice")
                #expect(current.hasPrefix("godwit_"))
                #expect((words[3] == "counter") == current.hasSuffix("_total"), "\(current)")
            } else if !line.hasPrefix("#") {
                #expect(line.prefix { $0 != "{" && $0 != " " } == current)
            }
        }
        #expect(families.count > 40)
        #expect(page.contains("godwit_output_dropped_points_total{output=\"influxdb\",reason=\"age\"} 9\n"))
        #expect(page.contains("godwit_input_gather_seconds{input=\"cpu\"} 0.00034\n"))
    }
}

@Suite("Readable")
struct ReadableTests {
    @Test("durations, sizes and counts read well")
    func numbers() {
        let durations: [(Duration, String)] = [
            (.zero, "0 s"), (.milliseconds(340), "340 ms"), (.seconds(59), "59 s"), (.seconds(303), "5 min 3 s"),
            (.seconds(7_440), "2 h 4 min"), (.seconds(3 * 86_400), "3 d"), (.seconds(-1), "0 s"),
        ]
        for (duration, text) in durations { #expect(Readable.duration(duration) == text) }
        #expect(Readable.bytes(1_023) == "1023 B")
        #expect(Readable.bytes(1_536) == "1.5 KiB")
        #expect(Readable.bytes(.max) == "16.0 EiB")
        #expect(Readable.count(1_234_567) == "1,234,567")
        #expect(Readable.count(12) == "12")
        #expect(Readable.decimal(-1.25, places: 1) == "-1.3")
        #expect(Readable.decimal(0.05, places: 2) == "0.05")
        #expect(Readable.decimal(.nan, places: 2) == "-")
        #expect(Readable.decimal(1e300, places: 2) == "1e+300")
        #expect(Readable.decimal(2.0, places: 0) == "2")
    }
}
