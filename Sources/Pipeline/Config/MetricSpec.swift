/// The declaration of what an input emits under one measurement name: `docs/metrics.md` is generated from these, and a
/// test compares them with what the inputs really emit.
public struct MetricSpec: Sendable, Hashable {
    /// One field.
    public struct Field: Sendable, Hashable {
        /// The key as it is emitted; where keys come from the host (a counter table), a pattern such as `tcp_*`.
        public var name: String
        public var kind: FieldKind
        public var unit: MetricUnit
        /// Where the number comes from: the kernel file with its key, a system call, a program.
        public var source: String

        public init(_ name: String, _ kind: FieldKind, _ unit: MetricUnit, _ source: String) {
            self.name = name
            self.kind = kind
            self.unit = unit
            self.source = source
        }
    }

    public var measurement: String
    /// Tags of the points, besides those of the configuration.
    public var tags: [String]
    public var fields: [Field]

    public init(_ measurement: String, tags: [String] = [], fields: [Field]) {
        self.measurement = measurement
        self.tags = tags
        self.fields = fields
    }
}

/// The unit of a field, as Prometheus and people name it.
public enum MetricUnit: String, Sendable, Hashable, CaseIterable {
    case bytes, seconds, milliseconds, microseconds, nanoseconds, percent, celsius, hertz, megahertz, watts, pages
    case bytesPerSecond = "bytes/s"
    case bitsPerSecond = "bits/s"
    case perSecond = "1/s"
    /// A plain number of things.
    case count
    /// A part of one: 0 to 1, or more.
    case ratio
    /// A code, a flag or a text.
    case none = "-"
}
