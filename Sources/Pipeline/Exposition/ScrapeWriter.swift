/// Makes points of the pages of one target, in one of Telegraf's two layouts.
///
/// Version 1: measurement = metric, field `counter`, `gauge` or `value`; a histogram or summary is one point whose fields
/// are its bounds or quantiles, `sum` and `count`. Version 2: measurement `prometheus`, field = name of the sample, all
/// labels are tags.
/// Series are remembered by the bytes they are written in, so that a page like the one before makes no text.
/// A series that was on the page before and is not on this one gets an end (`Double.staleMarker`), and so do all when a
/// page cannot be had; what comes with a time of its own is exempt, as in Prometheus.
/// Bounds: `samplesLimit` samples a page, two generations of remembered series, each of as many as the largest
/// page can have had, `SeriesPresence`.
public struct ScrapeWriter {
    public struct Settings: Sendable, Hashable {
        public var version = ExpositionName.Version.first
        /// Gives all points the time of the gather.
        public var ignoresTimes = false
        public var samplesLimit = 200_000
        /// Whether series that went get an end.
        public var marksEnds = true
        /// Applied to each series that is new.
        public var rules: [RelabelRule] = []

        public init() {}
    }

    /// What a page gave.
    public struct Page {
        public var samples = SampleSet()
        /// Samples on the page, those without a point included.
        public var count = 0
        /// Samples that rules kept.
        public var keptCount = 0
        /// Series that the page before did not have.
        public var addedCount = 0
        /// Lines that were not taken.
        public var complaints: [String] = []
        /// Why nothing of the page counts.
        public var failure: String?
        /// Kind and help of metrics that were not seen before.
        public var notes: [(name: String, note: MetricNotes.Note)] = []
    }

    /// A point that is being put together.
    private struct Parts {
        let series: Series
        let time: Timestamp
        var fields: [Schema.Field] = []
        var cells: [UInt64] = []
    }

    private static let knownLeast = 1_024

    private let settings: Settings
    private let tags: [Tag]
    private var known: ByteTable<ScrapedSeries>
    private var cache = ForeignSeries(limit: 65_536)
    private var parts: [Parts] = []
    private var places: [ObjectIdentifier: Int] = [:]
    private var presence = SeriesPresence()

    /// `tags` are those of the target; they win over labels of the same name.
    public init(_ settings: Settings, tags: [Tag]) {
        self.settings = settings
        self.tags = tags
        known = ByteTable(limit: Self.knownLeast, bytesLimit: 32 << 20)
    }

    /// Reads a whole page.
    public mutating func read(_ bytes: [UInt8], _ format: ExpositionFormat, at time: Timestamp) -> Page {
        var page = Page()
        var reader = ExpositionReader(bytes, format: format)
        // A sample takes 16 bytes at least, and as a rule several times that.
        known.limit = max(known.limit, min(settings.samplesLimit, bytes.count / 16))
        presence.begin()
        while let family = reader.next() {
            page.count += family.samples.count
            guard page.count <= settings.samplesLimit else {
                page.failure = "more than sample_limit (\(settings.samplesLimit)) samples"
                break
            }
            write(family, bytes, time, &page)
        }
        if page.failure == nil {
            page.complaints = reader.complaints
            if !reader.isComplete { page.failure = "the page ends without # EOF: a part of it is missing" }
        }
        page.addedCount = presence.added
        if page.failure != nil {
            page.samples = end(at: time)
        } else {
            ScrapeWriter.end(presence.finish(), at: time, &page.samples)
        }
        return page
    }

    /// The ends of all series of the last page, for a target that failed or went.
    public mutating func end(at time: Timestamp) -> SampleSet {
        var samples = SampleSet()
        ScrapeWriter.end(presence.clear(), at: time, &samples)
        return samples
    }

    private static func end(_ gone: [ScrapedSeries], at time: Timestamp, _ samples: inout SampleSet) {
        for each in gone {
            guard let series = each.series else { continue }
            samples.append(series, each.schema, at: time)
            samples.float(.staleMarker)
        }
    }

    private mutating func write(_ family: ExpositionFamily, _ bytes: [UInt8], _ time: Timestamp, _ page: inout Page) {
        for sample in family.samples {
            let found = bytes.withUnsafeBufferPointer {
                known.find(UnsafeBufferPointer(rebasing: $0[sample.series]))
            }
            let target: ScrapedSeries
            if let found, found.kind == family.kind {
                target = found
            } else {
                target = make(family, sample, bytes, &page)
                bytes.withUnsafeBufferPointer {
                    known.insert(target, for: UnsafeBufferPointer(rebasing: $0[sample.series]))
                }
            }
            guard let series = target.series else { continue }
            page.keptCount &+= 1
            let own = settings.ignoresTimes ? time : sample.time ?? time
            if settings.marksEnds, settings.ignoresTimes || sample.time == nil { presence.add(target) }
            if target.isPart {
                add(sample.value, target.field, series, own)
            } else {
                page.samples.append(series, target.schema, at: own)
                page.samples.float(sample.value)
            }
        }
        guard !parts.isEmpty else { return }
        for part in parts {
            page.samples.append(part.series, cache.schema(part.fields), at: part.time, cells: part.cells)
        }
        parts.removeAll(keepingCapacity: true)
        places.removeAll(keepingCapacity: true)
    }

    private mutating func add(_ value: Double, _ field: Schema.Field, _ series: Series, _ time: Timestamp) {
        let key = ObjectIdentifier(series)
        let place: Int
        if let known = places[key], parts[known].time == time, !parts[known].fields.contains(field) {
            place = known
        } else {
            place = parts.count
            places[key] = place
            parts.append(Parts(series: series, time: time))
        }
        parts[place].fields.append(field)
        parts[place].cells.append(value.bitPattern)
    }

    // MARK: What is new

    private mutating func make(
        _ family: ExpositionFamily, _ sample: ExpositionSample, _ bytes: [UInt8], _ page: inout Page
    ) -> ScrapedSeries {
        var name = ExpositionReader.text(bytes[sample.name]) ?? ""
        var labels = ExpositionLabels.read(bytes, sample.labels)
        if !settings.rules.isEmpty {
            labels["__name__"] = name
            let changed = RelabelRule.apply(settings.rules, to: labels)
            name = changed?["__name__"] ?? ""
            labels = (changed ?? [:]).filter { !$0.key.hasPrefix("__") }
        }
        guard !name.isEmpty else {
            let field = Schema.Field.float("value")
            return ScrapedSeries(family.kind, nil, field, cache.schema([field]), isPart: false)
        }
        let role = SampleRole(name, family.kind)
        if let note = role.note(name, family) { page.notes.append(note) }
        let measurement: String
        let key: String
        if settings.version == .second {
            (measurement, key) = ("prometheus", name)
        } else {
            (measurement, key) = role.place(name, &labels)
        }
        var tags = labels.map { Tag($0.key, $0.value) }
        tags.sort { $0.key < $1.key }
        tags += self.tags
        let field = Schema.Field.float(key)
        return ScrapedSeries(
            family.kind, cache.series(measurement, tags), field, cache.schema([field]),
            isPart: settings.version == .first && role.isPart)
    }
}
