/// One point whose columns depend on what the host has: keys with values, which are appended to a set together.
///
/// Kept from tick to tick: the last schemas are remembered, so the same columns cost no new one.
///
///     row.begin()
///     row.uint("aio-nr", value)
///     row.append(series, at: time, to: &samples)
public struct FieldRow: Sendable {
    /// Schemas that are remembered.
    private static let schemaLimit = 16

    private var fields: [Schema.Field] = []
    private var cells: [UInt64] = []
    private var strings: [String] = []
    private var schemas: [Schema] = []

    public init() {}

    public var isEmpty: Bool { fields.isEmpty }

    /// Forgets the fields of the point before.
    public mutating func begin() {
        fields.removeAll(keepingCapacity: true)
        cells.removeAll(keepingCapacity: true)
        strings.removeAll(keepingCapacity: true)
    }

    // A value that is nil leaves its field out.

    public mutating func int(_ key: String, _ value: Int64?) {
        if let value { add(.int(key), UInt64(bitPattern: value)) }
    }
    public mutating func uint(_ key: String, _ value: UInt64?) {
        if let value { add(.uint(key), value) }
    }
    public mutating func float(_ key: String, _ value: Double?) {
        if let value { add(.float(key), value.bitPattern) }
    }
    public mutating func string(_ key: String, _ value: String?) {
        guard let value else { return }
        add(.string(key), UInt64(strings.count))
        strings.append(value)
    }

    private mutating func add(_ field: Schema.Field, _ cell: UInt64) {
        fields.append(field)
        cells.append(cell)
    }

    /// Appends the point; nothing when it has no field.
    public mutating func append(_ series: Series, at time: Timestamp, to samples: inout SampleSet) {
        guard !fields.isEmpty else { return }
        samples.append(series, schema(), at: time)
        for (field, cell) in zip(fields, cells) {
            switch field.kind {
            case .int: samples.int(Int64(bitPattern: cell))
            case .uint: samples.uint(cell)
            case .float: samples.float(Double(bitPattern: cell))
            case .bool: samples.bool(cell != 0)
            case .string: samples.string(strings[Int(clamping: cell)])
            }
        }
    }

    /// The schema of the fields, the most recent one first.
    private mutating func schema() -> Schema {
        if let found = schemas.firstIndex(where: { $0.fields == fields }) {
            if found > 0 { schemas.swapAt(found, found - 1) }
            return schemas[found > 0 ? found - 1 : 0]
        }
        let made = Schema(fields)
        if schemas.count >= FieldRow.schemaLimit { schemas.removeLast() }
        schemas.insert(made, at: 0)
        return made
    }
}

/// The series of an input whose tags come from the host: the same tags keep the same object, what was not seen for a
/// tick is forgotten.
///
/// Why: what the batcher derives from a series is cached by its identity.
public struct SeriesCache: Sendable {
    private struct Key: Hashable {
        var measurement: String
        var tags: [Tag]
    }

    private var known: [Key: Series] = [:]
    private var current: [Key: Series] = [:]

    public init() {}

    /// Series that are kept.
    public var count: Int { known.count }

    public mutating func series(_ measurement: String, _ tags: [Tag]) -> Series {
        let key = Key(measurement: measurement, tags: tags)
        if let found = current[key] { return found }
        let series = known[key] ?? Series(measurement, tags: tags)
        current[key] = series
        return series
    }

    /// Ends the tick.
    public mutating func finish() {
        swap(&known, &current)
        current.removeAll(keepingCapacity: true)
    }
}
