extension MetricNotes {
    /// Kinds and help texts of what inputs declare, by the names that `prometheus_client` gives them. Fields whose names
    /// come from the host are not among them.
    public init(declared inputs: [PluginSpec], version: ExpositionName.Version) {
        self.init()
        for metric in inputs.flatMap(\.metrics) where !metric.measurement.utf8.contains(UInt8(ascii: "*")) {
            for field in metric.fields where !field.name.utf8.contains(UInt8(ascii: "*")) && field.kind != .string {
                guard let name = ExpositionName.metric(metric.measurement, field.name, version) else { continue }
                let kind: ExpositionKind = MetricNotes.isCounter(metric.measurement, field) ? .counter : .gauge
                let unit = field.unit == .none ? "" : " (\(field.unit.rawValue))"
                let hasUnit = field.unit != .none && field.unit != .count
                add(name, Note(kind, help: field.source + unit, unit: hasUnit ? field.unit.rawValue : ""))
            }
        }
    }

    /// Measurements whose whole numbers are counters, and the fields that are none all the same.
    private static let counting: [String: Set<String>] = [
        "diskio": ["iops_in_progress"], "net": ["speed"], "swap": ["total", "used", "free"],
        "kernel": ["boot_time", "entropy_avail"], "internal_agent": [], "internal_gather": ["gather_time_ns"],
        "internal_write": ["buffer_size", "buffer_limit", "write_time_ns"], "interrupts": [], "soft_interrupts": [],
        "pressure": [],
    ]

    private static func isCounter(_ measurement: String, _ field: MetricSpec.Field) -> Bool {
        if measurement == "cpu" { return field.name.hasPrefix("time_") }
        guard field.kind == .int || field.kind == .uint, let others = counting[measurement] else { return false }
        return !others.contains(field.name) && !field.name.hasPrefix("ksm_")
    }
}
