/// A series of a page as it is written there, and where its value goes.
final class ScrapedSeries {
    let kind: ExpositionKind
    /// nil: a rule drops it.
    let series: Series?
    let field: Schema.Field
    /// For a point with this field alone.
    let schema: Schema
    /// Whether the value is one field of several.
    let isPart: Bool
    /// Of what it becomes: two ways to write one series have the same.
    fileprivate let identity: Int
    /// The number of the last page that had it.
    fileprivate var page: UInt64 = 0

    init(_ kind: ExpositionKind, _ series: Series?, _ field: Schema.Field, _ schema: Schema, isPart: Bool) {
        self.kind = kind
        self.series = series
        self.field = field
        self.schema = schema
        self.isPart = isPart
        var hasher = Hasher()
        hasher.combine(series?.measurement)
        hasher.combine(series?.tags)
        hasher.combine(field.key)
        identity = hasher.finalize()
    }
}

/// Which series the last page of a target had, so that those which went can be ended.
///
/// Bounds: a reference of 8 bytes for each series of the last page; `ScrapedSeries` has 16 more for this.
/// Cost: pages as a rule have their series in the order of the page before, so that a series costs a comparison; only
/// when one came or went the others behind it are noted anew.
struct SeriesPresence {
    private var last: [ScrapedSeries] = []
    /// How many of `last`, from its beginning, the page under way has had in this order.
    private var inOrder = 0
    /// What else the page under way has had.
    private var others: [ScrapedSeries] = []
    private var page: UInt64 = 1
    /// Series of the page under way that the one before did not have.
    private(set) var added = 0

    mutating func begin() {
        page &+= 1
        inOrder = 0
        others = []
        added = 0
    }

    @inline(__always)
    mutating func add(_ series: ScrapedSeries) {
        guard series.page != page else { return }
        if series.page &+ 1 != page { added &+= 1 }
        series.page = page
        if inOrder < last.count, last[inOrder] === series { inOrder &+= 1 } else { others.append(series) }
    }

    /// Ends the page. Returns the series that went, unless they are there in other words.
    mutating func finish() -> [ScrapedSeries] {
        guard inOrder < last.count || !others.isEmpty else { return [] }
        let gone = last[inOrder...].filter { $0.page != page }
        last.removeSubrange(inOrder...)
        last += others
        others = []
        guard !gone.isEmpty else { return [] }
        var missing = Set(gone.map(\.identity))
        for series in last { missing.remove(series.identity) }
        return gone.filter { missing.remove($0.identity) != nil }
    }

    /// Nothing is there any more. Returns what was.
    mutating func clear() -> [ScrapedSeries] {
        defer { last = [] }
        others = []
        page &+= 1
        var seen: Set<Int> = []
        return last.filter { seen.insert($0.identity).inserted }
    }
}
