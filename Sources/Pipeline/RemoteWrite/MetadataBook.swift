/// What a server is told of metrics besides their samples: kind, help text and unit of each family.
///
/// In 1.0 it goes along with the samples of a family whose last telling is `interval` ago, at most `familiesLimit` of them in
/// a message; in 2.0 with each series.
/// Source: what our inputs declare, and what was read on scraped pages (`MetricNotes`).
/// Bounds: an entry for each metric that the encoder remembers.
struct MetadataBook {
    /// One metric of the destination.
    struct Metric {
        let name: String
        fileprivate var generation: UInt64?
        /// nil: nothing is known.
        var family: (name: String, note: MetricNotes.Note)?
        /// The message that it was looked at for.
        fileprivate var message: UInt64 = 0
    }

    private static let familiesLimit = 500

    /// Zero: nothing is told.
    private let interval: Duration
    private let declared: MetricNotes
    var notes = MetricNotes()
    private var metrics: [Metric] = []
    private var indexes: [String: Int] = [:]
    private var told: [String: Instant] = [:]
    private var message: UInt64 = 0

    init(declared: MetricNotes, interval: Duration) {
        self.declared = declared
        self.interval = interval
    }

    mutating func index(of metric: String) -> Int {
        if let known = indexes[metric] { return known }
        metrics.append(Metric(name: metric))
        indexes[metric] = metrics.count - 1
        return metrics.count - 1
    }

    /// What is known of a metric by its index.
    mutating func family(of index: Int) -> (name: String, note: MetricNotes.Note)? {
        guard interval > .zero else { return nil }
        if metrics[index].generation != notes.generation {
            let name = metrics[index].name
            metrics[index].family =
                notes.family(of: name) ?? (notes[name] ?? declared[name]).map { (name, $0) }
            metrics[index].generation = notes.generation
        }
        return metrics[index].family
    }

    /// The families of these metrics that are to be told of now.
    mutating func due(_ used: [Int], now: Instant) -> [(name: String, note: MetricNotes.Note)] {
        guard interval > .zero else { return [] }
        message &+= 1
        var due: [(name: String, note: MetricNotes.Note)] = []
        var names: Set<String> = []
        for index in used where metrics[index].message != message {
            metrics[index].message = message
            guard let family = family(of: index), told[family.name].map({ now - $0 >= interval }) ?? true,
                names.insert(family.name).inserted
            else { continue }
            due.append(family)
            if due.count >= Self.familiesLimit { break }
        }
        return due
    }

    /// A server has taken them.
    mutating func confirm(_ families: [String], now: Instant) {
        for name in families { told[name] = now }
    }

    mutating func forget() {
        metrics = []
        indexes = [:]
        told = [:]
    }
}

extension ExpositionKind {
    /// As both versions of the protocol number it.
    fileprivate var metadataNumber: UInt64 {
        switch self {
        case .untyped: 0
        case .counter: 1
        case .gauge: 2
        case .histogram: 3
        case .gaugeHistogram: 4
        case .summary: 5
        case .info: 6
        case .stateSet: 7
        }
    }
}

extension ByteWriter {
    /// Field 3 of a `WriteRequest`: kind (1), family (2), help text (4) and unit (5).
    mutating func append(metadata family: String, _ note: MetricNotes.Note) {
        var size = 2
        let texts = [(UInt8(2), Array(family.utf8)), (4, Array(note.help.utf8)), (5, Array(note.unit.utf8))]
            .filter { !$0.1.isEmpty }
        for (_, text) in texts { size += 1 + ByteWriter.size(varint: UInt64(text.count)) + text.count }
        append(run: 3, count: size)
        append(field: 1, varint: note.kind.metadataNumber)
        for (number, text) in texts {
            append(run: number, count: text.count)
            append(text)
        }
    }

    /// Field 5 of a series of 2.0: kind (1), and references to help text (3) and unit (4).
    mutating func append(metadata note: MetricNotes.Note, help: UInt64, unit: UInt64) {
        append(run: 5, count: ByteWriter.metadataSize(help, unit))
        append(field: 1, varint: note.kind.metadataNumber)
        append(field: 3, varint: help)
        append(field: 4, varint: unit)
    }

    /// What the above takes behind its key and its own length, which is one byte.
    static func metadataSize(_ help: UInt64, _ unit: UInt64) -> Int {
        4 + ByteWriter.size(varint: help) + ByteWriter.size(varint: unit)
    }
}
