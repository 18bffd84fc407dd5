/// Statistics of a stream of numbers, and its percentiles from a sample of bounded size.
///
/// Mean and deviation by Welford's method. The sample is a reservoir: once `limit` values are there, a further one takes
/// the place of a random one, so that all values of the interval are equally likely to be in it.
public struct RunningStatistics: Sendable {
    public private(set) var count: Double = 0
    public private(set) var sum: Double = 0
    public private(set) var lower = Double.infinity
    public private(set) var upper = -Double.infinity
    public private(set) var mean: Double = 0
    private var squares: Double = 0
    private var seen: UInt64 = 0
    private var sample: [Double] = []
    private let limit: Int
    private var state: UInt64

    /// `seed` of the choice what stays in the sample.
    public init(limit: Int, seed: UInt64) {
        self.limit = max(1, limit)
        state = seed | 1
    }

    /// Adds a value that stands for `weight` events.
    public mutating func add(_ value: Double, weight: Double = 1) {
        count += weight
        sum += value * weight
        lower = min(lower, value)
        upper = max(upper, value)
        let before = value - mean
        mean += before * weight / count
        squares += weight * before * (value - mean)
        seen &+= 1
        if sample.count < limit {
            sample.append(value)
            return
        }
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let place = (state >> 11) % seen
        if place < UInt64(limit) { sample[Int(place)] = value }
    }

    /// Of all values, as of a whole population.
    public var deviation: Double { count > 0 ? max(0, squares / count).squareRoot() : 0 }

    /// The value below which `percent` of the values lie, 0 to 100; nil without a value.
    public func percentiles(_ percents: [Double]) -> [Double] {
        let sorted = sample.sorted()
        guard let last = sorted.last, let first = sorted.first else { return percents.map { _ in .nan } }
        return percents.map { percent in
            let rank = (percent / 100 * Double(sorted.count)).rounded(.down)
            guard rank > 0 else { return first }
            guard rank < Double(sorted.count) else { return last }
            return sorted[Int(rank)]
        }
    }

    /// The middle of the sample.
    public var median: Double {
        let sorted = sample.sorted()
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
