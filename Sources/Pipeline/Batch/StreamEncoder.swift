/// What happens to the points of one input on their way into one stream: names, tags and filters of the input, then
/// those of the output, compiled once per configuration; and the rounding of timestamps.
public struct InputRules: Sendable, Hashable {
    /// Applied in order: the input's, then the output's when the stream belongs to one.
    public var transforms: [MetricTransform]
    /// Timestamps are rounded to the nearest multiple; 0 leaves them.
    public var precision: Duration
    /// Series whose rendered form is remembered.
    public var seriesLimit: Int

    /// For inputs with more series than a host has, such as scraped pages. About a kilobyte each on the
    /// whole way to remote write, 400 bytes on that to a database.
    public static let manySeries = 400_000

    public init(transforms: [MetricTransform], precision: Duration, seriesLimit: Int = 10_000) {
        self.transforms = transforms
        self.precision = precision
        self.seriesLimit = seriesLimit
    }
}

/// When an open batch is full.
public struct BatchLimits: Sendable, Hashable {
    public var points: Int
    /// Encoded bytes, before compression.
    public var bytes: Int

    public init(points: Int = 5_000, bytes: Int = 512 * 1024) {
        self.points = points
        self.bytes = bytes
    }
}

/// Encodes sample sets to the line protocol of one stream, point by point into one buffer, and says when it is full.
///
/// Names, tags and filters act on series and schemas, and what comes out (the rendered line header, the columns that
/// stay) is cached by identity: a point costs one look-up and the writing of its values.
/// Bounds: the cache of an input forgets series that were not seen lately beyond `InputRules.seriesLimit` of them.
public struct StreamEncoder: ~Copyable {
    private struct RenderedSeries {
        /// Keeps the object alive, so that its identity stays unique while it is a key.
        let series: Series
        /// nil: the point is dropped by a filter, or has no name.
        let header: [UInt8]?
        let name: String
        var lastUsed: UInt64
    }

    private struct Columns {
        /// Keeps the object alive, as above.
        let schema: Schema
        let kept: [Int]
    }

    private struct InputCache {
        var rules: InputRules
        var series: [ObjectIdentifier: RenderedSeries] = [:]
        var columns: [ObjectIdentifier: Columns] = [:]
        var sets: UInt64 = 0
    }

    /// Called with each line while somebody listens: the final name and the line with its LF.
    public typealias LineObserver = (_ name: String, _ line: UnsafeBufferPointer<UInt8>) -> Void

    private static let columnsLimit = 10_000

    private let options: LineProtocol.Options
    private let limits: BatchLimits
    private var inputs: [String: InputCache] = [:]
    private var buffer = ByteWriter(capacity: 16 * 1024)
    /// Points in the open batch.
    public private(set) var openPoints = 0
    private var newest = Timestamp(nanoseconds: .min)
    /// Points that filters removed, whose input is not configured any more, or that are for streams with special values
    /// alone (ends of series, NaN), since the start.
    public private(set) var filteredPoints: UInt64 = 0
    /// Points that line protocol cannot hold (no name, no field that is a number), since the start.
    public private(set) var unencodablePoints: UInt64 = 0

    public init(options: LineProtocol.Options = .init(), limits: BatchLimits = .init()) {
        self.options = options
        self.limits = limits
    }

    public var isFull: Bool { openPoints >= limits.points || buffer.count >= limits.bytes }

    /// Sets the rules of an input; what was derived from other rules is forgotten.
    public mutating func setRules(_ rules: InputRules, for input: String) { inputs[input] = InputCache(rules: rules) }

    /// Encodes `set` from row `first` on until the batch is full. Returns the row to go on with after sealing; the
    /// number of rows when all are in.
    public mutating func add(
        _ set: SampleSet, from input: String, first: Int = 0, observer: LineObserver? = nil
    ) -> Int {
        guard var cache = inputs.removeValue(forKey: input) else {
            filteredPoints &+= UInt64(set.rows.count - first)
            return set.rows.count
        }
        defer {
            cache.sets &+= 1
            StreamEncoder.forgetUnused(&cache)
            inputs[input] = cache
        }
        var index = first
        while index < set.rows.count {
            if isFull { return index }
            let row = set.rows[index]
            encode(row, of: set, &cache, observer)
            index += 1
        }
        return index
    }

    private mutating func encode(
        _ row: SampleSet.Row, of set: SampleSet, _ cache: inout InputCache, _ observer: LineObserver?
    ) {
        let rendered = StreamEncoder.rendered(row.series, &cache)
        guard let header = rendered.header else {
            filteredPoints &+= 1
            return
        }
        let time = row.time.rounded(to: cache.rules.precision)
        let columns = StreamEncoder.columns(row.schema, &cache)
        guard !columns.isEmpty || row.schema.fields.isEmpty else {
            filteredPoints &+= 1
            return
        }
        let start = buffer.count
        do {
            let lines = try LineProtocol.append(
                header: header, schema: row.schema, columns: columns, set: set, firstCell: row.firstCell, time: time,
                options: options, to: &buffer)
            openPoints += lines
            newest = max(newest, time)
        } catch {
            if set.isSpecial(row) { filteredPoints &+= 1 } else { unencodablePoints &+= 1 }
            return
        }
        if let observer {
            buffer.withBytes { observer(rendered.name, UnsafeBufferPointer(rebasing: $0[start...])) }
        }
    }

    private static func rendered(_ series: Series, _ cache: inout InputCache) -> RenderedSeries {
        let key = ObjectIdentifier(series)
        if let index = cache.series.index(forKey: key) {
            cache.series.values[index].lastUsed = cache.sets
            return cache.series.values[index]
        }
        var shape: (name: String, tags: [Tag])? = (series.measurement, series.tags)
        for transform in cache.rules.transforms {
            guard let current = shape else { break }
            shape = transform.apply(name: current.name, tags: current.tags)
        }
        let header = shape.flatMap { LineProtocol.header($0.name, $0.tags) }
        let made = RenderedSeries(series: series, header: header, name: shape?.name ?? "", lastUsed: cache.sets)
        cache.series[key] = made
        return made
    }

    private static func columns(_ schema: Schema, _ cache: inout InputCache) -> [Int] {
        let key = ObjectIdentifier(schema)
        if let known = cache.columns[key] { return known.kept }
        let kept = schema.lineOrder.filter { column in
            cache.rules.transforms.allSatisfy { $0.keepsField(schema.fields[column].key) }
        }
        cache.columns[key] = Columns(schema: schema, kept: kept)
        return kept
    }

    /// Halves a cache that grew beyond its bound by forgetting what was used least recently.
    private static func forgetUnused(_ cache: inout InputCache) {
        if cache.series.count > cache.rules.seriesLimit {
            let ages = cache.series.values.map(\.lastUsed).sorted()
            let median = ages[ages.count / 2]
            cache.series = cache.series.filter { $0.value.lastUsed > median || $0.value.lastUsed == cache.sets }
            if cache.series.count > cache.rules.seriesLimit { cache.series.removeAll() }
        }
        if cache.columns.count > columnsLimit { cache.columns.removeAll() }
    }

    /// How many rendered series are remembered for an input.
    func cachedSeries(of input: String) -> Int { inputs[input]?.series.count ?? 0 }

    /// Ends the open batch: its bytes, points and newest time; nil when nothing is open. The buffer is empty afterwards.
    public mutating func seal<Payload>(
        _ body: (_ lines: UnsafeBufferPointer<UInt8>, _ points: Int, _ newest: Timestamp) -> Payload
    ) -> Payload? {
        guard openPoints > 0 else { return nil }
        let (points, newest) = (openPoints, newest)
        let payload = buffer.withBytes { body($0, points, newest) }
        buffer.removeAll()
        openPoints = 0
        self.newest = Timestamp(nanoseconds: .min)
        return payload
    }
}
