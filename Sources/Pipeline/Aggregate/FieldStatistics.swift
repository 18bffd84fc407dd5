/// The statistics of one field over a window.
///
/// | field | is |
/// |---|---|
/// | `count`, `sum`, `mean`, `min`, `max`, `first`, `last` | as named, as floats |
/// | `s2`, `stdev` | variance with n − 1 (Welford's way) and its root; from two values on |
/// | `diff`, `percent_change` | last − first, and that in percent of the first; from two values on |
/// | `interval`, `rate` | nanoseconds from first to last, and `diff` for each second of it; from two values on |
/// | `non_negative_…` | the same unless the last is below the first |
struct FieldStatistics: Sendable, Hashable {
    private var count = 1.0
    private var mean: Double
    private var squares = 0.0
    private var sum: Double
    private(set) var min: Double
    private(set) var max: Double
    private let first: Double
    private var last: Double
    private let start: Timestamp
    private var interval = Duration.zero
    private var rate = 0.0

    init(_ value: Double, at time: Timestamp) {
        (mean, sum, min, max, first, last, start) = (value, value, value, value, value, value, time)
    }

    mutating func add(_ value: Double, at time: Timestamp) {
        count += 1
        let delta = value - mean
        mean += delta / count
        squares += delta * (value - mean)
        if value < min { min = value } else if value > max { max = value }
        sum += value
        last = value
        interval = time - start
        if time != start { rate = (last - first) / interval.inSeconds }
    }

    /// The value of a statistic; nil for one that needs two values.
    func value(_ stat: BasicStat) -> FieldValue? {
        switch stat {
        case .count: return .float(count)
        case .min: return .float(min)
        case .max: return .float(max)
        case .mean: return .float(mean)
        case .sum: return .float(sum)
        case .last: return .float(last)
        case .first: return .float(first)
        default: break
        }
        guard count > 1 else { return nil }
        let difference = last - first
        switch stat {
        case .s2: return .float(squares / (count - 1))
        case .stdev: return .float((squares / (count - 1)).squareRoot())
        case .diff: return .float(difference)
        case .nonNegativeDiff: return difference >= 0 ? .float(difference) : nil
        case .rate: return .float(rate)
        case .nonNegativeRate: return difference >= 0 ? .float(rate) : nil
        case .percentChange: return .float(difference / first * 100)
        case .interval: return .int(interval.wholeNanoseconds)
        default: return nil
        }
    }
}
