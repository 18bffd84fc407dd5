/// One counter of the agent itself, as input `internal` shows it.
public struct AgentStatistic: Sendable, Hashable {
    /// Without `internal_` in front: `gather`.
    public var measurement: String
    public var field: String
    /// The plugin and its alias; without the tag `_id`.
    public var tags: [Tag]
    /// Which instance of the plugin; nil for what is there once.
    public var instance: String?
    public var value: Int64

    public init(measurement: String, field: String, tags: [Tag], instance: String? = nil, value: Int64) {
        self.measurement = measurement
        self.field = field
        self.tags = tags
        self.instance = instance
        self.value = value
    }

    /// Counters that belong into one point.
    public struct Point: Sendable, Hashable {
        public var measurement: String
        public var tags: [Tag]
        /// In the order in which they came.
        public var fields: [(key: String, value: Int64)]

        public static func == (a: Point, b: Point) -> Bool {
            a.measurement == b.measurement && a.tags == b.tags && a.fields.elementsEqual(b.fields, by: ==)
        }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(measurement)
            hasher.combine(tags)
            for (key, value) in fields {
                hasher.combine(key)
                hasher.combine(value)
            }
        }
    }

    /// The points that `statistics` make: with `perInstance` one for each instance, told apart by the tag `_id`; without,
    /// fields of equal measurement and tags are added up, averages too. `version` becomes a tag of all.
    public static func points(
        _ statistics: [AgentStatistic], version: String, perInstance: Bool
    ) -> [Point] {
        struct Key: Hashable {
            var measurement: String
            var tags: [Tag]
        }
        var points: [Point] = []
        var places: [Key: Int] = [:]
        for statistic in statistics {
            var tags = statistic.tags + [Tag("version", version)]
            if perInstance, let instance = statistic.instance { tags.append(Tag("_id", instance)) }
            let key = Key(measurement: statistic.measurement, tags: Series.normalized(tags))
            let place = places[key] ?? points.count
            if place == points.count {
                places[key] = place
                points.append(Point(measurement: key.measurement, tags: key.tags, fields: []))
            }
            if let field = points[place].fields.firstIndex(where: { $0.key == statistic.field }) {
                points[place].fields[field].value = points[place].fields[field].value.addingSaturated(statistic.value)
            } else {
                points[place].fields.append((statistic.field, statistic.value))
            }
        }
        return points
    }
}

/// The mean of the values since it was read last; without new ones the mean of before.
public struct AverageStatistic: Sendable, Hashable {
    private var sum: Int64 = 0
    private var count: Int64 = 0
    private var last: Int64 = 0

    public init() {}

    public mutating func add(_ value: Int64) {
        sum = sum.addingSaturated(value)
        count = count.addingSaturated(1)
    }

    public mutating func read() -> Int64 {
        if count > 0 {
            last = sum / count
            sum = 0
            count = 0
        }
        return last
    }
}
