/// What a family of metrics is, as a page declares it.
public enum ExpositionKind: String, Sendable, Hashable, CaseIterable {
    case counter, gauge, histogram, summary
    /// No declaration, `untyped` in text and `unknown` in OpenMetrics.
    case untyped
    case info
    case stateSet = "stateset"
    case gaugeHistogram = "gaugehistogram"

    /// By the word behind `# TYPE name`; nil for a word that no format knows.
    init?(word: String) {
        let lower = word.lowercased()
        if lower == "unknown" { self = .untyped } else { self.init(rawValue: lower) }
    }

    /// What is behind the family's name in the names of its samples.
    var suffixes: [StaticString] {
        switch self {
        case .counter: ExpositionKind.ofCounters
        case .histogram: ExpositionKind.ofHistograms
        case .gaugeHistogram: ExpositionKind.ofGaugeHistograms
        case .summary: ExpositionKind.ofSummaries
        case .info: ExpositionKind.ofInfo
        case .gauge, .untyped, .stateSet: []
        }
    }

    // Made once: they are looked at for every sample.
    private static let ofCounters: [StaticString] = ["_total", "_created"]
    private static let ofHistograms: [StaticString] = ["_bucket", "_sum", "_count", "_created"]
    private static let ofGaugeHistograms: [StaticString] = ["_bucket", "_gsum", "_gcount"]
    private static let ofSummaries: [StaticString] = ["_sum", "_count", "_created"]
    private static let ofInfo: [StaticString] = ["_info"]
}

/// Samples of one family that stand together on a page.
public struct ExpositionFamily: Sendable {
    public var name: String
    public var kind: ExpositionKind
    /// The help text; empty without one.
    public var help: String
    /// As OpenMetrics says it; empty without one.
    public var unit = ""
    public var samples: [ExpositionSample] = []
}

/// One line of a page, as places in its bytes: no text is made of it here.
public struct ExpositionSample: Sendable, Hashable {
    /// Name and labels as they are written.
    public var series: Range<Int>
    /// The name alone; of a quoted name what is between the quotes.
    public var name: Range<Int>
    /// What is between the braces; empty without labels.
    public var labels: Range<Int>
    public var value: Double
    /// Nanoseconds since 1970 as the page says; nil where it says nothing.
    public var time: Timestamp?
}

/// Why a line of a page was not taken. Never its content, which may be anything.
public struct ExpositionIssue: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with a line.
    public enum Reason: String, Sendable, Hashable, Error {
        case badName = "no name of a metric"
        case badLabel = "no name of a label"
        case noLabelValue = "a label without a quoted value"
        case badEscape = "an escape that there is not"
        case openLabels = "labels that are not closed"
        case afterLabel = "something other than a comma behind a label"
        case sameLabel = "a label that stands there twice"
        case tooManyLabels = "too many labels"
        case noText = "bytes that are no UTF-8"
        case noValue = "no value"
        case badValue = "a value that is no number"
        case badTime = "a timestamp that is no number"
        case badExemplar = "an exemplar that is not understood"
        case afterSample = "something behind the sample"
        case badType = "a type that there is not"
        case afterEnd = "something behind # EOF"
    }

    /// Counted from 1.
    public let line: Int
    public let reason: Reason

    public var description: String { "line \(line): \(reason.rawValue)" }
}
