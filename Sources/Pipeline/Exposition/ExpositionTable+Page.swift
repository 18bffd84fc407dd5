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
    /// or summary stands together under its name.
    public mutating func page(now: Instant) -> PrometheusText {
        sweep(now: now)
        var groups: [String: [String]] = [:]
        for metric in families.keys { groups[notes.family(of: metric)?.name ?? metric, default: []].append(metric) }
        var text = PrometheusText()
        for (name, metrics) in groups.sorted(by: { $0.key < $1.key }) {
            let note = note(of: name, parts: metrics)
            text.family(name, note.kind.shown, note.help.isEmpty ? "Collected by godwit." : note.help)
            for metric in metrics.sorted() {
                for (_, sample) in (families[metric] ?? [:]).sorted(by: { $0.key < $1.key }) {
                    let value = ExpositionTable.value(sample)
                    text.sample(
                        rendered: sample.labels, value, name: metric, time: settings.writesTimes ? sample.time : nil)
                }
            }
        }
        return text
    }

    /// What is written of a family: as the operator says, as node_exporter has it, or as an input knows it.
    private func note(of name: String, parts: [String]) -> MetricNotes.Note {
        var note = settings.usesNodeNames ? NodeNames.note(name) : nil
        note = note ?? notes[name] ?? declared[name] ?? MetricNotes.Note(.untyped, help: "")
        var kind = note?.kind ?? .untyped
        // A sample that is no part of a histogram cannot stand under one.
        if kind == .histogram, parts.contains(name) { kind = .untyped }
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
