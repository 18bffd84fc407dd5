import Pipeline

/// The few values that the live page shows, taken from the newest samples.
enum Headlines {
    /// Fields worth a line, by measurement, in order.
    private static let chosen: [(measurement: String, tag: String?, fields: [String])] = [
        ("cpu", "cpu-total", ["usage_user", "usage_system", "usage_iowait", "usage_idle"]),
        ("mem", nil, ["used_percent", "available", "cached"]),
        ("system", nil, ["load1", "load5", "load15", "uptime"]),
        ("disk", nil, ["used_percent", "free"]),
        ("net", nil, ["bytes_recv", "bytes_sent", "err_in", "drop_in"]),
    ]

    /// Lines of one measurement that are shown at most.
    private static let perMeasurement = 6

    static func make(from latest: [String: SampleSet]) -> [StatusReport.Headline] {
        let sets = latest.sorted { $0.key < $1.key }.map(\.value)
        var headlines: [StatusReport.Headline] = []
        for entry in chosen {
            var count = 0
            for set in sets {
                for row in set.rows where row.series.measurement == entry.measurement && count < perMeasurement {
                    if let tag = entry.tag, !row.series.tags.contains(where: { $0.value == tag }) { continue }
                    let fields = values(of: row, in: set, named: entry.fields)
                    guard !fields.isEmpty else { continue }
                    count += 1
                    let tags = row.series.tags.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
                    headlines.append(StatusReport.Headline(name: entry.measurement, tags: tags, fields: fields))
                }
            }
        }
        return headlines
    }

    private static func values(of row: SampleSet.Row, in set: SampleSet, named: [String]) -> [String: Double] {
        var values: [String: Double] = [:]
        for (column, field) in row.schema.fields.enumerated() where named.contains(field.key) {
            let cell = set.cells[row.firstCell + column]
            switch field.kind {
            case .int: values[field.key] = Double(Int64(bitPattern: cell))
            case .uint: values[field.key] = Double(cell)
            case .float: values[field.key] = Double(bitPattern: cell)
            case .bool, .string: break
            }
        }
        return values
    }
}
