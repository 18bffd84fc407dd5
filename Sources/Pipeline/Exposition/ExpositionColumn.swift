/// Which metric a column of a point becomes, and how its value does.
struct ExpositionColumn: Sendable, Hashable {
    /// What is done with the value.
    enum Scale: Sendable, Hashable {
        case none
        /// Of values that are below zero where nothing is known.
        case times(Double)
        /// Of any value.
        case factor(Double)
        case divided(by: Double)
        /// Microseconds to seconds, in two steps, as the program does whose numbers these are.
        case microseconds
        /// Less the value of another column, not below 0.
        case minus(column: Int)
        /// 1 where the value is that code, else 0.
        case isCode(Int64)
    }

    var column: Int
    var metric: String
    /// `name="value"`, besides the labels of the point; empty for none.
    var label = ""
    var scale = Scale.none

    /// The columns of a schema that become samples, by the names of Telegraf's output.
    static func all(
        _ schema: Schema, _ measurement: String, _ version: ExpositionName.Version, _ notes: MetricNotes
    ) -> [ExpositionColumn] {
        schema.fields.enumerated().compactMap { column, field in
            switch field.kind {
            case .string: return nil
            case .bool where version == .first: return nil
            case .bool, .int, .uint, .float:
                if version == .first, let note = notes[measurement],
                    let part = ExpositionColumn(column, field.key, of: measurement, note.kind)
                {
                    return part
                }
                return ExpositionName.metric(measurement, field.key, version).map {
                    ExpositionColumn(column: column, metric: $0)
                }
            }
        }
    }

    /// The columns under Prometheus' own names. What was scraped keeps the names of its page; what is said of the others
    /// goes to `seen`.
    static func prometheus(
        _ schema: Schema, _ measurement: String, _ notes: MetricNotes, _ declared: DeclaredColumns,
        _ seen: inout MetricNotes
    ) -> [ExpositionColumn] {
        var columns: [ExpositionColumn] = []
        let scraped = notes[measurement]?.kind
        for (column, field) in schema.fields.enumerated() where field.kind != .string {
            if measurement == "prometheus", let name = ExpositionName.metric(measurement, field.key, .second) {
                columns.append(ExpositionColumn(column: column, metric: name))
            } else if let scraped, let part = ExpositionColumn(column, field.key, of: measurement, scraped) {
                columns.append(part)
            } else if let (made, note) = declared.column(column, measurement, field) {
                columns.append(made)
                if !note.help.isEmpty { seen.add(made.metric, note) }
            }
        }
        return columns
    }

    init(column: Int, metric: String, label: String = "", scale: Scale = .none) {
        self.column = column
        self.metric = metric
        self.label = label
        self.scale = scale
    }

    /// A field of a metric that was scraped in version 1: its name is the measurement's. nil where its kind says nothing.
    private init?(_ column: Int, _ key: String, of metric: String, _ kind: ExpositionKind) {
        guard ExpositionName.metric(metric, "value", .first) == metric else { return nil }
        switch (kind, key) {
        case (.counter, "counter"), (.gauge, "gauge"), (.untyped, "value"): self.init(column: column, metric: metric)
        case (.histogram, "sum"), (.summary, "sum"): self.init(column: column, metric: metric + "_sum")
        case (.histogram, "count"), (.summary, "count"): self.init(column: column, metric: metric + "_count")
        case (.histogram, _) where Double(key) != nil:
            self.init(column: column, metric: metric + "_bucket", label: "le=\"\(key)\"")
        case (.summary, _) where Double(key) != nil:
            self.init(column: column, metric: metric, label: "quantile=\"\(key)\"")
        default: return nil
        }
    }

    /// The columns that have a name of node_exporter's.
    static func nodes(_ schema: Schema, _ measurement: String) -> [ExpositionColumn] {
        var columns: [ExpositionColumn] = []
        for (column, field) in schema.fields.enumerated() where field.kind != .string {
            // Some are made of what the field is called, and anybody may call a measurement like one of ours.
            for name in NodeNames.names(measurement, field.key) where ExpositionName.isMetric(name.metric) {
                var scale = name.scale
                if let other = name.minus {
                    guard let index = schema.fields.firstIndex(where: { $0.key == other }) else { continue }
                    scale = .minus(column: index)
                }
                columns.append(
                    ExpositionColumn(column: column, metric: name.metric, label: name.label, scale: scale))
            }
        }
        return columns
    }

    /// The value as it is shown; nil for one that a metric of node_exporter's does not have.
    func value(_ row: SampleSet.Row, _ cells: [UInt64]) -> (cell: UInt64, kind: FieldKind)? {
        let kind = row.schema.fields[column].kind
        let cell = cells[row.firstCell + column]
        switch scale {
        case .none: return (cell, kind)
        case .factor(let factor): return ((kind.number(cell) * factor).bitPattern, .float)
        case .times(let factor): return float(cell, kind).map { (($0 * factor).bitPattern, .float) }
        case .divided(let factor): return float(cell, kind).map { (($0 / factor).bitPattern, .float) }
        case .microseconds: return float(cell, kind).map { (($0 / 1_000 / 1_000).bitPattern, .float) }
        case .isCode(let code): return (kind.number(cell) == Double(code) ? 1 : 0, .uint)
        case .minus(let other):
            guard let first = float(cell, kind),
                let second = float(cells[row.firstCell + other], row.schema.fields[other].kind)
            else { return nil }
            return (max(0, first - second).bitPattern, .float)
        }
    }

    /// nil below zero, where it means that nothing is known.
    private func float(_ cell: UInt64, _ kind: FieldKind) -> Double? {
        let value = kind.number(cell)
        return value >= 0 ? value : nil
    }
}
