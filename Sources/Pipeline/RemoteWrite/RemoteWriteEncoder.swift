/// Turns points into the message of Prometheus remote write, 1.0 or 2.0.
///
///     encoder.add(samples)
///     let request = encoder.finish(now: now)   // protobuf, before compression
///
/// Shape: a field becomes a sample of the series `measurement_field` with the point's tags as labels, as
/// `prometheus_client` names it; texts are left out, flags are 0 and 1, ends of series are the NaN that says so. Samples of a series stand together, oldest
/// first; of two in one millisecond the later one stays. Labels are sorted by name, an empty value is no label.
/// Bounds: what is remembered of names is forgotten beyond `cacheLimit` of them; of a message's own data nothing stays.
/// Source: the Remote-Write specifications 1.0 and 2.0 of Prometheus.
public struct RemoteWriteEncoder {
    /// Version of the message.
    public enum Version: String, Sendable, Hashable, CaseIterable {
        case first = "1.0"
        case second = "2.0"
    }

    struct Sample {
        var milliseconds: Int64
        var value: Double
    }

    /// One series of the destination.
    private struct Target {
        /// 2.0: names and values by turns, sorted by name, as indexes of `texts`.
        let labels: [UInt32]
        /// 1.0: the labels as they stand in the message.
        let rendered: [UInt8]
        /// Its name, as an index of `metadata`.
        let metric: Int
        var samples: [Sample] = []
    }

    /// The columns of points of one series and schema: where each of them goes, nil for what is no sample.
    private struct Known {
        // Kept alive, so that their identities stay theirs.
        let series: Series
        let schema: Schema
        let targets: [Int?]
        /// What followed the last time: points come in the order of before as a rule, so nothing need be looked up.
        var next = 0
    }

    private struct KnownKey: Hashable {
        let series: ObjectIdentifier
        let schema: ObjectIdentifier
    }

    private static let cacheLimit = InputRules.manySeries

    private let version: Version
    private var known: [Known] = []
    private var indexes: [KnownKey: Int] = [:]
    /// Which of `known` the last point had.
    private var last = 0
    private var targets: [Target] = []
    private var targetOfLabels: [[UInt32]: Int] = [:]
    private var targetOfRendered: [[UInt8]: Int] = [:]
    private var texts: [[UInt8]] = []
    private var textIndex: [String: UInt32] = [:]
    /// Targets with samples of this message, in the order of their first one.
    private var used: [Int] = []
    private var metadata: MetadataBook

    /// What is told of a metric besides its samples: at most every `metadataInterval`, never with zero. `declared` is
    /// what our own inputs say of theirs.
    public init(version: Version, declared: MetricNotes = MetricNotes(), metadataInterval: Duration = .zero) {
        self.version = version
        metadata = MetadataBook(declared: declared, interval: metadataInterval)
    }

    /// What is known of scraped metrics.
    public var notes: MetricNotes {
        get { metadata.notes }
        set { metadata.notes = newValue }
    }

    /// A server has taken a request.
    public mutating func confirm(_ request: Request, now: Instant) { metadata.confirm(request.families, now: now) }

    /// Adds every number of the points.
    public mutating func add(_ set: SampleSet) {
        if max(known.count, targets.count, texts.count / 8) > Self.cacheLimit, used.isEmpty { forget() }
        for row in set.rows {
            let index = known(row.series, row.schema)
            let milliseconds = row.time.nanoseconds.flooredMilliseconds
            for column in row.schema.fields.indices {
                guard let target = known[index].targets[column] else { continue }
                let value = row.schema.fields[column].kind.number(set.cells[row.firstCell + column])
                add(Sample(milliseconds: milliseconds, value: value), to: target)
            }
        }
    }

    private mutating func add(_ sample: Sample, to index: Int) {
        guard let last = targets[index].samples.last else {
            used.append(index)
            targets[index].samples.append(sample)
            return
        }
        if sample.milliseconds > last.milliseconds {
            targets[index].samples.append(sample)
        } else {
            insert(sample, to: index)
        }
    }

    /// For points whose times do not ascend.
    private mutating func insert(_ sample: Sample, to index: Int) {
        let samples = targets[index].samples
        var low = 0
        var high = samples.count
        while low < high {
            let middle = (low + high) / 2
            if samples[middle].milliseconds < sample.milliseconds { low = middle + 1 } else { high = middle }
        }
        if low < samples.count, samples[low].milliseconds == sample.milliseconds {
            targets[index].samples[low] = sample
        } else {
            targets[index].samples.insert(sample, at: low)
        }
    }

    /// One message.
    public struct Request: Sendable, Hashable {
        public var message: [UInt8]
        public var samples: Int
        /// Families that it tells of besides their samples; 1.0 only.
        public var families: [String] = []
    }

    /// The message of what was added since the last call.
    public mutating func finish(now: Instant = .zero) -> Request {
        var count = 0
        for index in used { count += targets[index].samples.count }
        var message: [UInt8]
        var due: [(name: String, note: MetricNotes.Note)] = []
        switch version {
        case .first:
            due = metadata.due(used.map { targets[$0].metric }, now: now)
            message = firstMessage(due)
        case .second: message = secondMessage()
        }
        for index in used { targets[index].samples.removeAll(keepingCapacity: true) }
        used.removeAll(keepingCapacity: true)
        return Request(message: message, samples: count, families: due.map(\.name))
    }

    // MARK: 1.0

    /// `WriteRequest`: field 1 a `TimeSeries` of labels (1) and samples (2), field 3 what is told of a family.
    private func firstMessage(_ families: [(name: String, note: MetricNotes.Note)]) -> [UInt8] {
        var out = ByteWriter(capacity: 64 * 1_024)
        for index in used {
            let target = targets[index]
            var size = target.rendered.count
            for sample in target.samples { size += 2 + sample.size }
            out.append(run: 1, count: size)
            out.append(target.rendered)
            for sample in target.samples { sample.append(to: &out) }
        }
        for family in families { out.append(metadata: family.name, family.note) }
        return out.bytes
    }

    /// Field 1 of a `TimeSeries` for each label: its name (1) and its value (2).
    private static func rendered(_ labels: [String]) -> [UInt8] {
        func size(_ text: String) -> Int { 1 + ByteWriter.size(varint: UInt64(text.utf8.count)) + text.utf8.count }
        var out = ByteWriter(capacity: 256)
        for pair in stride(from: 0, to: labels.count, by: 2) {
            out.append(run: 1, count: size(labels[pair]) + size(labels[pair + 1]))
            for (field, text) in [(UInt8(1), labels[pair]), (2, labels[pair + 1])] {
                out.append(run: field, count: text.utf8.count)
                out.append(text)
            }
        }
        return Array(out.bytes)
    }

    // MARK: 2.0

    /// `Request`: field 4 all texts, the empty one first; field 5 a `TimeSeries` of references to labels (1), samples (2)
    /// and what is told of its family (5).
    private mutating func secondMessage() -> [UInt8] {
        var series = ByteWriter(capacity: 64 * 1_024)
        var symbols = ByteWriter(capacity: 4_096)
        symbols.append(run: 4, count: 0)
        var references: [UInt32: UInt64] = [:]
        func symbol(_ label: UInt32) -> UInt64 {
            if let reference = references[label] { return reference }
            let text = texts[Int(label)]
            let reference = UInt64(references.count + 1)
            references[label] = reference
            symbols.append(run: 4, count: text.count)
            symbols.append(text)
            return reference
        }
        for index in used {
            let target = targets[index]
            let labels = target.labels.map(symbol)
            let note = metadata.family(of: target.metric)?.note
            let help = note.flatMap { $0.help.isEmpty ? nil : symbol(reference(to: $0.help)) } ?? 0
            let unit = note.flatMap { $0.unit.isEmpty ? nil : symbol(reference(to: $0.unit)) } ?? 0
            let labelBytes = labels.reduce(0) { $0 + ByteWriter.size(varint: $1) }
            var size = 1 + ByteWriter.size(varint: UInt64(labelBytes)) + labelBytes
            for sample in target.samples { size += 2 + sample.size }
            if note != nil { size += 2 + ByteWriter.metadataSize(help, unit) }
            series.append(run: 5, count: size)
            series.append(run: 1, count: labelBytes)
            for label in labels { series.append(varint: label) }
            for sample in target.samples { sample.append(to: &series) }
            if let note { series.append(metadata: note, help: help, unit: unit) }
        }
        series.withBytes { symbols.append(contentsOf: $0) }
        return symbols.bytes
    }

    // MARK: What does not change from point to point

    private mutating func known(_ series: Series, _ schema: Schema) -> Int {
        if last < known.count {
            let next = known[last].next
            if known[next].series === series, known[next].schema === schema {
                last = next
                return next
            }
        }
        let index = lookedUp(series, schema)
        if last < known.count { known[last].next = index }
        last = index
        return index
    }

    private mutating func lookedUp(_ series: Series, _ schema: Schema) -> Int {
        let key = KnownKey(series: ObjectIdentifier(series), schema: ObjectIdentifier(schema))
        if let index = indexes[key] { return index }
        let columns = schema.fields.map { field in
            field.kind == .string ? nil : labels(series, field.key).map { target(of: $0.labels, $0.metric) }
        }
        known.append(Known(series: series, schema: schema, targets: columns))
        indexes[key] = known.count - 1
        return known.count - 1
    }

    /// Names and values by turns, and the name of the metric; nil when nothing of the name can be used.
    private func labels(_ series: Series, _ field: String) -> (labels: [String], metric: String)? {
        guard let metric = ExpositionName.metric(series.measurement, field, .second) else { return nil }
        var labels = ["__name__": metric]
        for tag in series.tags where !tag.value.isEmpty {
            if let name = ExpositionName.label(tag.key), labels[name] == nil { labels[name] = tag.value }
        }
        let sorted = labels.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
        return (sorted.flatMap { [$0.key, $0.value] }, metric)
    }

    private mutating func target(of labels: [String], _ metric: String) -> Int {
        let key = version == .second ? labels.map { reference(to: $0) } : []
        let rendered = version == .first ? RemoteWriteEncoder.rendered(labels) : []
        if let index = version == .first ? targetOfRendered[rendered] : targetOfLabels[key] { return index }
        targets.append(Target(labels: key, rendered: rendered, metric: metadata.index(of: metric)))
        if version == .first {
            targetOfRendered[rendered] = targets.count - 1
        } else {
            targetOfLabels[key] = targets.count - 1
        }
        return targets.count - 1
    }

    private mutating func reference(to text: String) -> UInt32 {
        if let index = textIndex[text] { return index }
        let index = UInt32(clamping: texts.count)
        texts.append(Array(text.utf8))
        textIndex[text] = index
        return index
    }

    private mutating func forget() {
        known = []
        indexes = [:]
        last = 0
        targets = []
        targetOfLabels = [:]
        targetOfRendered = [:]
        texts = []
        textIndex = [:]
        metadata.forget()
    }
}
