/// What statsd has heard, by bucket and tags, until it is read out at the end of an interval.
///
/// Bounds: `seriesLimit` series together, `membersLimit` members a set, `percentileLimit` values a timing; what comes
/// beyond is counted as dropped, and series that exist go on.
public struct StatsdAggregate: Sendable {
    public struct Settings: Sendable {
        public var deletesGauges = true
        public var deletesCounters = true
        public var deletesSets = true
        public var deletesTimings = true
        public var percentiles: [Double] = []
        public var percentileLimit = 1_000
        public var datadogExtensions = false
        public var floatCounters = false
        public var floatTimings = false
        public var floatSets = false
        public var seriesLimit = 100_000
        public var membersLimit = 100_000

        public init() {}
    }

    private struct Key: Hashable, Sendable {
        var name: String
        var tags: [Tag]
        var field: String
    }

    private struct Member: Sendable {
        let series: Series
        var number = 0.0
    }

    private struct Timing: Sendable {
        let series: Series
        /// By field; with an empty name the statistics have no prefix.
        var fields: [String: RunningStatistics] = [:]
    }

    /// What went wrong since the last reading.
    public struct Trouble: Sendable, Hashable {
        public var badLines = 0
        public var droppedForSeries = 0
        public var droppedForMembers = 0
    }

    private let settings: Settings
    private let templates: StatsdTemplates
    private var gauges: [Key: Member] = [:]
    private var counters: [Key: Member] = [:]
    private var sets: [Key: (series: Series, members: Set<String>)] = [:]
    private var timings: [Key: Timing] = [:]
    private var schemas: [[Schema.Field]: Schema] = [:]
    private var names: [String: StatsdTemplates.Name] = [:]
    public private(set) var trouble = Trouble()

    public init(_ settings: Settings, templates: StatsdTemplates) {
        self.settings = settings
        self.templates = templates
    }

    private var seriesCount: Int { gauges.count + counters.count + sets.count + timings.count }

    /// Takes a datagram, or a part of a stream of whole lines.
    public mutating func add(_ packet: [UInt8]) {
        for raw in packet.split(separator: UInt8(ascii: "\n")) {
            var line = raw
            while let last = line.last, last <= 0x20 { line.removeLast() }
            while let first = line.first, first <= 0x20 { line.removeFirst() }
            guard !line.isEmpty else { continue }
            // Events and service checks of DogStatsD are no metrics.
            if settings.datadogExtensions, line.starts(with: Array("_e{".utf8)) || line.starts(with: Array("_sc|".utf8))
            {
                continue
            }
            var badValues = 0
            let parsed = StatsdLine(line, datadogExtensions: settings.datadogExtensions, badValues: &badValues)
            guard let parsed else {
                trouble.badLines += 1
                continue
            }
            if badValues > 0 { trouble.badLines += 1 }
            add(parsed)
        }
    }

    private mutating func add(_ line: StatsdLine) {
        let name: StatsdTemplates.Name
        if let known = names[line.bucket] {
            name = known
        } else {
            name = templates.name(line.bucket)
            if names.count >= 8_192 { names.removeAll() }
            names[line.bucket] = name
        }
        // Tags of the line go before those of the template.
        let tags = Series.normalized(name.tags + line.tags)
        for sample in line.samples { add(sample, name, tags) }
    }

    private mutating func add(_ sample: StatsdSample, _ name: StatsdTemplates.Name, _ tags: [Tag]) {
        let key = Key(name: name.measurement, tags: tags, field: name.field ?? "value")
        switch sample.kind {
        case .gauge:
            guard gauges[key] != nil || hasRoom() else { return }
            let number = sample.number ?? 0
            var member = gauges[key] ?? Member(series: series(key, "gauge"))
            member.number = sample.isRelative ? member.number + number : number
            gauges[key] = member
        case .counter:
            guard counters[key] != nil || hasRoom() else { return }
            var member = counters[key] ?? Member(series: series(key, "counter"))
            member.number += (sample.number ?? 0) * sample.weight
            counters[key] = member
        case .set:
            guard sets[key] != nil || hasRoom() else { return }
            var entry = sets.removeValue(forKey: key) ?? (series(key, "set"), [])
            if entry.members.count < settings.membersLimit || entry.members.contains(sample.text) {
                entry.members.insert(sample.text)
            } else {
                trouble.droppedForMembers += 1
            }
            sets[key] = entry
        case .timing: addTiming(sample, key, name, "timing")
        case .histogram: addTiming(sample, key, name, "histogram")
        }
    }

    private mutating func addTiming(
        _ sample: StatsdSample, _ key: Key, _ name: StatsdTemplates.Name, _ type: String
    ) {
        let key = Key(name: key.name, tags: key.tags + [Tag("metric_type", type)], field: "")
        guard timings[key] != nil || hasRoom() else { return }
        var timing = timings.removeValue(forKey: key) ?? Timing(series: Series(key.name, tags: key.tags))
        let field = name.field ?? ""
        if timing.fields[field] == nil, timing.fields.count >= 64 {
            trouble.droppedForMembers += 1
        } else {
            let seed = UInt64(truncatingIfNeeded: timings.count &+ 1) &* 0x9E37_79B9_7F4A_7C15
            timing.fields[field, default: RunningStatistics(limit: settings.percentileLimit, seed: seed)].add(
                sample.number ?? 0, weight: sample.weight)
        }
        timings[key] = timing
    }

    private mutating func hasRoom() -> Bool {
        if seriesCount < settings.seriesLimit { return true }
        trouble.droppedForSeries += 1
        return false
    }

    private func series(_ key: Key, _ type: String) -> Series {
        Series(key.name, tags: key.tags + [Tag("metric_type", type)])
    }

    // MARK: Reading out

    /// All that was heard, as points of `time`; what the settings say is forgotten afterwards.
    public mutating func read(at time: Timestamp) -> (samples: SampleSet, trouble: Trouble) {
        var samples = SampleSet()
        for (key, member) in gauges {
            samples.append(member.series, schema([.float(key.field)]), at: time, cells: [member.number.bitPattern])
        }
        for (key, member) in counters {
            if settings.floatCounters {
                samples.append(member.series, schema([.float(key.field)]), at: time, cells: [member.number.bitPattern])
            } else {
                let whole = Int64(exactly: member.number.rounded()) ?? (member.number < 0 ? .min : .max)
                samples.append(
                    member.series, schema([.int(key.field)]), at: time, cells: [UInt64(bitPattern: whole)])
            }
        }
        for (key, entry) in sets {
            let count = entry.members.count
            if settings.floatSets {
                samples.append(
                    entry.series, schema([.float(key.field)]), at: time, cells: [Double(count).bitPattern])
            } else {
                samples.append(entry.series, schema([.int(key.field)]), at: time, cells: [UInt64(count)])
            }
        }
        for timing in timings.values { append(timing, time, to: &samples) }
        if settings.deletesGauges { gauges.removeAll() }
        if settings.deletesCounters { counters.removeAll() }
        if settings.deletesSets { sets.removeAll() }
        if settings.deletesTimings { timings.removeAll() }
        defer { trouble = Trouble() }
        return (samples, trouble)
    }

    private mutating func append(_ timing: Timing, _ time: Timestamp, to samples: inout SampleSet) {
        var fields: [Schema.Field] = []
        var cells: [UInt64] = []
        for (name, statistics) in timing.fields.sorted(by: { $0.key < $1.key }) {
            let prefix = name.isEmpty ? "" : name + "_"
            let floats: [(String, Double)] = [
                ("mean", statistics.mean), ("median", statistics.median), ("stddev", statistics.deviation),
                ("sum", statistics.sum), ("upper", statistics.upper), ("lower", statistics.lower),
            ]
            for (field, value) in floats {
                fields.append(.float(prefix + field))
                cells.append(value.bitPattern)
            }
            if settings.floatTimings {
                fields.append(.float(prefix + "count"))
                cells.append(statistics.count.bitPattern)
            } else {
                fields.append(.int(prefix + "count"))
                cells.append(UInt64(bitPattern: Int64(exactly: statistics.count.rounded()) ?? .max))
            }
            for (percent, value) in zip(settings.percentiles, statistics.percentiles(settings.percentiles)) {
                fields.append(.float(prefix + StatsdAggregate.percentileName(percent)))
                cells.append(value.bitPattern)
            }
        }
        samples.append(timing.series, schema(fields), at: time, cells: cells)
    }

    /// `90_percentile`, `99.9_percentile`.
    private static func percentileName(_ percent: Double) -> String {
        var writer = ByteWriter(capacity: 64)
        writer.append(decimal: percent)
        return String(decoding: writer.bytes, as: UTF8.self) + "_percentile"
    }

    private mutating func schema(_ fields: [Schema.Field]) -> Schema {
        if let known = schemas[fields] { return known }
        if schemas.count >= 4_096 { schemas.removeAll() }
        let made = Schema(fields)
        schemas[fields] = made
        return made
    }
}
