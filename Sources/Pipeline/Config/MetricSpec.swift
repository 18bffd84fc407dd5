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
    /// Tags of the points, besides those of the configuration; some need not be on every point.
    public var tags: [String]
    public var fields: [Field]
    /// One sentence on what the tables do not say; empty when there is nothing.
    public var note: String

    public init(_ measurement: String, tags: [String] = [], fields: [Field], note: String = "") {
        self.measurement = measurement
        self.tags = tags
        self.fields = fields
        self.note = note
    }
}

extension MetricSpec {
    /// Whether `text` is `name`, or matches it where it is a pattern.
    static func matches(_ name: String, _ text: String) -> Bool {
        guard name.utf8.contains(UInt8(ascii: "*")) else { return name == text }
        do throws(Glob.PatternError) { return try Glob(name).matches(text) } catch { return false }
    }

    /// What of the points none of `metrics` declares, for people, each once: a measurement, or a tag or a field with its
    /// kind of one that is declared. `freeTags`: those that the configuration of the input names.
    public static func undeclared(
        in samples: SampleSet, _ metrics: [MetricSpec], freeTags: Set<String> = []
    ) -> [String] {
        var found: [String] = []
        func add(_ text: String) { if !found.contains(text) { found.append(text) } }
        for row in samples.rows {
            let name = row.series.measurement
            let declared = metrics.filter { matches($0.measurement, name) }
            if declared.isEmpty { add("measurement \(name)") }
            guard !declared.isEmpty else { continue }
            for tag in row.series.tags where !freeTags.contains(tag.key) {
                if !declared.contains(where: { $0.tags.contains { matches($0, tag.key) } }) {
                    add("tag \(tag.key) of \(name)")
                }
            }
            for field in row.schema.fields {
                let isDeclared = declared.contains {
                    $0.fields.contains { $0.kind == field.kind && matches($0.name, field.key) }
                }
                if !isDeclared { add("field \(field.key) (\(field.kind.name)) of \(name)") }
            }
        }
        return found
    }
}

extension MetricSpec.Field {
    public static func int(_ name: String, _ unit: MetricUnit, _ source: String) -> Self {
        Self(name, .int, unit, source)
    }
    public static func uint(_ name: String, _ unit: MetricUnit, _ source: String) -> Self {
        Self(name, .uint, unit, source)
    }
    public static func float(_ name: String, _ unit: MetricUnit, _ source: String) -> Self {
        Self(name, .float, unit, source)
    }
    public static func bool(_ name: String, _ source: String) -> Self { Self(name, .bool, .none, source) }
    public static func string(_ name: String, _ source: String) -> Self { Self(name, .string, .none, source) }
}

extension Schema {
    /// The columns that a declaration lists, in its order: so both are written once.
    public convenience init(declared fields: [MetricSpec.Field]) {
        self.init(fields.map { Field($0.name, $0.kind) })
    }
}

/// The unit of a field, as Prometheus and people name it.
public enum MetricUnit: String, Sendable, Hashable, CaseIterable {
    case bytes, seconds, milliseconds, microseconds, nanoseconds, percent, celsius, hertz, megahertz, watts, pages
    case kibibytes = "KiB"
    case bytesPerSecond = "bytes/s"
    case bitsPerSecond = "bits/s"
    case kibibytesPerSecond = "KiB/s"
    case megabitsPerSecond = "Mbit/s"
    case perSecond = "1/s"
    /// A plain number of things.
    case count
    /// A part of one: 0 to 1, or more.
    case ratio
    /// A code, a flag or a text.
    case none = "-"
}
