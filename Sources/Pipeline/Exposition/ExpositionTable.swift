/// The newest value of each series, for a server that comes and asks.
///
/// Shape: families by metric name; in a family the samples by their labels. A field becomes one sample; the tags of its
/// point, and its string fields if wanted, are the labels. Of two values for one sample the one with the later time
/// stays, so that a backlog never replaces live data. A sample goes when nothing was added to it for `expiration`.
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
        /// Names of metrics that are counters or gauges; all others have no type.
        public var counters = PatternList.none
        public var gauges = PatternList.none

        public init() {}
    }

    private struct Sample: Sendable {
        var labels: String
        var cell: UInt64
        var kind: FieldKind
        var time: Timestamp
        var added: Instant
    }

    private struct Family: Sendable {
        let kind: PrometheusText.Kind
        var samples: [String: Sample] = [:]
    }

    /// What is derived from a series once: its labels as they are written, and their names.
    private struct KnownSeries: Sendable {
        /// Keeps the object alive, so that its identity stays unique while it is a key.
        let series: Series
        let labels: String
        let labelNames: Set<String>
    }

    /// The same for a schema under one measurement: the metric of each column, nil for what is no number.
    private struct KnownSchema: Sendable {
        let schema: Schema
        let measurement: String
        let metrics: [String?]
        /// String columns and their labels.
        let texts: [(column: Int, label: String)]
    }

    private static let cacheLimit = 20_000

    private let settings: Settings
    private var families: [String: Family] = [:]
    private var knownSeries: [ObjectIdentifier: KnownSeries] = [:]
    private var knownSchemas: [ObjectIdentifier: [KnownSchema]] = [:]
    private var swept = Instant.zero
    /// Samples in the table.
    public private(set) var count = 0
    /// Their names and labels.
    private var bytes = 0
    /// Points of which a field found no room, since the start.
    public private(set) var refusedPoints: UInt64 = 0
    /// Samples that went because nothing was added to them, since the start.
    public private(set) var expiredSamples: UInt64 = 0

    public init(settings: Settings) { self.settings = settings }

    /// Adds every field of a set. Returns how many points found no room for one of theirs.
    public mutating func add(_ set: SampleSet, now: Instant) -> Int {
        if now - swept >= .seconds(10) { sweep(now: now) }
        var refused = 0
        for row in set.rows where !add(row, set, now) { refused += 1 }
        refusedPoints = refusedPoints.addingSaturated(UInt64(refused))
        return refused
    }

    /// Whether values of that time would be gone before anybody could see them.
    public func isHistory(_ newest: Timestamp, wall: Timestamp) -> Bool {
        settings.expiration > .zero && wall - newest > settings.expiration
    }

    private mutating func add(_ row: SampleSet.Row, _ set: SampleSet, _ now: Instant) -> Bool {
        let series = known(row.series)
        let schema = known(row.schema, row.series.measurement)
        var labels = series.labels
        if settings.stringsAreLabels, !schema.texts.isEmpty {
            var names = series.labelNames
            for (column, label) in schema.texts where names.insert(label).inserted {
                let cell = set.cells[row.firstCell + column]
                guard cell < UInt64(set.strings.count) else { continue }
                ExpositionTable.append(label, set.strings[Int(cell)], to: &labels)
            }
        }
        // In version 1 a text that changes replaces the sample, in version 2 it makes another one.
        let key = settings.version == .first ? series.labels : labels
        var hasRoom = true
        for (column, metric) in schema.metrics.enumerated() {
            guard let metric else { continue }
            let sample = Sample(
                labels: labels, cell: set.cells[row.firstCell + column], kind: row.schema.fields[column].kind,
                time: row.time, added: now)
            if !put(sample, metric, key) { hasRoom = false }
        }
        return hasRoom
    }

    /// False when there is no room.
    private mutating func put(_ sample: Sample, _ metric: String, _ key: String) -> Bool {
        let size = ExpositionTable.size(key, sample)
        if let index = families.index(forKey: metric) {
            if let place = families.values[index].samples.index(forKey: key) {
                let old = families.values[index].samples.values[place]
                guard sample.time >= old.time else { return true }
                let grown = bytes - ExpositionTable.size(key, old) + size
                guard grown <= max(bytes, settings.bytesLimit) else { return false }
                families.values[index].samples.values[place] = sample
                bytes = grown
                return true
            }
            guard hasRoom(size) else { return false }
            families.values[index].samples[key] = sample
        } else {
            guard hasRoom(size) else { return false }
            families[metric] = Family(kind: kind(of: metric), samples: [key: sample])
        }
        count += 1
        bytes += size
        return true
    }

    private func hasRoom(_ size: Int) -> Bool {
        count < settings.seriesLimit && bytes + size <= settings.bytesLimit
    }

    private static func size(_ key: String, _ sample: Sample) -> Int { key.utf8.count + sample.labels.utf8.count }

    private func kind(of metric: String) -> PrometheusText.Kind {
        if !settings.counters.isEmpty, settings.counters.matches(metric) { return .counter }
        return !settings.gauges.isEmpty && settings.gauges.matches(metric) ? .gauge : .untyped
    }

    // MARK: What does not change from point to point

    private mutating func known(_ series: Series) -> KnownSeries {
        let key = ObjectIdentifier(series)
        if let known = knownSeries[key] { return known }
        var labels = ""
        var names: Set<String> = []
        for tag in series.tags {
            guard let name = ExpositionName.label(tag.key), names.insert(name).inserted else { continue }
            ExpositionTable.append(name, tag.value, to: &labels)
        }
        let made = KnownSeries(series: series, labels: labels, labelNames: names)
        if knownSeries.count >= Self.cacheLimit { knownSeries.removeAll() }
        knownSeries[key] = made
        return made
    }

    private mutating func known(_ schema: Schema, _ measurement: String) -> KnownSchema {
        let key = ObjectIdentifier(schema)
        if let known = knownSchemas[key]?.first(where: { $0.measurement == measurement }) { return known }
        let metrics = schema.fields.map { field -> String? in
            switch field.kind {
            case .string: return nil
            case .bool where settings.version == .first: return nil
            case .bool, .int, .uint, .float:
                return ExpositionName.metric(measurement, field.key, settings.version)
            }
        }
        let texts = schema.lineOrder.compactMap { column -> (column: Int, label: String)? in
            guard schema.fields[column].kind == .string else { return nil }
            return ExpositionName.label(schema.fields[column].key).map { (column, $0) }
        }
        let made = KnownSchema(schema: schema, measurement: measurement, metrics: metrics, texts: texts)
        if knownSchemas.count >= Self.cacheLimit || (knownSchemas[key]?.count ?? 0) >= 1_000 {
            knownSchemas.removeAll()
        }
        knownSchemas[key, default: []].append(made)
        return made
    }

    private static func append(_ name: String, _ value: String, to labels: inout String) {
        if !labels.isEmpty { labels += "," }
        labels += "\(name)=\"\(PrometheusText.escaped(value, quotes: true))\""
    }

    // MARK: The page

    /// Removes what nobody added to for too long.
    public mutating func sweep(now: Instant) {
        swept = now
        guard settings.expiration > .zero else { return }
        let limit = settings.expiration
        for name in Array(families.keys) {
            guard var family = families[name],
                family.samples.values.contains(where: { now - $0.added > limit })
            else { continue }
            let before = family.samples.count
            for (key, sample) in family.samples where now - sample.added > limit {
                bytes -= ExpositionTable.size(key, sample)
            }
            family.samples = family.samples.filter { now - $0.value.added <= limit }
            expiredSamples = expiredSamples.addingSaturated(UInt64(before - family.samples.count))
            count -= before - family.samples.count
            families[name] = family.samples.isEmpty ? nil : family
        }
    }

    /// All families in order of their names, the samples of each in order of their labels.
    public mutating func page(now: Instant) -> PrometheusText {
        sweep(now: now)
        var text = PrometheusText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.family(name, family.kind, "Collected by godwit.")
            for (_, sample) in family.samples.sorted(by: { $0.key < $1.key }) {
                let value = ExpositionTable.value(sample)
                text.sample(rendered: sample.labels, value, time: settings.writesTimes ? sample.time : nil)
            }
        }
        return text
    }

    private static func value(_ sample: Sample) -> String {
        switch sample.kind {
        case .int: String(Int64(bitPattern: sample.cell))
        case .uint, .bool, .string: String(sample.cell)
        case .float: PrometheusText.number(Double(bitPattern: sample.cell))
        }
    }
}
