/// What one reader of a stream still has to send, and what became of the rest. A pure value: the spill log performs,
/// this decides.
///
/// Everything beyond `frontier` is pending (the live lane); below it at most a few `ranges` are (the replay lane,
/// oldest first). A batch that failed live joins the ranges by `demote`.
///
/// Invariant, by construction: sealed == delivered + rejected + Σ dropped + pending, where sealed is what the stream
/// sealed since `base`. Points leave the pending part only through `cut`, whose result is counted in the same step.
/// Bounds: 8 ranges by demotion, 16 by losses in the middle, 24 in the cursor file.
public struct PendingSet: Sendable, Hashable {
    /// Ranges that `demote` may make; beyond it the reader stays in order.
    public static let demotedLimit = 8
    /// Ranges that a loss or a late acknowledgement in the middle may make.
    public static let splitLimit = 16
    /// Ranges that a cursor file holds.
    public static let capacity = 24

    /// Points of the stream that were never this reader's: sealed before it came, or while it was paused.
    public private(set) var base: UInt64
    public private(set) var frontier: StreamPosition
    public private(set) var ranges: [StreamSpan]
    public private(set) var delivered: UInt64
    public private(set) var rejected: UInt64
    /// By `DropReason.index`.
    public private(set) var dropped: [UInt64]
    /// No longer configured: what is pending stays, new points are not its own.
    public private(set) var isPaused: Bool

    /// A reader that begins at `position`.
    public init(from position: StreamPosition) {
        base = position.points
        frontier = position
        ranges = []
        delivered = 0
        rejected = 0
        dropped = Array(repeating: 0, count: DropReason.allCases.count)
        isPaused = false
    }

    /// A reader as a cursor file has it; nil when the parts contradict each other.
    init?(
        base: UInt64, frontier: StreamPosition, ranges: [StreamSpan], delivered: UInt64, rejected: UInt64,
        dropped: [UInt64], isPaused: Bool
    ) {
        guard ranges.count <= Self.capacity, dropped.count == DropReason.allCases.count else { return nil }
        var before = StreamPosition(sequence: 0, points: 0)
        for range in ranges {
            guard !range.isEmpty, before.sequence <= range.start.sequence, before.points <= range.start.points,
                range.start.points <= range.end.points
            else { return nil }
            before = range.end
        }
        guard before.sequence <= frontier.sequence, before.points <= frontier.points, base <= frontier.points else {
            return nil
        }
        let spent = dropped.reduce(delivered.addingSaturated(rejected)) { $0.addingSaturated($1) }
        let pending = ranges.reduce(UInt64(0)) { $0.addingSaturated($1.points) }
        guard spent.addingSaturated(pending) == frontier.points - base else { return nil }
        self.base = base
        self.frontier = frontier
        self.ranges = ranges
        self.delivered = delivered
        self.rejected = rejected
        self.dropped = dropped
        self.isPaused = isPaused
    }

    // MARK: Reading

    /// Pending beyond the frontier of a stream that ends at `end`.
    public func live(end: StreamPosition) -> StreamSpan {
        StreamSpan(frontier, isPaused || end < frontier ? frontier : end)
    }

    /// The stretch whose first record is next in `lane`; nil when nothing is.
    public func next(_ lane: Lane, end: StreamPosition, isStrict: Bool) -> StreamSpan? {
        switch lane {
        case .replay: return ranges.first
        case .live:
            let live = live(end: end)
            return live.isEmpty || (isStrict && !ranges.isEmpty) ? nil : live
        }
    }

    /// Whether some of `span` is pending.
    public func overlaps(_ span: StreamSpan, end: StreamPosition) -> Bool {
        live(end: end).overlaps(span) || ranges.contains { $0.overlaps(span) }
    }

    /// Batches below the frontier, counted by sequence numbers.
    public var backlogBatches: UInt64 { ranges.reduce(0) { $0.addingSaturated($1.batches) } }
    public var backlogPoints: UInt64 { ranges.reduce(0) { $0.addingSaturated($1.points) } }

    public func balance(end: StreamPosition) -> Balance {
        let live = live(end: end)
        var reasons: [DropReason: UInt64] = [:]
        for reason in DropReason.allCases where dropped[reason.index] > 0 { reasons[reason] = dropped[reason.index] }
        return Balance(
            sealed: live.end.points.subtractingSaturated(base), delivered: delivered, rejected: rejected,
            dropped: reasons, pending: backlogPoints.addingSaturated(live.points))
    }

    // MARK: Events

    /// The record that fills `span` was taken by a destination. Counts that do not add up to its points are made to:
    /// what is missing is `undeliverable`. False (and nothing changed) when it is not pending, or cutting it out of
    /// the middle would need too many ranges: then it is sent once more.
    @discardableResult
    public mutating func acknowledge(
        _ span: StreamSpan, delivered: UInt64, rejected: UInt64, end: StreamPosition
    ) -> Bool {
        guard let points = cut(span, end: end), points.count else { return false }
        let taken = min(delivered, points.removed)
        let refused = min(rejected, points.removed - taken)
        self.delivered = self.delivered.addingSaturated(taken)
        self.rejected = self.rejected.addingSaturated(refused)
        count(points.removed - taken - refused, .undeliverable)
        return true
    }

    /// Whatever of `span` is pending is lost. Returns the points counted.
    @discardableResult
    public mutating func drop(_ span: StreamSpan, _ reason: DropReason, end: StreamPosition) -> UInt64 {
        guard let points = cut(span, end: end) else { return 0 }
        count(points.removed, reason)
        return points.removed
    }

    /// What is beyond the frontier joins the backlog. False when too many ranges are in use: the reader stays in order.
    @discardableResult
    public mutating func demote(end: StreamPosition) -> Bool { retreat(end: end, limit: Self.demotedLimit) }

    /// The reader is no longer configured: it keeps what is pending and takes no more.
    public mutating func pause(end: StreamPosition) {
        guard !isPaused, retreat(end: end, limit: Self.capacity) else { return }
        isPaused = true
    }

    /// The reader is configured again: what was sealed meanwhile is not its own.
    public mutating func resume(end: StreamPosition) {
        guard isPaused else { return }
        base = base.addingSaturated(StreamSpan(frontier, end).points)
        frontier = max(frontier, end)
        isPaused = false
    }

    /// Takes over what happened in a stream of its own (while the disk could not be opened), once that stream is known
    /// to follow this one, which ends at `end`. All positions of `later` move behind it.
    public mutating func append(_ later: PendingSet, shiftedBy end: StreamPosition, end own: StreamPosition) {
        guard !isPaused, retreat(end: own, limit: Self.capacity) else { return }
        let moved = later.ranges.map { StreamSpan($0.start.moved(behind: end), $0.end.moved(behind: end)) }
        // Too many parts: all of it stays live, sent once more rather than lost.
        guard ranges.count + moved.count <= Self.capacity else { return }
        ranges.append(contentsOf: moved)
        frontier = later.frontier.moved(behind: end)
        delivered = delivered.addingSaturated(later.delivered)
        rejected = rejected.addingSaturated(later.rejected)
        for index in dropped.indices { dropped[index] = dropped[index].addingSaturated(later.dropped[index]) }
        base = base.addingSaturated(later.base)
        isPaused = later.isPaused
    }

    // MARK: The one way out

    private mutating func count(_ points: UInt64, _ reason: DropReason) {
        dropped[reason.index] = dropped[reason.index].addingSaturated(points)
    }

    private mutating func retreat(end: StreamPosition, limit: Int) -> Bool {
        let live = live(end: end)
        guard !live.isEmpty else { return true }
        if let last = ranges.indices.last, ranges[last].end == live.start {
            ranges[last].end = live.end
        } else {
            guard ranges.count < limit else { return false }
            ranges.append(live)
        }
        frontier = live.end
        return true
    }

    /// Takes `span` out of what is pending. `removed` is what the pending points shrank by, even where positions
    /// disagree, so the invariant cannot break; `count` tells whether anything was there. Nil: too many ranges.
    private mutating func cut(_ span: StreamSpan, end: StreamPosition) -> (removed: UInt64, count: Bool)? {
        let live = live(end: end)
        let before = backlogPoints.addingSaturated(live.points)
        var kept: [StreamSpan] = []
        var isHit = false
        for range in ranges {
            guard range.overlaps(span) else {
                kept.append(range)
                continue
            }
            isHit = true
            kept.append(contentsOf: Self.pieces(of: range, without: span))
        }
        var newFrontier = frontier
        if live.overlaps(span) {
            isHit = true
            if span.start.sequence > live.start.sequence { kept.append(StreamSpan(live.start, span.start)) }
            newFrontier = span.end.sequence < live.end.sequence ? max(span.end, frontier) : live.end
        }
        guard isHit else { return (0, false) }
        guard kept.count <= max(Self.splitLimit, ranges.count) else { return nil }
        ranges = kept
        frontier = newFrontier
        let after = backlogPoints.addingSaturated(self.live(end: end).points)
        return (before.subtractingSaturated(after), true)
    }

    private static func pieces(of range: StreamSpan, without span: StreamSpan) -> [StreamSpan] {
        var pieces: [StreamSpan] = []
        if span.start.sequence > range.start.sequence { pieces.append(StreamSpan(range.start, span.start)) }
        if span.end.sequence < range.end.sequence { pieces.append(StreamSpan(span.end, range.end)) }
        return pieces
    }
}
