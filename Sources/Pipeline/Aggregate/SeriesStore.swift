/// What an aggregator remembers between two pushes, with its series in the order in which they came.
///
/// Bounds: `seriesLimit` series, `fieldLimit` fields in each. What is beyond is refused.
struct SeriesStore: Sendable {
    /// Most fields of one series.
    static let fieldLimit = 1_000

    /// What is remembered of one series.
    private enum Content: Sendable {
        case statistics([String: FieldStatistics], order: [String])
        case point(Point)
    }

    /// A series; for `merge`, a series at one time.
    private struct Key: Sendable, Hashable {
        let series: SeriesKey
        let time: Timestamp?
    }

    private let rule: AggregatorRule
    private let seriesLimit: Int
    private var indexes: [Key: Int] = [:]
    private var contents: [(key: Key, content: Content)] = []
    var count: Int { contents.count }

    init(_ rule: AggregatorRule, seriesLimit: Int) {
        self.rule = rule
        self.seriesLimit = seriesLimit
    }

    /// Takes a point in; false when it is one series too many.
    mutating func add(_ point: Point) -> Bool {
        var point = point
        var time: Timestamp?
        if case .merge(let precision) = rule {
            point.time = point.time.rounded(to: precision)
            time = point.time
        }
        let key = Key(series: SeriesKey(point), time: time)
        guard let index = indexes[key] else {
            guard contents.count < seriesLimit else { return false }
            indexes[key] = contents.count
            contents.append((key, first(point)))
            return true
        }
        switch contents[index].content {
        case .statistics(var statistics, var order):
            // Taken out while it changes, so that nothing is copied.
            contents[index].content = .statistics([:], order: [])
            SeriesStore.add(point, &statistics, &order)
            contents[index].content = .statistics(statistics, order: order)
        case .point(var last):
            if case .merge = rule {
                contents[index].content = .point(point)
                for field in point.fields
                where last.fields.count < SeriesStore.fieldLimit || last.field(field.key) != nil {
                    last.set(field: field.key, to: field.value)
                }
                contents[index].content = .point(last)
            } else {
                contents[index].content = .point(point)
            }
        }
        return true
    }

    private func first(_ point: Point) -> Content {
        switch rule {
        case .final, .merge: return .point(point)
        case .basicStats, .minMax:
            var statistics: [String: FieldStatistics] = [:]
            var order: [String] = []
            SeriesStore.add(point, &statistics, &order)
            return .statistics(statistics, order: order)
        }
    }

    private static func add(
        _ point: Point, _ statistics: inout [String: FieldStatistics], _ order: inout [String]
    ) {
        for field in point.fields {
            guard let value = field.value.number else { continue }
            if statistics[field.key]?.add(value, at: point.time) == nil, order.count < fieldLimit {
                statistics[field.key] = FieldStatistics(value, at: point.time)
                order.append(field.key)
            }
        }
    }

    /// Ends the window: the points that come of it. `end` is the time of those that have none of their own, `wall` is now.
    mutating func push(end: Timestamp, wall: Timestamp) -> [Point] {
        var points: [Point] = []
        var kept: [(key: Key, content: Content)] = []
        for entry in contents {
            switch entry.content {
            case .statistics(let statistics, let order):
                var point = Point(name: entry.key.series.name, sortedTags: entry.key.series.tags, time: end)
                for key in order {
                    if let field = statistics[key] { append(key, field, to: &point) }
                }
                if !point.fields.isEmpty { points.append(point) }
            case .point(let last):
                if case .final(let silence?, _) = rule, wall - last.time <= silence {
                    kept.append(entry)
                } else {
                    points.append(final(last))
                }
            }
        }
        contents = kept
        indexes = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1.key, $0) })
        return points
    }

    private func append(_ key: String, _ field: FieldStatistics, to point: inout Point) {
        guard case .basicStats(let stats) = rule else {
            point.set(field: key + "_min", to: .float(field.min))
            point.set(field: key + "_max", to: .float(field.max))
            return
        }
        for stat in BasicStat.allCases where stats.contains(stat) {
            if let value = field.value(stat) { point.set(field: "\(key)_\(stat.rawValue)", to: value) }
        }
    }

    private func final(_ last: Point) -> Point {
        guard case .final(_, let keepsNames) = rule, !keepsNames else { return last }
        var point = Point(name: last.name, sortedTags: last.tags, time: last.time)
        for field in last.fields { point.set(field: field.key + "_final", to: field.value) }
        return point
    }
}
