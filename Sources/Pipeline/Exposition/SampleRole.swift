/// What a sample is in its family, by its name.
struct SampleRole: Hashable {
    private enum Part { case whole, bucket, quantile, sum, count, created }

    private let kind: ExpositionKind
    private let part: Part

    init(_ name: String, _ kind: ExpositionKind) {
        self.kind = kind
        switch kind {
        case .histogram where name.hasSuffix("_bucket"): part = .bucket
        case .histogram where name.hasSuffix("_sum"), .summary where name.hasSuffix("_sum"): part = .sum
        case .histogram where name.hasSuffix("_count"), .summary where name.hasSuffix("_count"): part = .count
        case .histogram where name.hasSuffix("_created"), .summary where name.hasSuffix("_created"),
            .counter where name.hasSuffix("_created"):
            part = .created
        case .summary: part = .quantile
        default: part = .whole
        }
    }

    /// Whether it is one field of several in version 1.
    var isPart: Bool { part != .whole && part != .created }

    /// Measurement and field in version 1; takes the label that becomes a field.
    func place(_ name: String, _ labels: inout [String: String]) -> (measurement: String, field: String) {
        switch part {
        case .bucket: (String(name.dropLast(7)), SampleRole.bound(labels.removeValue(forKey: "le") ?? ""))
        case .quantile: (name, SampleRole.bound(labels.removeValue(forKey: "quantile") ?? ""))
        case .sum: (String(name.dropLast(4)), "sum")
        case .count: (String(name.dropLast(6)), "count")
        case .created: (name, "gauge")
        case .whole:
            switch kind {
            case .counter: (name, "counter")
            case .gauge, .info, .stateSet: (name, "gauge")
            case .untyped, .histogram, .summary, .gaugeHistogram: (name, "value")
            }
        }
    }

    /// What is to be remembered of the metric for those who show it again as text 0.0.4.
    func note(_ name: String, _ family: ExpositionFamily) -> (name: String, note: MetricNotes.Note)? {
        switch part {
        case .bucket: (String(name.dropLast(7)), MetricNotes.Note(kind, help: family.help, unit: family.unit))
        case .quantile: (name, MetricNotes.Note(kind, help: family.help, unit: family.unit))
        case .sum: (String(name.dropLast(4)), MetricNotes.Note(kind, help: family.help, unit: family.unit))
        case .count: (String(name.dropLast(6)), MetricNotes.Note(kind, help: family.help, unit: family.unit))
        case .created: (name, MetricNotes.Note(.gauge, help: family.help, unit: family.unit))
        case .whole:
            switch kind {
            case .counter, .gauge, .untyped: (name, MetricNotes.Note(kind, help: family.help, unit: family.unit))
            case .info, .stateSet: (name, MetricNotes.Note(.gauge, help: family.help, unit: family.unit))
            case .histogram, .summary, .gaugeHistogram: nil
            }
        }
    }

    /// A bound as Telegraf names it: the number in its shortest form.
    static func bound(_ text: String) -> String {
        guard let value = Double(text) else { return text.isEmpty ? "value" : text }
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let shortest = value.description
        return shortest.hasSuffix(".0") ? String(shortest.dropLast(2)) : shortest
    }
}

/// The labels of a series.
enum ExpositionLabels {
    /// Reads what is between the braces, which `ExpositionLine` has checked. Labels without a value are none.
    static func read(_ bytes: [UInt8], _ range: Range<Int>) -> [String: String] {
        var labels: [String: String] = [:]
        var at = range.lowerBound
        func quoted() -> Range<Int> {
            at &+= 1
            let start = at
            while at < range.upperBound, bytes[at] != UInt8(ascii: "\"") {
                at &+= bytes[at] == UInt8(ascii: "\\") ? 2 : 1
            }
            at = min(at, range.upperBound)
            let text = start..<at
            at &+= 1
            return text
        }
        while at < range.upperBound {
            let start = at
            var name = at..<at
            if bytes[at] == UInt8(ascii: "\"") {
                name = quoted()
            } else {
                while at < range.upperBound, ExpositionLine.isName(bytes[at], isFirst: false, colon: false) { at &+= 1 }
                name = start..<at
            }
            while at < range.upperBound, ByteCursor.isGap(bytes[at]) { at &+= 1 }
            if at < range.upperBound, bytes[at] == UInt8(ascii: "\""), !name.isEmpty {
                let value = ExpositionReader.text(bytes[quoted()]) ?? ""
                let key = ExpositionReader.text(bytes[name]) ?? ""
                if !key.isEmpty, !value.isEmpty { labels[key] = value }
            }
            while at < range.upperBound, bytes[at] == UInt8(ascii: ",") || ByteCursor.isGap(bytes[at]) { at &+= 1 }
            // Nothing was understood: step over it rather than stand still.
            if at == start { at &+= 1 }
        }
        return labels
    }
}

extension ByteCursor {
    /// A blank, a tab, or the equals sign between a label and its value.
    fileprivate static func isGap(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "=")
    }
}
