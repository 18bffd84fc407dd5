/// How the cells of a column are to be read.
public enum FieldKind: UInt8, Sendable, Hashable {
    case int, uint, float, bool, string
}

/// The columns of one kind of point: field keys and kinds, with everything about their spelling computed once.
///
/// A collector declares its schemas as constants; the encoder then copies rendered keys instead of escaping strings.
public final class Schema: Sendable {
    public struct Field: Sendable, Hashable {
        public let key: String
        public let kind: FieldKind

        public init(_ key: String, _ kind: FieldKind) {
            self.key = key
            self.kind = kind
        }

        public static func int(_ key: String) -> Field { Field(key, .int) }
        public static func uint(_ key: String) -> Field { Field(key, .uint) }
        public static func float(_ key: String) -> Field { Field(key, .float) }
        public static func bool(_ key: String) -> Field { Field(key, .bool) }
        public static func string(_ key: String) -> Field { Field(key, .string) }
    }

    /// The columns, in the order in which a collector appends cells.
    public let fields: [Field]
    /// Per column: the escaped key and `=`, as it stands in a line; empty for a key that line protocol cannot hold.
    public let renderedKeys: [[UInt8]]
    /// Column indexes in the order of a line: sorted by key, byte order.
    public let lineOrder: [Int]

    public init(_ fields: [Field]) {
        self.fields = fields
        renderedKeys = fields.map { LineProtocol.renderedKey($0.key) }
        lineOrder = fields.indices.sorted {
            Array(fields[$0].key.utf8).lexicographicallyPrecedes(Array(fields[$1].key.utf8))
        }
    }
}

/// A tag: one identifying dimension of a series.
public struct Tag: Sendable, Hashable {
    public let key: String
    public let value: String

    public init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}

/// The identity of a series at its source: measurement and tags, before names, filters and global tags are applied.
///
/// Collectors keep their `Series` from tick to tick: what the batcher derives from one is cached by identity.
public final class Series: Sendable {
    public let measurement: String
    /// Sorted by key, byte order; keys are unique.
    public let tags: [Tag]

    /// Tags may come in any order; of two with one key the later wins.
    public init(_ measurement: String, tags: [Tag] = []) {
        self.measurement = measurement
        self.tags = Series.normalized(tags)
    }

    /// `tags` sorted by key in byte order, of two with one key the later kept.
    public static func normalized(_ tags: [Tag]) -> [Tag] {
        var byKey: [String: Tag] = [:]
        for tag in tags { byKey[tag.key] = tag }
        return byKey.values.sorted { Array($0.key.utf8).lexicographicallyPrecedes(Array($1.key.utf8)) }
    }
}
