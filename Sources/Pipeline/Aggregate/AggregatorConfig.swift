/// One `[[aggregators.…]]`, compiled.
public struct AggregatorConfig: Sendable, Hashable {
    /// Stable across reloads, as for inputs.
    public var id: String
    public var plugin: String
    /// Length of a window.
    public var period: Duration
    /// How long after the end of a window its points are waited for.
    public var delay: Duration
    /// How old a point may be that comes after the window it belongs to.
    public var grace: Duration
    /// Whether the points that it sees go no further.
    public var dropsOriginal: Bool
    /// The series that it can hold.
    public var seriesLimit: Int
    /// Which points it sees, with which tags and fields; and names and tags for what it makes.
    public var metric: MetricOptions
    public var rule: AggregatorRule
    /// What the file sets, one line an option, for the fingerprint of the configuration.
    public var lines: [String]

    public init(
        id: String, plugin: String, period: Duration = .seconds(30), delay: Duration = .milliseconds(100),
        grace: Duration = .zero, dropsOriginal: Bool = false, seriesLimit: Int = 10_000,
        metric: MetricOptions = MetricOptions(), rule: AggregatorRule, lines: [String] = []
    ) {
        self.id = id
        self.plugin = plugin
        self.period = period
        self.delay = delay
        self.grace = grace
        self.dropsOriginal = dropsOriginal
        self.seriesLimit = seriesLimit
        self.metric = metric
        self.rule = rule
        self.lines = lines
    }
}

/// What an aggregator makes of the points of a window.
public enum AggregatorRule: Sendable, Hashable {
    case basicStats(Set<BasicStat>)
    case minMax
    /// nil: the last point of every window, instead of the last one before a silence of this length.
    case final(silence: Duration?, keepsNames: Bool)
    /// Times are rounded to the nearest multiple; 0 leaves them.
    case merge(precision: Duration)
}

/// A field of `[[aggregators.basicstats]]`: the suffix behind the name of the field.
public enum BasicStat: String, Sendable, Hashable, CaseIterable {
    case count, min, max, mean, s2, stdev, sum, diff, rate, interval, last, first
    case nonNegativeDiff = "non_negative_diff"
    case nonNegativeRate = "non_negative_rate"
    case percentChange = "percent_change"
}
