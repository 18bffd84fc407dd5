/// How the payload of a batch is stored and sent. The raw values stand in spill records.
public enum PayloadCodec: UInt8, Sendable, Hashable {
    /// Line protocol as it is.
    case identity = 0
    /// One gzip member, as `Content-Encoding: gzip` wants it.
    case gzip = 1
}

/// A sealed, immutable group of points: encoded once, compressed once, and from then on the very bytes that are
/// written to disk, sent, and sent again.
public struct Batch: Sendable, Hashable {
    /// Number of points (lines) in the payload.
    public let pointCount: Int
    /// Time of the newest point.
    public let newest: Timestamp
    public let codec: PayloadCodec
    public let payload: [UInt8]

    public init(pointCount: Int, newest: Timestamp, codec: PayloadCodec, payload: [UInt8]) {
        self.pointCount = pointCount
        self.newest = newest
        self.codec = codec
        self.payload = payload
    }

    /// Bytes of line protocol before compression: for gzip what the member's trailer says (RFC 1952, 2.3.1).
    ///
    /// Why: parts of a batch compress worse than the whole, so only uncompressed sizes compare.
    public var textByteCount: Int {
        guard codec == .gzip else { return payload.count }
        guard payload.count >= 18 else { return payload.count }
        return payload.suffix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    }
}
