import Pipeline

/// The few values that the live page shows, taken from the newest samples.
enum Headlines {
    /// How a value is written.
    private enum Form { case plain, whole, bytes, seconds }

    /// What a measurement shows: which fields, in order, and which tag tells its series apart.
    private struct Choice {
        var measurement: String
        var tag: String?
        /// Only the series with this value of the tag.
        var only: String?
        var fields: [(name: String, form: Form)]
    }

    private static let choices = [
        Choice(
            measurement: "cpu", tag: "cpu", only: "cpu-total",
            fields: [
                ("usage_user", .plain), ("usage_system", .plain), ("usage_iowait", .plain), ("usage_idle", .plain),
            ]),
        Choice(
            measurement: "mem", fields: [("used_percent", .plain), ("available", .bytes), ("cached", .bytes)]),
        Choice(
            measurement: "system",
            fields: [("load1", .plain), ("load5", .plain), ("load15", .plain), ("uptime", .seconds)]),
        Choice(measurement: "disk", tag: "path", fields: [("used_percent", .plain), ("free", .bytes)]),
        Choice(
            measurement: "net", tag: "interface",
            fields: [("bytes_recv", .bytes), ("bytes_sent", .bytes), ("err_in", .whole), ("drop_in", .whole)]),
    ]

    /// Series of one measurement that are shown at most.
    private static let perMeasurement = 6

    /// Shape: the measurements in the order of `choices`; rows of one series are one headline, `-` for what is missing.
    static func make(from latest: [String: SampleSet]) -> [StatusReport.Headline] {
        let sets = latest.sorted { $0.key < $1.key }.map(\.value)
        return choices.flatMap { headlines($0, sets) }
    }

    private static func headlines(_ choice: Choice, _ sets: [SampleSet]) -> [StatusReport.Headline] {
        var order: [String] = []
        var values: [String: [String: String]] = [:]
        for set in sets {
            for row in set.rows where row.series.measurement == choice.measurement {
                let series = choice.tag.flatMap { key in row.series.tags.first { $0.key == key }?.value } ?? ""
                if let only = choice.only, only != series { continue }
                let found = cells(of: row, in: set, choice)
                guard !found.isEmpty else { continue }
                if values[series] == nil {
                    guard order.count < perMeasurement else { continue }
                    order.append(series)
                }
                values[series, default: [:]].merge(found) { first, _ in first }
            }
        }
        return order.map { series in
            StatusReport.Headline(
                name: choice.measurement, series: series,
                fields: choice.fields.map { .init($0.name, values[series]?[$0.name] ?? "-") })
        }
    }

    private static func cells(of row: SampleSet.Row, in set: SampleSet, _ choice: Choice) -> [String: String] {
        var result: [String: String] = [:]
        for (column, field) in row.schema.fields.enumerated() {
            guard let form = choice.fields.first(where: { $0.name == field.key })?.form else { continue }
            let cell = set.cells[row.firstCell + column]
            switch field.kind {
            case .int: result[field.key] = text(Double(Int64(bitPattern: cell)), form)
            case .uint: result[field.key] = text(Double(cell), form)
            case .float: result[field.key] = text(Double(bitPattern: cell), form)
            case .bool, .string: break
            }
        }
        return result
    }

    private static func text(_ value: Double, _ form: Form) -> String {
        switch form {
        case .plain: Readable.decimal(value, places: 2)
        case .whole: Readable.decimal(value, places: 0)
        case .bytes: UInt64(exactly: value.rounded()).map(Readable.bytes) ?? "-"
        case .seconds: Readable.duration(.seconds(Int64(exactly: value.rounded()) ?? 0))
        }
    }
}
