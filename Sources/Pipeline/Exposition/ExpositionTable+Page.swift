extension ExpositionTable {
    /// Removes what nobody added to for too long.
    public mutating func sweep(now: Instant) {
        swept = now
        guard settings.expiration > .zero else { return }
        let limit = settings.expiration
        for name in Array(families.keys) {
            guard let samples = families[name], samples.values.contains(where: { now - $0.added > limit }) else {
                continue
            }
            for (key, sample) in samples where now - sample.added > limit {
                bytes -= ExpositionTable.size(key, sample)
            }
            let kept = samples.filter { now - $0.value.added <= limit }
            expiredSamples = expiredSamples.addingSaturated(UInt64(samples.count - kept.count))
            count -= samples.count - kept.count
            families[name] = kept.isEmpty ? nil : kept
        }
    }

    /// All families in order of their names, the samples of each in order of their labels. What belongs to a histogram
    /// or summary stands together under its name, as long as all of it is what such a family may have. A tag and a text
    /// may make the same labels of two samples: the newer one stands there.
    public mutating func page(now: Instant, format: ExpositionFormat = .text) -> PrometheusText {
        sweep(now: now)
        let guessed = guessedHistograms()
        var groups: [String: [String]] = [:]
        for metric in families.keys {
            groups[whole(of: metric, guessed, format) ?? metric, default: []].append(metric)
        }
        var text = PrometheusText(format: format)
        var wholes: Set<String> = []
        for (name, metrics) in groups.sorted(by: { $0.key < $1.key }) {
            var note = note(of: name)
            if guessed.contains(name), note.kind == .untyped { note.kind = .histogram }
            let isWhole = note.kind == .histogram || note.kind == .summary
            // A reader takes what looks like a part of a family that it knows for one, its declaration too.
            if isWhole, isValid(name, metrics, note.kind), hasAllParts(name, metrics, note.kind, format),
                !MetricNotes.parts(name).contains(where: wholes.contains)
            {
                wholes.insert(name)
                begin(name, note, in: &text)
                var before: (metric: String, labels: String) = ("", "")
                for (metric, sample) in parts(metrics, note.kind) where (metric, sample.labels) != before {
                    write(sample, metric, to: &text)
                    before = (metric, sample.labels)
                }
                continue
            }
            for metric in metrics.sorted() {
                begin(metric, isWhole || metric != name ? MetricNotes.Note(.untyped, help: note.help) : note, in: &text)
                let samples = (families[metric] ?? [:]).values.sorted { ($0.labels, $1.time) < ($1.labels, $0.time) }
                var before: String?
                for sample in samples where sample.labels != before {
                    write(sample, metric, to: &text)
                    before = sample.labels
                }
            }
        }
        return text
    }

    private func begin(_ name: String, _ note: MetricNotes.Note, in text: inout PrometheusText) {
        text.family(name, note.kind.shown, note.help.isEmpty ? "Collected by godwit." : note.help)
    }

    private func write(_ sample: Sample, _ metric: String, to text: inout PrometheusText) {
        text.sample(
            rendered: sample.labels, ExpositionTable.value(sample), name: metric,
            time: settings.writesTimes ? sample.time : nil)
    }

    // MARK: Histograms and summaries

    /// The histogram or summary that a metric is a part of.
    private func whole(of metric: String, _ guessed: Set<String>, _ format: ExpositionFormat) -> String? {
        if let known = notes.family(of: metric) { return known.name }
        if format == .openMetrics, metric.hasSuffix("_created") {
            let base = String(metric.dropLast("_created".count))
            if let kind = notes[base]?.kind, kind == .histogram || kind == .summary { return base }
        }
        return guessed.isEmpty ? nil : MetricNotes.parts(metric).first(where: guessed.contains)
    }

    /// Histograms that nobody declared, such as those of an aggregator: buckets with bounds, and nothing of the name
    /// itself. Those that do not accumulate have a lower bound, too, and are none.
    private func guessedHistograms() -> Set<String> {
        var found: Set<String> = []
        for (metric, samples) in families where metric.hasSuffix("_bucket") {
            let name = String(metric.dropLast("_bucket".count))
            guard !name.isEmpty, families[name] == nil, notes[name] == nil else { continue }
            let isHistogram = samples.values.allSatisfy {
                if case .value = LabelText.number("le", in: $0.labels) {
                    return LabelText.removing("gt", from: $0.labels) == nil
                }
                return false
            }
            if isHistogram { found.insert(name) }
        }
        return found
    }

    /// Whether all samples are such as a family of the kind has.
    private func isValid(_ name: String, _ metrics: [String], _ kind: ExpositionKind) -> Bool {
        let label = kind == .histogram ? "le" : "quantile"
        let labelled = kind == .histogram ? name + "_bucket" : name
        for metric in metrics {
            if kind == .histogram, metric == name { return false }
            for sample in (families[metric] ?? [:]).values {
                switch LabelText.number(label, in: sample.labels) {
                case .missing: if metric == labelled { return false }
                case .value: if metric != labelled { return false }
                case .noNumber: return false
                }
            }
        }
        return true
    }

    /// Whether no other family has a metric that is called like this one, or like a part of it.
    private func hasAllParts(
        _ name: String, _ metrics: [String], _ kind: ExpositionKind, _ format: ExpositionFormat
    ) -> Bool {
        ([""] + kind.suffixes.map { "\($0)" }).allSatisfy { suffix in
            // Text has no times of creation: such a name is one like any other.
            if format == .text, suffix == "_created" { return true }
            return families[name + suffix] == nil || metrics.contains(name + suffix)
        }
    }

    /// The samples of a histogram or summary: those of one series together, by rising bounds.
    private func parts(_ metrics: [String], _ kind: ExpositionKind) -> [(metric: String, sample: Sample)] {
        let label = kind == .histogram ? "le" : "quantile"
        var found: [(series: String, metric: String, bound: Double, sample: Sample)] = []
        for metric in metrics {
            for sample in (families[metric] ?? [:]).values {
                var bound = 0.0
                if case .value(let value) = LabelText.number(label, in: sample.labels) { bound = value }
                found.append((LabelText.removing(label, from: sample.labels) ?? sample.labels, metric, bound, sample))
            }
        }
        found.sort {
            ($0.series, $0.metric, $0.bound, $0.sample.labels, $1.sample.time)
                < ($1.series, $1.metric, $1.bound, $1.sample.labels, $0.sample.time)
        }
        return found.map { ($0.metric, $0.sample) }
    }

    /// What is written of a family: as the operator says, as node_exporter has it, or as an input knows it.
    private func note(of name: String) -> MetricNotes.Note {
        var note = settings.names == .nodeExporter ? NodeNames.note(name) : nil
        note = note ?? notes[name] ?? declared[name] ?? MetricNotes.Note(.untyped, help: "")
        var kind = note?.kind ?? .untyped
        if kind == .untyped || kind == .counter || kind == .gauge {
            if !settings.counters.isEmpty, settings.counters.matches(name) {
                kind = .counter
            } else if !settings.gauges.isEmpty, settings.gauges.matches(name) {
                kind = .gauge
            }
        }
        return MetricNotes.Note(kind, help: note?.help ?? "")
    }

    private static func value(_ sample: Sample) -> String {
        switch sample.kind {
        case .int: String(Int64(bitPattern: sample.cell))
        case .uint, .bool, .string: String(sample.cell)
        case .float: PrometheusText.number(Double(bitPattern: sample.cell))
        }
    }
}

extension ExpositionKind {
    /// As text 0.0.4 has it.
    fileprivate var shown: PrometheusText.Kind {
        switch self {
        case .counter: .counter
        case .gauge, .info, .stateSet: .gauge
        case .histogram: .histogram
        case .summary: .summary
        case .untyped, .gaugeHistogram: .untyped
        }
    }
}
