/// A value of a field.
public enum FieldValue: Sendable, Hashable {
    case int(Int64)
    case uint(UInt64)
    case float(Double)
    case bool(Bool)
    case string(String)

    var kind: FieldKind {
        switch self {
        case .int: .int
        case .uint: .uint
        case .float: .float
        case .bool: .bool
        case .string: .string
        }
    }

    /// The value of a number; nil for text and truth.
    public var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .uint(let value): Double(value)
        case .float(let value): value
        case .bool, .string: nil
        }
    }
}

/// A point as processors and aggregators see it: all of it can be changed.
///
/// It exists only while processors or aggregators are configured: without them points go from cells to bytes.
public struct Point: Sendable, Hashable {
    /// One field of a point.
    public struct Field: Sendable, Hashable {
        public var key: String
        public var value: FieldValue
    }

    public var name: String
    /// Sorted by key in byte order; keys are unique.
    public private(set) var tags: [Tag]
    /// Keys are unique.
    public private(set) var fields: [Field] = []
    public var time: Timestamp

    /// Tags and fields may come in any order; of two with one key the later wins.
    public init(_ name: String, tags: [Tag] = [], fields: KeyValuePairs<String, FieldValue> = [:], time: Timestamp) {
        self.name = name
        self.tags = Series.normalized(tags)
        self.time = time
        for (key, value) in fields { set(field: key, to: value) }
    }

    /// A point of a sample set under the name and tags that it has after its input; tags are sorted and unique.
    init(name: String, sortedTags: [Tag], time: Timestamp) {
        self.name = name
        tags = sortedTags
        self.time = time
    }

    // MARK: Tags

    public func tag(_ key: String) -> String? { tags.first { $0.key == key }?.value }

    /// Sets a tag, or replaces its value.
    public mutating func set(tag key: String, to value: String) {
        let bytes = key.utf8
        let index = tags.firstIndex { !$0.key.utf8.lexicographicallyPrecedes(bytes) } ?? tags.count
        if index < tags.count, tags[index].key == key {
            tags[index] = Tag(key, value)
        } else {
            tags.insert(Tag(key, value), at: index)
        }
    }

    public mutating func remove(tag key: String) { tags.removeAll { $0.key == key } }

    mutating func keepTags(where isKept: (String) -> Bool) { tags.removeAll { !isKept($0.key) } }

    // MARK: Fields

    public func field(_ key: String) -> FieldValue? { fields.first { $0.key == key }?.value }

    /// Sets a field, or replaces its value.
    public mutating func set(field key: String, to value: FieldValue) {
        if let index = fields.firstIndex(where: { $0.key == key }) {
            fields[index].value = value
        } else {
            fields.append(Field(key: key, value: value))
        }
    }

    /// Appends a field whose key is known to be new.
    mutating func append(newField key: String, _ value: FieldValue) { fields.append(Field(key: key, value: value)) }

    public mutating func remove(field key: String) { fields.removeAll { $0.key == key } }

    mutating func keepFields(where isKept: (String) -> Bool) { fields.removeAll { !isKept($0.key) } }

    // MARK: Filters

    /// Removes the tags and fields that a filter does not keep.
    mutating func modify(by filter: MetricFilter) {
        if !filter.tagInclude.isEmpty || !filter.tagExclude.isEmpty { keepTags { filter.keepsTag($0) } }
        if !filter.fieldInclude.isEmpty || !filter.fieldExclude.isEmpty { keepFields { filter.keepsField($0) } }
    }

    /// Gives the name that a plugin's options ask for: replaced, then with prefix and suffix.
    mutating func rename(by options: MetricOptions) {
        name = options.namePrefix + (options.nameOverride.isEmpty ? name : options.nameOverride) + options.nameSuffix
    }
}

/// What identifies a series after processing: the name and the tags.
struct SeriesKey: Sendable, Hashable {
    let name: String
    let tags: [Tag]

    init(_ point: Point) {
        name = point.name
        tags = point.tags
    }
}
