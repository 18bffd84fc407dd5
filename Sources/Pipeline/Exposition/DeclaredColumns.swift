/// What inputs declare of their fields, for those who show them under Prometheus' own names.
///
/// Bounds: what the program declares, nothing of what comes from outside.
struct DeclaredColumns: Sendable {
    /// One field, or a pattern of them.
    struct Declared: Sendable {
        var field: MetricSpec.Field
        var kind: ExpositionKind
    }

    private var exact: [String: [String: Declared]] = [:]
    private var patterns: [String: [(glob: Glob, declared: Declared)]] = [:]

    init(_ inputs: [PluginSpec]) {
        for metric in inputs.flatMap(\.metrics) where !metric.measurement.utf8.contains(UInt8(ascii: "*")) {
            for field in metric.fields where field.kind != .string {
                let declared = Declared(field: field, kind: field.exposition(of: metric.measurement))
                if !field.name.utf8.contains(UInt8(ascii: "*")) {
                    if exact[metric.measurement]?[field.name] == nil {
                        exact[metric.measurement, default: [:]][field.name] = declared
                    }
                } else if let glob = try? Glob(field.name) {
                    patterns[metric.measurement, default: []].append((glob, declared))
                }
            }
        }
    }

    /// What is declared of a field; nil of those that come from outside.
    func find(_ measurement: String, _ field: String) -> Declared? {
        if let found = exact[measurement]?[field] { return found }
        guard let found = patterns[measurement]?.first(where: { $0.glob.matches(field) })?.declared else { return nil }
        // What a pattern covers counts as a rule, but not always.
        return Declared(field: found.field, kind: MetricSpec.kind(ofNamed: field, in: measurement))
    }

    /// The column of a field under Prometheus' own names, and what is to be said of it.
    func column(
        _ column: Int, _ measurement: String, _ field: Schema.Field
    ) -> (column: ExpositionColumn, note: MetricNotes.Note)? {
        let known = find(measurement, field.key)
        let kind = known?.kind ?? .untyped
        guard let (name, base) = PrometheusName.metric(measurement, field.key, kind, known?.field.unit) else {
            return nil
        }
        var scale = ExpositionColumn.Scale.none
        if base.isNeverNegative {
            scale = .times(base.factor)
        } else if base.factor != 1 {
            scale = .factor(base.factor)
        }
        return (
            ExpositionColumn(column: column, metric: name, scale: scale),
            MetricNotes.Note(kind, help: known.map { "From \($0.field.source)." } ?? "")
        )
    }
}
