import Testing

@testable import Pipeline

@Suite struct PrometheusNameTests {
    private func name(
        _ measurement: String, _ field: String, _ kind: ExpositionKind = .untyped, _ unit: MetricUnit? = nil
    ) -> String? {
        PrometheusName.metric(measurement, field, kind, unit)?.name
    }

    @Test("declared fields have base units, and counters _total")
    func declared() {
        #expect(name("diskio", "read_time", .counter, .milliseconds) == "diskio_read_time_seconds_total")
        #expect(name("diskio", "read_bytes", .counter, .bytes) == "diskio_read_bytes_total")
        #expect(name("mem", "used_percent", .gauge, .percent) == "mem_used_ratio")
        #expect(name("mem", "total", .gauge, .bytes) == "mem_total_bytes")
        #expect(name("processes", "total", .gauge, .count) == "processes_total_value")
        #expect(name("ping", "average_response_ms", .gauge, .milliseconds) == "ping_average_response_seconds")
        #expect(name("smart_device", "temp_c", .gauge, .celsius) == "smart_device_temp_celsius")
        #expect(name("net", "speed", .gauge, .megabitsPerSecond) == "net_speed_bytes_per_second")
        #expect(PrometheusName.metric("procstat", "memory_pss", .gauge, .kibibytes)?.base.factor == 1_024)
    }

    @Test("foreign fields: words in lower case, units at the end are base units, the words of Prometheus are no words")
    func foreign() {
        #expect(name("my.App", "requestCount") == "my_app_request_count")
        #expect(name("nstat", "TcpExtTCPSynRetrans") == "nstat_tcp_ext_tcp_syn_retrans")
        #expect(name("app", "latency_ms") == "app_latency_seconds")
        #expect(PrometheusName.metric("app", "latency_ms", .untyped, nil)?.base.factor == 1e-3)
        #expect(name("app", "sentKB") == "app_sent_bytes")
        #expect(name("app", "value") == "app")
        #expect(name("app", "gauge") == "appgauge")
        #expect(name("app", "ms_gauge_x") == "appmsgauge_x")
        #expect(name("days", "left") == "xdays_left")
        #expect(name("9m", "v") == "x9m_v")
        #expect(name("größe", "ü.b") == "gr_eb")
        #expect(name("..", "ü") == nil)
        #expect(PrometheusName.label("requestPath") == "request_path")
        #expect(PrometheusName.label("__name__") == "name")
        #expect(PrometheusName.label("...") == nil)
    }

    @Test("the unit of a name is the base unit at its end")
    func units() {
        #expect(PrometheusName.unit(of: "a_seconds") == "seconds")
        #expect(PrometheusName.unit(of: "a_bytes") == "bytes")
        #expect(PrometheusName.unit(of: "seconds") == nil)
        #expect(PrometheusName.unit(of: "_seconds") == nil)
        #expect(PrometheusName.unit(of: "a_bytes__") == nil)
        #expect(PrometheusName.unit(of: "a_things") == nil)
    }

    @Test("no text makes a name that is none, or one with a word that promtool remarks on")
    func anyText() {
        let pieces = [
            "", "a", "MS", "ms", "s", "Bits", "kilo", "bytes", "gauge", "Counter", "9", "ü", "_", "total", "b", "k",
            "days",
        ]
        let refused: Set<String> = [
            "ms", "s", "b", "kb", "bits", "gauge", "counter", "days", "kilobytes", "milliseconds",
        ]
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    guard let name = name(first + "_" + second, second + third) else { continue }
                    #expect(ExpositionName.isLabel(name), "\(name)")
                    let words = name.split(separator: "_").map(String.init)
                    #expect(refused.isDisjoint(with: words), "\(name) of \(first) \(second) \(third)")
                }
            }
        }
    }
}

@Suite struct ExpositionAcceptTests {
    @Test("the greater weight decides; who names neither gets the text of old")
    func formats() {
        #expect(ExpositionAccept.format(nil) == .text)
        #expect(ExpositionAccept.format("") == .text)
        #expect(ExpositionAccept.format("*/*") == .text)
        #expect(ExpositionAccept.format(ExpositionFormat.accept) == .openMetrics)
        #expect(ExpositionAccept.format("application/openmetrics-text") == .openMetrics)
        #expect(ExpositionAccept.format("application/openmetrics-text;version=2.0.0, text/plain;q=0.1") == .text)
        #expect(
            ExpositionAccept.format("application/openmetrics-text; q=0.2, text/plain; version=0.0.4; q=0.9") == .text)
        #expect(ExpositionAccept.format("application/openmetrics-text;q=0, */*") == .text)
        #expect(ExpositionAccept.format("Application/OpenMetrics-Text ; Version=\"1.0.0\"") == .openMetrics)
        #expect(ExpositionAccept.format("application/openmetrics-text;q=nan") == .text)
        #expect(ExpositionAccept.format(String(repeating: "a/b;", count: 100_000)) == .text)
    }

    @Test("gzip by its weight, by * where it is not named")
    func encodings() {
        #expect(ExpositionAccept.takesGzip("gzip"))
        #expect(ExpositionAccept.takesGzip("br, GZip;q=0.5"))
        #expect(ExpositionAccept.takesGzip("*"))
        #expect(!ExpositionAccept.takesGzip("gzip;q=0, *"))
        #expect(!ExpositionAccept.takesGzip("gzip; q=0.000"))
        #expect(!ExpositionAccept.takesGzip("identity"))
        #expect(!ExpositionAccept.takesGzip(nil))
    }
}

@Suite struct LabelTextTests {
    @Test("labels are found, replaced and read as they are written, and values with quotes deceive nobody")
    func labels() {
        #expect(LabelText.adding("le=\"1\"", to: "") == "le=\"1\"")
        #expect(LabelText.adding("le=\"1\"", to: "a=\"2\"") == "a=\"2\",le=\"1\"")
        #expect(LabelText.adding("le=\"1\"", to: "le=\"x\\\"\",a=\"2\"") == "a=\"2\",le=\"1\"")
        #expect(LabelText.adding("le=\"1\"", to: "a=\"2\",le=\"\"") == "a=\"2\",le=\"1\"")
        #expect(LabelText.adding("le=\"1\"", to: "a=\",le=\\\"9\",b=\"2\"") == "a=\",le=\\\"9\",b=\"2\",le=\"1\"")
        #expect(LabelText.adding("le=\"1\"", to: "le=\"x\"") == "le=\"1\"")
        #expect(LabelText.number("le", in: "a=\"1\",le=\"+Inf\"") == .value(.infinity))
        #expect(LabelText.number("le", in: "le=\"1e3\"") == .value(1_000))
        #expect(LabelText.number("le", in: "le=\"0x1p3\"") == .noNumber)
        #expect(LabelText.number("le", in: "le=\"\"") == .noNumber)
        #expect(LabelText.number("le", in: "a=\",le=\\\"9\"") == .missing)
        #expect(LabelText.number("le", in: "le=\"") == .missing)
    }
}
