/// How many durations were how long, for the exposition format.
public struct DurationHistogram: Sendable, Hashable {
    /// From a hand-out within one machine to the longest scrape that is common, in seconds.
    public static let bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

    /// One for each bound, and one for what is longer.
    private(set) var counts = [Int](repeating: 0, count: DurationHistogram.bounds.count + 1)
    private(set) var seconds = 0.0

    public init() {}

    public var count: Int { counts.reduce(0) { $0.addingSaturated($1) } }

    public mutating func add(_ duration: Duration) {
        let length = max(0, Double(duration.wholeNanoseconds) / 1e9)
        let index = DurationHistogram.bounds.firstIndex { length <= $0 } ?? DurationHistogram.bounds.count
        counts[index] = counts[index].addingSaturated(1)
        seconds += length
    }
}

extension PrometheusText {
    /// A family of one histogram without labels.
    mutating func histogram(_ name: String, _ help: String, _ histogram: DurationHistogram) {
        family(name, .histogram, help)
        var total = 0
        for (bound, count) in zip(DurationHistogram.bounds + [.infinity], histogram.counts) {
            total = total.addingSaturated(count)
            sample(
                rendered: "le=\"\(PrometheusText.number(bound))\"", String(total), name: "\(name)_bucket", time: nil)
        }
        sample(rendered: "", PrometheusText.number(histogram.seconds), name: "\(name)_sum", time: nil)
        sample(rendered: "", String(total), name: "\(name)_count", time: nil)
    }
}
