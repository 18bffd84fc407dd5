import Pipeline

/// What is told of every scrape, as Prometheus tells it.
struct ScrapeHealth {
    /// What one scrape was like.
    struct Reading {
        var isUp = false
        var duration = Duration.zero
        /// Samples on the page.
        var samples = 0
        /// Those that rules kept.
        var kept = 0
        /// Series that the page before did not have.
        var added = 0

        fileprivate var values: [Double] {
            [isUp ? 1 : 0, duration.inSeconds, Double(samples), Double(kept), Double(added)]
        }
    }

    static let notes: [(name: String, note: MetricNotes.Note)] = [
        ("up", .init(.gauge, help: "Whether the page of the target was read.")),
        ("scrape_duration_seconds", .init(.gauge, help: "Time that the scrape took.")),
        ("scrape_samples_scraped", .init(.gauge, help: "Samples on the page.")),
        ("scrape_samples_post_metric_relabeling", .init(.gauge, help: "Samples that relabelling kept.")),
        ("scrape_series_added", .init(.gauge, help: "Series that the page before did not have.")),
    ]

    private let version: ExpositionName.Version
    private var series: [[Tag]: [Series]] = [:]
    private let whole = Schema(ScrapeHealth.notes.map { Schema.Field.float($0.name) })
    private let gauge = Schema([.float("gauge")])

    init(version: ExpositionName.Version) { self.version = version }

    mutating func append(_ reading: Reading, _ tags: [Tag], at time: Timestamp, to samples: inout SampleSet) {
        append(reading.values, tags, at: time, to: &samples)
    }

    /// Ends the series of a target that is scraped no more.
    mutating func end(_ tags: [Tag], at time: Timestamp, _ samples: inout SampleSet) {
        guard series[tags] != nil else { return }
        append(ScrapeHealth.notes.map { _ in .staleMarker }, tags, at: time, to: &samples)
        series[tags] = nil
    }

    private mutating func append(_ values: [Double], _ tags: [Tag], at time: Timestamp, to samples: inout SampleSet) {
        let names = version == .second ? ["prometheus"] : ScrapeHealth.notes.map(\.name)
        if series.count > 10_000 { series.removeAll() }
        let known = series[tags] ?? names.map { Series($0, tags: tags) }
        series[tags] = known
        if version == .second {
            samples.append(known[0], whole, at: time)
            for value in values { samples.float(value) }
        } else {
            for (series, value) in zip(known, values) {
                samples.append(series, gauge, at: time)
                samples.float(value)
            }
        }
    }
}
