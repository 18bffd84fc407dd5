extension MetricNotes {
    /// Kinds and help texts of what inputs declare, by the names that `prometheus_client` gives them. Fields whose names
    /// come from the host are not among them.
    public init(declared inputs: [PluginSpec], version: ExpositionName.Version) {
        self.init()
        for metric in inputs.flatMap(\.metrics) where !metric.measurement.utf8.contains(UInt8(ascii: "*")) {
            for field in metric.fields where !field.name.utf8.contains(UInt8(ascii: "*")) && field.kind != .string {
                guard let name = ExpositionName.metric(metric.measurement, field.name, version) else { continue }
                let unit = field.unit == .none ? "" : " (\(field.unit.rawValue))"
                let hasUnit = field.unit != .none && field.unit != .count
                let kind = field.exposition(of: metric.measurement)
                add(name, Note(kind, help: field.source + unit, unit: hasUnit ? field.unit.rawValue : ""))
            }
        }
    }
}

extension MetricSpec.Field {
    /// Whether the field counts or measures; a field whose name is a pattern is neither.
    func exposition(of measurement: String) -> ExpositionKind {
        if name.utf8.contains(UInt8(ascii: "*")) { return .untyped }
        if measurement == "cpu" { return name.hasPrefix("time_") ? .counter : .gauge }
        if measurement.hasPrefix("node_") {
            return name.hasSuffix("_total") ? .counter : .gauge
        }
        if MetricSpec.counters[measurement]?.contains(name) ?? false { return .counter }
        guard kind == .int || kind == .uint, let others = MetricSpec.counting[measurement] else { return .gauge }
        return others.contains(name) || name.hasPrefix("ksm_") ? .gauge : .counter
    }
}

extension MetricSpec {
    /// Measurements whose whole numbers are counters, and the fields that are none all the same.
    fileprivate static let counting: [String: Set<String>] = [
        "diskio": ["iops_in_progress"], "net": ["speed"], "swap": ["total", "used", "free"],
        "kernel": ["boot_time", "entropy_avail"], "internal_agent": [], "internal_gather": ["gather_time_ns"],
        "internal_write": ["buffer_size", "buffer_limit", "write_time_ns"], "interrupts": [], "soft_interrupts": [],
        "pressure": [], "conntrack": ["entries"], "chrony_serverstats": ["ntp_timestamps", "ntp_span_seconds"],
    ]

    /// Counters of measurements that hold other things as a rule.
    fileprivate static let counters: [String: Set<String>] = [
        "procstat": [
            "minor_faults", "major_faults", "child_minor_faults", "child_major_faults", "voluntary_context_switches",
            "involuntary_context_switches", "read_count", "write_count", "read_bytes", "write_bytes", "disk_read_bytes",
            "disk_write_bytes", "cpu_time_user", "cpu_time_system", "cpu_time_iowait", "cpu_time",
        ],
        "internal_memstats": ["total_alloc_bytes", "mallocs", "frees", "pointer_lookups", "num_gc"],
        "systemd_units": ["restarts"],
    ]

    /// Kind of a field that a pattern declares.
    static func kind(ofNamed field: String, in measurement: String) -> ExpositionKind {
        switch measurement {
        case "interrupts", "soft_interrupts": .counter
        case "kernel_vmstat": field.hasPrefix("nr_") ? .gauge : .counter
        case "ping", "sensors": .gauge
        case let own where own.hasPrefix("node_"): field.hasSuffix("_total") ? .counter : .gauge
        default: .untyped
        }
    }
}
