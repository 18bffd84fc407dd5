/// The 64 bytes at the start of a segment file, format version 1.
///
/// Shape (little-endian): `0` magic `GODWIT\x1a\n` · `8` version u16 · `10` header length u16 = 64 · `12` flags u32 = 0
/// · `16` first sequence u64 · `24` created, wall clock ns i64 · `32` instance id (16) · `48` salt u32 · `52` points
/// before the first record u64 · `60` CRC32C of 0..<60.
/// Why: the salt starts the checksums of all records, so bytes of an older file in a reused block never validate.
public struct SegmentHeader: Sendable, Hashable {
    public static let length = 64
    public static let version: UInt16 = 1
    static let magic: [UInt8] = Array("GODWIT".utf8) + [0x1a, 0x0a]

    /// Sequence of the first record, and points sealed before it.
    public var start: StreamPosition
    /// Information only: nothing is decided by it unless the segment lost its seal.
    public var created: Timestamp
    public var instance: InstanceID
    public var salt: UInt32

    public init(start: StreamPosition, created: Timestamp, instance: InstanceID, salt: UInt32) {
        self.start = start
        self.created = created
        self.instance = instance
        self.salt = salt
    }

    /// What the first bytes of a file are.
    public enum Verdict: Sendable, Hashable {
        case valid(SegmentHeader)
        /// Written by a later Godwit. Every version keeps the magic, the version at 8 and the checksum at 60.
        case newer(version: UInt16)
        case damaged
    }

    public var bytes: [UInt8] {
        var bytes = Self.magic
        bytes.reserveCapacity(Self.length)
        bytes.appendLittle(Self.version)
        bytes.appendLittle(UInt16(Self.length))
        bytes.appendLittle(UInt32(0))
        bytes.appendLittle(start.sequence)
        bytes.appendLittle(created.nanoseconds)
        bytes.append(contentsOf: instance.bytes)
        bytes.appendLittle(salt)
        bytes.appendLittle(start.points)
        bytes.appendLittle(CRC32C.checksum(bytes, seed: 0))
        return bytes
    }

    /// Judges the start of a file; fewer than 64 bytes are damage.
    public static func parse(_ bytes: [UInt8]) -> Verdict {
        guard bytes.count >= length, bytes.starts(with: magic) else { return .damaged }
        return bytes.withUnsafeBytes { bytes in
            guard CRC32C.checksum(bytes.part(0, 60), seed: 0) == bytes.little(60, UInt32.self) else { return .damaged }
            let version = bytes.little(8, UInt16.self)
            guard version == Self.version else { return .newer(version: version) }
            guard bytes.little(10, UInt16.self) == UInt16(length), bytes.little(16, UInt64.self) > 0 else {
                return .damaged
            }
            return .valid(
                SegmentHeader(
                    start: StreamPosition(sequence: bytes.little(16), points: bytes.little(52)),
                    created: Timestamp(nanoseconds: bytes.little(24)),
                    instance: InstanceID(bytes.part(32, 16)),
                    salt: bytes.little(48)))
        }
    }
}

/// 16 random bytes that tell one stream from every other: made with the first segment, kept in every segment and
/// cursor.
public struct InstanceID: Sendable, Hashable {
    public let bytes: [UInt8]

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = Array(bytes) }

    public init(random generator: inout some RandomNumberGenerator) {
        var bytes: [UInt8] = []
        bytes.appendLittle(generator.next() as UInt64)
        bytes.appendLittle(generator.next() as UInt64)
        self.bytes = bytes
    }
}
