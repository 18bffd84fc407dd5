/// What is known of metrics by their names as Prometheus sees them: kind, help text and unit. Line protocol carries none,
/// so inputs that know them leave them here, and outputs that show them look here.
///
/// Bounds: `limit` names; of more the newest are kept in two generations.
public struct MetricNotes: Sendable {
    public struct Note: Sendable, Hashable {
        public var kind: ExpositionKind
        public var help: String
        /// As OpenMetrics names units; empty where none is known.
        public var unit: String

        public init(_ kind: ExpositionKind, help: String, unit: String = "") {
            self.kind = kind
            self.help = help
            self.unit = unit
        }
    }

    private let limit: Int
    private var young: [String: Note] = [:]
    private var old: [String: Note] = [:]
    /// Changes with every change of a note.
    public private(set) var generation: UInt64 = 0

    public init(limit: Int = 20_000) { self.limit = max(1, limit) }

    public subscript(name: String) -> Note? { young[name] ?? old[name] }

    /// Keeps a note. The newer of two for a name wins.
    public mutating func add(_ name: String, _ note: Note) {
        if young[name] == note { return }
        if self[name] != note { generation &+= 1 }
        if young.count >= limit {
            old = young
            young = [:]
        }
        young[name] = note
    }

    /// The histogram or summary of which `name` is a part, such as `x` for `x_bucket`; nil for what is none.
    public func family(of name: String) -> (name: String, note: Note)? {
        for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
            let base = String(name.dropLast(suffix.count))
            guard let note = self[base] else { continue }
            if note.kind == .histogram || note.kind == .summary && suffix != "_bucket" { return (base, note) }
        }
        return nil
    }

    /// The names of the families that a metric of that name may be a part of.
    public static func parts(_ name: String) -> [String] {
        ["_bucket", "_sum", "_count", "_created"].compactMap { suffix in
            name.hasSuffix(suffix) && name.count > suffix.count ? String(name.dropLast(suffix.count)) : nil
        }
    }
}
