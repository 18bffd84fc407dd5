/// `[[processors.dedup]]`: points whose fields all have the values that their series had last are left out, for at
/// most `interval`.
///
/// Bounds: `seriesLimit` series are remembered; points of others pass, and are counted.
struct Deduplication: Sendable {
    private struct Last: Sendable {
        var time: Timestamp
        var fields: [String: FieldValue]
    }

    private let interval: Duration
    private let seriesLimit: Int
    private var series: [SeriesKey: Last] = [:]
    private var swept: Timestamp?
    /// Points that passed because their series is one too many.
    private(set) var overflow: UInt64 = 0
    var seriesCount: Int { series.count }

    init(interval: Duration, seriesLimit: Int) {
        self.interval = interval
        self.seriesLimit = seriesLimit
    }

    /// Whether a point is to go on. `wall` is now: what was seen longer ago than the interval does not count.
    mutating func passes(_ point: Point, wall: Timestamp) -> Bool {
        sweep(wall)
        let key = SeriesKey(point)
        guard let last = series[key] else {
            guard series.count < seriesLimit else {
                overflow &+= 1
                return true
            }
            save(point, key)
            return true
        }
        guard wall - last.time < interval else {
            save(point, key)
            return true
        }
        var added: [String: FieldValue] = [:]
        for field in point.fields {
            guard let before = last.fields[field.key] else {
                if point.time == last.time, last.fields.count + added.count < SeriesStore.fieldLimit {
                    added[field.key] = field.value
                }
                continue
            }
            if before != field.value {
                save(point, key)
                return true
            }
        }
        // Other fields of the same point in time: the same reading in two points.
        guard !added.isEmpty else { return false }
        series[key]?.fields.merge(added) { _, new in new }
        return true
    }

    private mutating func save(_ point: Point, _ key: SeriesKey) {
        var fields: [String: FieldValue] = [:]
        for field in point.fields { fields[field.key] = field.value }
        series[key] = Last(time: point.time, fields: fields)
    }

    /// Forgets what is older than the interval, once each interval or when it is full.
    private mutating func sweep(_ wall: Timestamp) {
        guard let swept else {
            self.swept = wall
            return
        }
        let age = wall - swept
        guard age >= interval || age < .zero || series.count >= seriesLimit && age >= .seconds(1) else { return }
        self.swept = wall
        series = series.filter { wall - $0.value.time < interval }
    }
}
