/// Series and schemas that are made from texts, remembered so that the same texts give the same objects.
///
/// Bounds: two generations of `limit` entries each, as in `ByteTable`.
public struct ForeignSeries {
    private struct Name: Hashable {
        var measurement: String
        var tags: [Tag]
    }

    private var series: Generations<Name, Series>
    private var schemas: Generations<[Schema.Field], Schema>

    public init(limit: Int = 4_096) {
        series = Generations(limit: limit)
        schemas = Generations(limit: limit)
    }

    /// The series of that name and those tags; equal tags in another order may be another object.
    public mutating func series(_ measurement: String, _ tags: [Tag]) -> Series {
        series.value(Name(measurement: measurement, tags: tags)) { Series(measurement, tags: tags) }
    }

    /// The schema of those fields in that order.
    public mutating func schema(_ fields: [Schema.Field]) -> Schema { schemas.value(fields) { Schema(fields) } }
}

/// A dictionary that forgets what was not asked for lately.
struct Generations<Key: Hashable, Value> {
    private let limit: Int
    private var young: [Key: Value] = [:]
    private var old: [Key: Value] = [:]

    init(limit: Int) { self.limit = max(1, limit) }

    /// The value kept for the key, or the one that `make` makes now.
    mutating func value(_ key: Key, _ make: () -> Value) -> Value {
        if let known = young[key] { return known }
        let value = old[key] ?? make()
        if young.count >= limit {
            old = young
            young = [:]
        }
        young[key] = value
        return value
    }
}
