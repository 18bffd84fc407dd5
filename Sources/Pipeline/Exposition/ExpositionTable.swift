/// The newest value of each series, for a server that comes and asks.
///
/// Shape: families by metric name; in a family the samples by their labels. A field becomes one sample; the tags of its
/// point, and its string fields if wanted, are the labels. Of two values for one sample the one with the later time
/// stays, so that a backlog never replaces live data. A sample goes when its series ends (`Double.staleMarker`), or when
/// nothing was added to it for `expiration`.
/// Bounds: `seriesLimit` samples with `bytesLimit` of names and labels; fields beyond are refused, their points counted.
/// Source: Telegraf's `prometheus_client` output.
public struct ExpositionTable: Sendable {
    /// What `[[outputs.prometheus_client]]` says about the page.
    public struct Settings: Sendable, Hashable {
        public var version = ExpositionName.Version.first
        public var stringsAreLabels = true
        public var writesTimes = false
        /// Zero: nothing ever goes.
        public var expiration = Duration.seconds(60)
        public var seriesLimit = 50_000
        /// Of names and labels together: those of foreign points may be of any length.
        public var bytesLimit = 64 << 20
        public var names = Names.telegraf
        /// Names of metrics that are counters or gauges, whatever else is known of them.
        public var counters = PatternList.none
        public var gauges = PatternList.none

        /// Whose names metrics have.
        public enum Names: String, Sendable, Hashable, CaseIterable {
            case telegraf
            /// What our inputs collect has the names that node_exporter gives it.
            case nodeExporter = "node_exporter"
            /// Base units, `_total`, no capital letters: as Prometheus' own rules say.
            case prometheus
        }

        public init() {}
    }

    struct Sample: Sendable {
        var labels: String
        var cell: UInt64
        var kind: FieldKind
        var time: Timestamp
        var added: Instant
    }

    /// What is derived from a series once: its labels as they are written, and their names.
    private struct KnownSeries: Sendable {
        /// Keeps the object alive, so that its identity stays unique while it is a key.
        let series: Series
        /// Under which its schemas are looked up: the measurement, as a rule.
        let key: String
        let hasNodeNames: Bool
        let labels: String
        let labelNames: Set<String>
    }

    /// The same for a schema under one measurement: the columns that become samples.
    private struct KnownSchema: Sendable {
        let schema: Schema
        let key: String
        let columns: [ExpositionColumn]
        /// String columns and their labels.
        let texts: [(column: Int, label: String)]
    }

    private static let cacheLimit = 20_000

    let settings: Settings
    /// What our own inputs declare, by the names that are shown.
    var declared: MetricNotes
    /// The same by measurement and field, for Prometheus' own names.
    private let columns: DeclaredColumns
    /// Samples by the metric's name, then by their labels.
    var families: [String: [String: Sample]] = [:]
    /// What is known of metrics; what was derived from older notes is forgotten.
    public var notes = MetricNotes() {
        didSet {
            guard notes.generation != oldValue.generation else { return }
            if settings.version == .first || settings.names == .prometheus { knownSchemas.removeAll() }
        }
    }
    private var knownSeries: [ObjectIdentifier: KnownSeries] = [:]
    private var knownSchemas: [ObjectIdentifier: [KnownSchema]] = [:]
    var swept = Instant.zero
    /// Samples in the table.
    public internal(set) var count = 0
    /// Their names and labels.
    var bytes = 0
    /// Points of which a field found no room, since the start.
    public private(set) var refusedPoints: UInt64 = 0
    /// Samples that went because nothing was added to them, since the start.
    public internal(set) var expiredSamples: UInt64 = 0

    /// `inputs` are ours, whose declarations give kinds and help texts.
    public init(settings: Settings, inputs: [PluginSpec] = []) {
        self.settings = settings
        let isClean = settings.names == .prometheus
        declared = isClean ? MetricNotes() : MetricNotes(declared: inputs, version: settings.version)
        columns = DeclaredColumns(isClean ? inputs : [])
    }

    /// Adds every field of a set. Returns how many points found no room for one of theirs.
    public mutating func add(_ set: SampleSet, now: Instant) -> Int {
        if now - swept >= .seconds(10) { sweep(now: now) }
        var refused = 0
        for row in set.rows where !add(row, set, now) { refused += 1 }
        refusedPoints = refusedPoints.addingSaturated(UInt64(refused))
        return refused
    }

    /// The metrics of the page, in no order.
    public var names: [String] { Array(families.keys) }

    /// Whether the page has such a metric.
    public func has(_ metric: String) -> Bool { families[metric] != nil }

    /// Whether values of that time would be gone before anybody could see them.
    public func isHistory(_ newest: Timestamp, wall: Timestamp) -> Bool {
        settings.expiration > .zero && wall - newest > settings.expiration
    }

    private mutating func add(_ row: SampleSet.Row, _ set: SampleSet, _ now: Instant) -> Bool {
        let series = known(row.series)
        let schema = known(row.schema, series)
        var labels = series.labels
        if settings.stringsAreLabels, !schema.texts.isEmpty {
            var names = series.labelNames
            for (column, label) in schema.texts where names.insert(label).inserted {
                let cell = set.cells[row.firstCell + column]
                guard cell < UInt64(set.strings.count), !set.strings[Int(cell)].isEmpty else { continue }
                ExpositionTable.append(label, set.strings[Int(cell)], to: &labels)
            }
        }
        // In version 1 a text that changes replaces the sample, in version 2 it makes another one.
        let key = settings.version == .first ? series.labels : labels
        var hasRoom = true
        for column in schema.columns {
            guard let (cell, kind) = column.value(row, set.cells) else { continue }
            var (labels, key) = (labels, key)
            if !column.label.isEmpty {
                labels = LabelText.adding(column.label, to: labels)
                key = LabelText.adding(column.label, to: key)
            }
            if kind == .float, Double(bitPattern: cell).isStaleMarker {
                end(column.metric, key, row.time)
                continue
            }
            let sample = Sample(labels: labels, cell: cell, kind: kind, time: row.time, added: now)
            if !put(sample, column.metric, key) { hasRoom = false }
        }
        return hasRoom
    }

    /// Removes a sample whose series has ended.
    private mutating func end(_ metric: String, _ key: String, _ time: Timestamp) {
        guard let old = families[metric]?[key], old.time <= time else { return }
        bytes -= ExpositionTable.size(key, old)
        count -= 1
        families[metric]?[key] = nil
        if families[metric]?.isEmpty == true { families[metric] = nil }
    }

    /// False when there is no room.
    private mutating func put(_ sample: Sample, _ metric: String, _ key: String) -> Bool {
        let size = ExpositionTable.size(key, sample)
        if let index = families.index(forKey: metric) {
            if let place = families.values[index].index(forKey: key) {
                let old = families.values[index].values[place]
                guard sample.time >= old.time else { return true }
                let grown = bytes - ExpositionTable.size(key, old) + size
                guard grown <= max(bytes, settings.bytesLimit) else { return false }
                families.values[index].values[place] = sample
                bytes = grown
                return true
            }
            guard hasRoom(size) else { return false }
            families.values[index][key] = sample
        } else {
            guard hasRoom(size) else { return false }
            families[metric] = [key: sample]
        }
        count += 1
        bytes += size
        return true
    }

    private func hasRoom(_ size: Int) -> Bool {
        count < settings.seriesLimit && bytes + size <= settings.bytesLimit
    }

    static func size(_ key: String, _ sample: Sample) -> Int { key.utf8.count + sample.labels.utf8.count }

    // MARK: What does not change from point to point

    private mutating func known(_ series: Series) -> KnownSeries {
        let key = ObjectIdentifier(series)
        if let known = knownSeries[key] { return known }
        let node = settings.names == .nodeExporter ? NodeNames.series(series) : nil
        var labels = ""
        var names: Set<String> = []
        for tag in node?.tags ?? series.tags {
            // An empty label is none.
            guard !tag.value.isEmpty, let name = label(tag.key), names.insert(name).inserted else { continue }
            ExpositionTable.append(name, tag.value, to: &labels)
        }
        let made = KnownSeries(
            series: series, key: node?.key ?? series.measurement, hasNodeNames: node != nil, labels: labels,
            labelNames: names)
        if knownSeries.count >= Self.cacheLimit { knownSeries.removeAll() }
        knownSeries[key] = made
        return made
    }

    private mutating func known(_ schema: Schema, _ series: KnownSeries) -> KnownSchema {
        let key = ObjectIdentifier(schema)
        if let known = knownSchemas[key]?.first(where: { $0.key == series.key }) { return known }
        let columns: [ExpositionColumn]
        if series.hasNodeNames {
            columns = ExpositionColumn.nodes(schema, series.key)
        } else if settings.names == .prometheus {
            columns = ExpositionColumn.prometheus(schema, series.key, notes, self.columns, &declared)
        } else {
            columns = ExpositionColumn.all(schema, series.key, settings.version, notes)
        }
        let texts = schema.lineOrder.compactMap { column -> (column: Int, label: String)? in
            guard schema.fields[column].kind == .string, !series.hasNodeNames else { return nil }
            return label(schema.fields[column].key).map { (column, $0) }
        }
        let made = KnownSchema(schema: schema, key: series.key, columns: columns, texts: texts)
        if knownSchemas.count >= Self.cacheLimit || (knownSchemas[key]?.count ?? 0) >= 1_000 {
            knownSchemas.removeAll()
        }
        knownSchemas[key, default: []].append(made)
        return made
    }

    private func label(_ key: String) -> String? {
        settings.names == .prometheus ? PrometheusName.label(key) : ExpositionName.label(key)
    }

    private static func append(_ name: String, _ value: String, to labels: inout String) {
        if !labels.isEmpty { labels += "," }
        labels += "\(name)=\"\(PrometheusText.escaped(value, quotes: true))\""
    }
}
