/// The 48 bytes before the payload of a record.
///
/// Shape (little-endian): `0` magic u32 0x4b424447 · `4` payload length u32, at most 4 MiB · `8` sequence u64 · `16`
/// newest point time i64 ns · `24` point count u32 · `28` kind u8 (1 batch, 255 seal) · `29` codec u8 (0 none, 1 gzip)
/// · `30` zero u16 · `32` points before it u64 · `40` CRC32C of the payload · `44` CRC32C of 0..<44. Both checksums
/// start from the segment's salt. Payload and zero padding to a multiple of 8 follow.
///
/// Why: the length has a checksum of its own, so a flipped payload bit costs one record and no garbage length is ever
/// followed; points before the record make the points lost in any gap exact. A seal ends a rolled segment: its sequence
/// is that of the next record to come, its time the newest of the segment.
public struct RecordHeader: Sendable, Hashable {
    public static let length = 48
    public static let payloadLimit = 4 * 1024 * 1024
    static let magic: UInt32 = 0x4b42_4447

    public enum Kind: UInt8, Sendable, Hashable {
        case batch = 1
        case seal = 255
    }

    public var payloadLength: Int
    public var start: StreamPosition
    public var newest: Timestamp
    public var pointCount: UInt32
    public var kind: Kind
    public var codec: PayloadCodec
    public var payloadChecksum: UInt32

    /// Bytes from the start of this record to the next.
    public var recordLength: Int { Self.recordLength(payload: payloadLength) }

    public static func recordLength(payload: Int) -> Int { length + (payload + 7) & ~7 }

    /// The stretch of the stream that the record fills; empty for a seal.
    public var span: StreamSpan {
        guard kind == .batch else { return StreamSpan(start, start) }
        return StreamSpan(
            start,
            StreamPosition(
                sequence: start.sequence.addingSaturated(1), points: start.points.addingSaturated(UInt64(pointCount))))
    }

    init(
        payloadLength: Int, start: StreamPosition, newest: Timestamp, pointCount: UInt32, kind: Kind,
        codec: PayloadCodec, payloadChecksum: UInt32
    ) {
        self.payloadLength = payloadLength
        self.start = start
        self.newest = newest
        self.pointCount = pointCount
        self.kind = kind
        self.codec = codec
        self.payloadChecksum = payloadChecksum
    }

    /// The header of the record for `batch`; nil when no record can hold it.
    public init?(_ batch: Batch, at start: StreamPosition, salt: UInt32) {
        guard batch.payload.count <= Self.payloadLimit, let count = UInt32(exactly: batch.pointCount) else {
            return nil
        }
        self.init(
            payloadLength: batch.payload.count, start: start, newest: batch.newest, pointCount: count, kind: .batch,
            codec: batch.codec, payloadChecksum: CRC32C.checksum(batch.payload, seed: salt))
    }

    /// The record that ends a rolled segment.
    public static func seal(at end: StreamPosition, newest: Timestamp, salt: UInt32) -> RecordHeader {
        RecordHeader(
            payloadLength: 0, start: end, newest: newest, pointCount: 0, kind: .seal, codec: .identity,
            payloadChecksum: salt)
    }

    public func bytes(salt: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.length)
        bytes.appendLittle(Self.magic)
        bytes.appendLittle(UInt32(clamping: payloadLength))
        bytes.appendLittle(start.sequence)
        bytes.appendLittle(newest.nanoseconds)
        bytes.appendLittle(pointCount)
        bytes.append(kind.rawValue)
        bytes.append(codec.rawValue)
        bytes.appendLittle(UInt16(0))
        bytes.appendLittle(start.points)
        bytes.appendLittle(payloadChecksum)
        bytes.appendLittle(CRC32C.checksum(bytes, seed: salt))
        return bytes
    }

    /// The seal in the last bytes of a segment; nil when they are anything else.
    public static func seal(in bytes: [UInt8], salt: UInt32) -> RecordHeader? {
        guard let header = bytes.withUnsafeBytes({ RecordHeader($0, salt: salt) }), header.kind == .seal else {
            return nil
        }
        return header
    }

    /// The header at the start of `bytes`; nil when they are anything else, or of another segment (salt).
    init?(_ bytes: UnsafeRawBufferPointer, salt: UInt32) {
        guard bytes.count >= Self.length, bytes.little(0, UInt32.self) == Self.magic,
            CRC32C.checksum(bytes.part(0, 44), seed: salt) == bytes.little(44, UInt32.self)
        else { return nil }
        let length = Int(bytes.little(4, UInt32.self))
        guard length <= Self.payloadLimit, let kind = Kind(rawValue: bytes[28]),
            let codec = PayloadCodec(rawValue: bytes[29])
        else { return nil }
        self.init(
            payloadLength: length, start: StreamPosition(sequence: bytes.little(8), points: bytes.little(32)),
            newest: Timestamp(nanoseconds: bytes.little(16)), pointCount: bytes.little(24), kind: kind, codec: codec,
            payloadChecksum: bytes.little(40))
    }
}
