import Testing

@testable import Pipeline

@Suite("Pages in both formats, histograms, Prometheus' own names")
struct ExpositionPageTests {
    private func page(
        _ lines: String, notes: [(String, ExpositionKind)] = [], format: ExpositionFormat = .text,
        _ change: (inout ExpositionTable.Settings) -> Void = { _ in }
    ) -> [String] {
        var settings = ExpositionTable.Settings()
        change(&settings)
        var table = ExpositionTable(
            settings: settings,
            inputs: [
                PluginSpec(
                    name: "x", summary: "", options: [],
                    metrics: [
                        MetricSpec(
                            "diskio",
                            fields: [.uint("read_time", .milliseconds, "a file"), .float("io_util", .percent, "it")]),
                        MetricSpec("net", fields: [.int("speed", .megabitsPerSecond, "sys")]),
                    ])
            ])
        var known = MetricNotes()
        for (name, kind) in notes { known.add(name, MetricNotes.Note(kind, help: "")) }
        table.notes = known
        var parser = LineProtocolParser()
        _ = table.add(parser.parse(all: Array(lines.utf8), at: .zero).samples, now: .zero)
        var text = table.page(now: .zero, format: format)
        text.finish()
        return String(decoding: text.bytes, as: UTF8.self).split(separator: "\n").map(String.init)
            .filter { !$0.hasPrefix("# HELP") }
    }

    @Test("buckets without a declaration are a histogram, in order of their bounds, series by series")
    func guessed() {
        #expect(
            page(
                "m,a=2,le=+Inf d_bucket=3i 1\nm,a=2,le=10 d_bucket=2i 1\nm,a=2,le=9 d_bucket=1i 1\nm,a=1,le=+Inf d_bucket=4i 1\n"
            )
                == [
                    "# TYPE m_d histogram", #"m_d_bucket{a="1",le="+Inf"} 4"#, #"m_d_bucket{a="2",le="9"} 1"#,
                    #"m_d_bucket{a="2",le="10"} 2"#, #"m_d_bucket{a="2",le="+Inf"} 3"#,
                ])
        #expect(page("m,gt=1,le=2 d_bucket=1i 1\n").first == "# TYPE m_d_bucket untyped")
        #expect(page("m,le=x d_bucket=1i 1\n").first == "# TYPE m_d_bucket untyped")
        #expect(page("m,le=1 d_bucket=1i 1\nm d=1i 1\n").filter { $0.hasPrefix("#") }.count == 2)
    }

    @Test("a declared histogram or summary with samples that are no parts of one is shown as single metrics")
    func broken() {
        let lines =
            "h,le=1 value=1 1\nh_bucket,le=no value=1 1\nh_sum value=1 1\ns,quantile=0.5 value=1 1\ns_count,quantile=x value=1 1\n"
        #expect(
            page(lines, notes: [("h", .histogram), ("s", .summary)]).filter { $0.hasPrefix("#") } == [
                "# TYPE h untyped", "# TYPE h_bucket untyped", "# TYPE h_sum untyped", "# TYPE s untyped",
                "# TYPE s_count untyped",
            ])
        // A family whose name is that of another's part would be read as that part.
        #expect(
            page(
                "h_bucket,le=1 value=1 1\nh_count_bucket,le=1 value=1 1\n",
                notes: [("h", .histogram), ("h_count", .histogram)]
            ).filter { $0.hasPrefix("#") } == ["# TYPE h histogram", "# TYPE h_count_bucket untyped"])
        // And a name is declared once, though its metric belongs to a family that is no whole one.
        #expect(
            page(
                "y value=1 1\ny_count value=1 1\ny_count_bucket,le=1 value=1 1\n",
                notes: [("y", .summary), ("y_count", .histogram)]
            ).filter { $0.hasPrefix("#") } == [
                "# TYPE y untyped", "# TYPE y_count untyped", "# TYPE y_count_bucket untyped",
            ])
    }

    @Test("OpenMetrics: counters without _total in their family's name, units, seconds, the end")
    func openMetrics() {
        let notes: [(String, ExpositionKind)] = [("a_seconds_total", .counter), ("b", .counter), ("c_bytes", .gauge)]
        #expect(
            page(
                "a_seconds_total counter=1 1500000000\nb counter=2 -1500000000\nc_bytes gauge=3 0\nd value=4 0\n",
                notes: notes, format: .openMetrics
            ) { $0.writesTimes = true } == [
                "# TYPE a_seconds counter", "# UNIT a_seconds seconds", "a_seconds_total 1 1.500", "# TYPE b unknown",
                "b 2 -1.500", "# TYPE c_bytes gauge", "# UNIT c_bytes bytes", "c_bytes 3 0.000", "# TYPE d unknown",
                "d 4 0.000", "# EOF",
            ])
        #expect(
            page(
                "a gauge=1 1\na_total counter=2 1\n", notes: [("a", .gauge), ("a_total", .counter)],
                format: .openMetrics)
                == ["# TYPE a gauge", "a 1", "# TYPE a_total unknown", "a_total 2", "# EOF"])
    }

    @Test("Prometheus' own names: base units, factors, flags; what was scraped keeps its names")
    func ownNames() {
        #expect(
            page(
                "diskio read_time=1500i,io_util=50 1\nnet speed=-1i 1\napp,reqPath=x isUp=true,tookMs=5i 1\nup gauge=1 1\n"
                    + "prometheus,job=a some_Metric=2 1\n",
                notes: [("up", .gauge)]
            ) { $0.names = .prometheus } == [
                "# TYPE app_is_up untyped", #"app_is_up{req_path="x"} 1"#, "# TYPE app_took_seconds untyped",
                #"app_took_seconds{req_path="x"} 0.005"#, "# TYPE diskio_io_util_ratio gauge",
                "diskio_io_util_ratio 0.5",
                "# TYPE diskio_read_time_seconds_total counter", "diskio_read_time_seconds_total 1.5",
                "# TYPE some_Metric untyped", #"some_Metric{job="a"} 2"#, "# TYPE up gauge", "up 1",
            ])
    }

    @Test("no label is empty, and none of a series stands there twice")
    func labels() {
        #expect(page("m,a=1 v=1,s=\"x\" 1\nm,a=1,s=x v=2 2\n").dropFirst() == [#"m_v{a="1",s="x"} 2"#])
        #expect(page("m v=1,s=\"\" 1\n") { $0.version = .second }.last == "m_v 1")
        #expect(
            page("h,le=x 1=1 1\n", notes: [("h", .histogram)]).last == #"h_bucket{le="1"} 1"#)
        #expect(
            page("cpu,cpu=cpu0,mode=x time_user=1 1\n") { $0.names = .nodeExporter }.last
                == #"node_cpu_seconds_total{cpu="0",mode="user"} 1"#)
    }

    @Test("node_exporter's names: states of units, errors of file systems, the own measurements of the input node")
    func nodes() {
        let text = page(
            "systemd_units,name=a.service,active=failed,host=h active_code=3i 1\n"
                + "node_network,device=eth0,host=h up=1i 1\nconntrack,cpu=all found=2i 1\nconntrack,cpu=cpu0 found=1i 1\n"
        ) { $0.names = .nodeExporter }
        #expect(text.contains(#"node_systemd_unit_state{name="a.service",state="failed"} 1"#))
        #expect(text.contains(#"node_systemd_unit_state{name="a.service",state="active"} 0"#))
        #expect(text.contains(#"node_network_up{device="eth0"} 1"#))
        #expect(text.filter { $0.hasPrefix("node_nf") } == ["node_nf_conntrack_stat_found 2"])
    }
}
