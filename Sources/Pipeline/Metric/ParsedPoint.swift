/// One point as a parser of a program's words makes it: what it has depends on what was said.
public struct ParsedPoint: Sendable, Hashable {
    public enum Value: Sendable, Hashable {
        case int(Int64)
        case uint(UInt64)
        case float(Double)
        case string(String)
        case bool(Bool)

        var kind: FieldKind {
            switch self {
            case .int: .int
            case .uint: .uint
            case .float: .float
            case .string: .string
            case .bool: .bool
            }
        }
    }

    public struct Field: Sendable, Hashable {
        public var key: String
        public var value: Value
    }

    public var measurement: String
    public var tags: [Tag]
    public private(set) var fields: [Field] = []

    public init(_ measurement: String, tags: [Tag] = []) {
        self.measurement = measurement
        self.tags = tags
    }

    /// A field of the point: the later value of two wins; nil as the new value changes nothing.
    public subscript(_ key: String) -> Value? {
        get { fields.first { $0.key == key }?.value }
        set {
            guard let newValue else { return }
            if let index = fields.firstIndex(where: { $0.key == key }) {
                fields[index].value = newValue
            } else {
                fields.append(Field(key: key, value: newValue))
            }
        }
    }

    /// Adds or replaces a tag; an empty value is none.
    public mutating func tag(_ key: String, _ value: String) {
        tags.removeAll { $0.key == key }
        if !value.isEmpty { tags.append(Tag(key, value)) }
    }
}

/// Appends parsed points to sample sets, one set a tick.
///
/// Schemas and series are kept from tick to tick, since what the batcher derives from them is cached by identity.
/// Bounds: `schemaLimit` schemas; series of the tick before.
public struct PointWriter: Sendable {
    private static let schemaLimit = 64

    private struct Key: Hashable {
        var measurement: String
        var tags: [Tag]
    }

    private var schemas: [[Schema.Field]: Schema] = [:]
    private var known: [Key: Series] = [:]
    private var current: [Key: Series] = [:]

    public init() {}

    public mutating func append(_ point: ParsedPoint, at time: Timestamp, to samples: inout SampleSet) {
        guard !point.fields.isEmpty else { return }
        let columns = point.fields.map { Schema.Field($0.key, $0.value.kind) }
        samples.append(series(point), schema(columns), at: time)
        for field in point.fields {
            switch field.value {
            case .int(let value): samples.int(value)
            case .uint(let value): samples.uint(value)
            case .float(let value): samples.float(value)
            case .string(let value): samples.string(value)
            case .bool(let value): samples.bool(value)
            }
        }
    }

    /// Ends the tick: series that were not seen are forgotten.
    public mutating func finish() {
        known = current
        current.removeAll(keepingCapacity: true)
    }

    private mutating func schema(_ columns: [Schema.Field]) -> Schema {
        if let found = schemas[columns] { return found }
        if schemas.count >= PointWriter.schemaLimit { schemas.removeAll() }
        let made = Schema(columns)
        schemas[columns] = made
        return made
    }

    private mutating func series(_ point: ParsedPoint) -> Series {
        let key = Key(measurement: point.measurement, tags: point.tags)
        let series = current[key] ?? known[key] ?? Series(point.measurement, tags: point.tags)
        current[key] = series
        return series
    }
}
