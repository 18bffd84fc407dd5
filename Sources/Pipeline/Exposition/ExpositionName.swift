/// Names of metrics and labels as Prometheus takes them, made as Telegraf makes them.
///
/// Source: the data model page of Prometheus; Telegraf's `prometheus_client` output with `metric_version` 1 and 2.
public enum ExpositionName {
    /// How names and values of fields are treated.
    public enum Version: Int, Sendable, Hashable {
        /// A field `value` has the name of its measurement; flags are left out.
        case first = 1
        /// A measurement `prometheus` is not part of names; flags are 0 and 1.
        case second = 2
    }

    /// The metric of one field; nil when nothing of the name can be used.
    public static func metric(_ measurement: String, _ field: String, _ version: Version) -> String? {
        switch version {
        case .first:
            let name = field == "value" ? measurement : "\(measurement)_\(field)"
            let replaced = name.unicodeScalars.map { isMetric($0, isFirst: false) ? $0 : "_" }
            guard let first = replaced.first, isMetric(first, isFirst: true), first != ":" else { return nil }
            return text(replaced)
        case .second:
            return sanitised(measurement == "prometheus" ? field : "\(measurement)_\(field)", isMetric)
        }
    }

    /// The label of a tag or of a string field; nil when nothing of the name can be used, and for the one name that
    /// Prometheus keeps for itself.
    public static func label(_ key: String) -> String? {
        let name = sanitised(key) { isMetric($0, isFirst: $1) && $0 != ":" }
        return name == "__name__" ? nil : name
    }

    /// Whether Prometheus takes it as the name of a metric as it is.
    static func isMetric(_ name: String) -> Bool {
        let scalars = name.unicodeScalars
        guard let first = scalars.first, isMetric(first, isFirst: true) else { return false }
        return scalars.allSatisfy { isMetric($0, isFirst: false) }
    }

    /// Whether Prometheus takes it as the name of a label as it is.
    static func isLabel(_ name: String) -> Bool {
        let scalars = name.unicodeScalars
        guard let first = scalars.first, isMetric(first, isFirst: true) else { return false }
        return scalars.allSatisfy { isMetric($0, isFirst: false) && $0 != ":" }
    }

    /// A valid name stays. Otherwise a first character that is not allowed goes, others become `_`, and `_` at both
    /// ends goes.
    private static func sanitised(_ name: String, _ isAllowed: (Unicode.Scalar, _ isFirst: Bool) -> Bool) -> String? {
        let scalars = Array(name.unicodeScalars)
        guard let first = scalars.first else { return nil }
        if isAllowed(first, true), scalars.dropFirst().allSatisfy({ isAllowed($0, false) }) { return name }
        var out = isAllowed(first, true) ? [first] : []
        out += scalars.dropFirst().map { isAllowed($0, false) ? $0 : "_" }
        let kept = out.drop { $0 == "_" }
        guard let last = kept.lastIndex(where: { $0 != "_" }) else { return nil }
        let trimmed = Array(kept[...last])
        // What was cut off at the front may leave a digit there.
        guard let start = trimmed.firstIndex(where: { isAllowed($0, true) }) else { return nil }
        return text(Array(trimmed[start...]))
    }

    private static func isMetric(_ scalar: Unicode.Scalar, isFirst: Bool) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "_", ":": true
        case "0"..."9": !isFirst
        default: false
        }
    }

    private static func text(_ scalars: [Unicode.Scalar]) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: scalars)
        return String(text)
    }
}
