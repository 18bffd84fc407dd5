/// A place between two records of a stream: the sequence number of the record that follows, and how many points were
/// sealed before it. Both only grow, so the distance of two positions is the exact number of points between them,
/// even when the records are gone. That is what makes every loss countable.
public struct StreamPosition: Sendable, Hashable, Comparable {
    public var sequence: UInt64
    public var points: UInt64

    public init(sequence: UInt64, points: UInt64) {
        self.sequence = sequence
        self.points = points
    }

    /// Where every stream begins. Number 0 is never given to a record.
    public static let origin = StreamPosition(sequence: 1, points: 0)

    /// This place when everything before `other` comes first: positions counted from the origin, moved behind it.
    public func moved(behind other: StreamPosition) -> StreamPosition {
        StreamPosition(
            sequence: sequence.addingSaturated(other.sequence.subtractingSaturated(Self.origin.sequence)),
            points: points.addingSaturated(other.points))
    }

    public static func < (a: StreamPosition, b: StreamPosition) -> Bool {
        a.sequence != b.sequence ? a.sequence < b.sequence : a.points < b.points
    }
}

/// A stretch of a stream, `start` inside and `end` outside.
public struct StreamSpan: Sendable, Hashable {
    public var start: StreamPosition
    public var end: StreamPosition

    public init(_ start: StreamPosition, _ end: StreamPosition) {
        self.start = start
        self.end = end
    }

    /// Points in it.
    public var points: UInt64 { end.points > start.points ? end.points - start.points : 0 }
    /// Sequence numbers in it: the batches when none is missing.
    public var batches: UInt64 { end.sequence > start.sequence ? end.sequence - start.sequence : 0 }
    public var isEmpty: Bool { end.sequence <= start.sequence }

    /// Whether some sequence number is in both.
    public func overlaps(_ other: StreamSpan) -> Bool {
        start.sequence < other.end.sequence && other.start.sequence < end.sequence
    }
}
