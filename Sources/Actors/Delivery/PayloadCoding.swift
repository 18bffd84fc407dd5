import Pipeline

/// Opens and closes payloads: only for what must be cut or written as text, never for a batch that is sent whole.
enum PayloadCoding {
    /// More never comes out of one payload: an eighth of it is many times the largest batch.
    private static let inflatedLimit = 64 << 20

    /// The line protocol inside; nil when the payload is damaged.
    static func lines(of batch: Batch) -> [UInt8]? {
        switch batch.codec {
        case .identity: batch.payload
        case .gzip: try? Gzip.inflate(batch.payload, limit: inflatedLimit)
        }
    }

    /// A batch of some lines of another one, in the same coding.
    static func part(_ lines: ArraySlice<UInt8>, count: Int, of batch: Batch) -> Batch {
        let plain = Array(lines)
        if batch.codec == .gzip, let payload = GzipCompressor().compress(plain) {
            return Batch(pointCount: count, newest: batch.newest, codec: .gzip, payload: payload)
        }
        return Batch(pointCount: count, newest: batch.newest, codec: .identity, payload: plain)
    }
}
