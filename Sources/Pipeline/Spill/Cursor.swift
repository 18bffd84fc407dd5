/// What remembers a reader: its whole `PendingSet`, in 1024 bytes. `CursorSlots` is the file.
///
/// Shape (little-endian): `0` magic `GODWITC\n` · `8` version u16 = 1 · `10` length u16 = 1024 · `12` flags u32 (bit 0:
/// paused) · `16` instance id (16) · `32` written, wall clock ns i64 · `40` base u64 · `48` frontier sequence u64 ·
/// `56` frontier points u64 · `64` delivered u64 · `72` rejected u64 · `80` dropped by reason, 12 × u64 · `176` range
/// count u32 · `180` zero u32 · `184` ranges, 24 × (first sequence, end sequence, first point, end point: u64) · `952`
/// stream end sequence u64 · `960` stream end points u64 · `968` generation u64 · `976` zero · `1020` CRC32C of 0..<1020.
/// Why: a whole state with one checksum cannot be half new; a missing, short or damaged file only costs duplicates. The
/// stream's end at that moment makes a loss at the end of the data as countable as one in the middle.
public struct Cursor: Sendable, Hashable {
    public static let length = 1024
    static let magic: [UInt8] = Array("GODWITC\n".utf8)
    private static let dropSlots = 12

    public var instance: InstanceID
    public var written: Timestamp
    public var pending: PendingSet
    /// Everything before it had been sealed, and was synced (or acknowledged) when the cursor was written.
    public var end: StreamPosition
    /// Counts the writings into one file: of two valid slots the greater one is newer.
    public var generation: UInt64

    public init(
        instance: InstanceID, written: Timestamp, pending: PendingSet, end: StreamPosition, generation: UInt64 = 0
    ) {
        self.generation = generation
        self.instance = instance
        self.written = written
        self.pending = pending
        self.end = max(end, pending.frontier)
    }

    public var bytes: [UInt8] {
        var bytes = Self.magic
        bytes.reserveCapacity(Self.length)
        bytes.appendLittle(UInt16(1))
        bytes.appendLittle(UInt16(Self.length))
        bytes.appendLittle(UInt32(pending.isPaused ? 1 : 0))
        bytes.append(contentsOf: instance.bytes)
        bytes.appendLittle(written.nanoseconds)
        bytes.appendLittle(pending.base)
        bytes.appendLittle(pending.frontier.sequence)
        bytes.appendLittle(pending.frontier.points)
        bytes.appendLittle(pending.delivered)
        bytes.appendLittle(pending.rejected)
        for count in pending.dropped { bytes.appendLittle(count) }
        bytes.pad(to: 176)
        bytes.appendLittle(UInt32(clamping: pending.ranges.count))
        bytes.appendLittle(UInt32(0))
        for range in pending.ranges {
            bytes.appendLittle(range.start.sequence)
            bytes.appendLittle(range.end.sequence)
            bytes.appendLittle(range.start.points)
            bytes.appendLittle(range.end.points)
        }
        bytes.pad(to: 952)
        bytes.appendLittle(end.sequence)
        bytes.appendLittle(end.points)
        bytes.appendLittle(generation)
        bytes.pad(to: Self.length - 4)
        bytes.appendLittle(CRC32C.checksum(bytes, seed: 0))
        return bytes
    }

    /// Reads one slot; nil when it is short, damaged, of another version, or contradicts itself.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length, bytes.starts(with: Self.magic) else { return nil }
        let parsed: Cursor? = bytes.withUnsafeBytes { bytes in
            guard CRC32C.checksum(bytes.part(0, 1020), seed: 0) == bytes.little(1020, UInt32.self),
                bytes.little(8, UInt16.self) == 1, bytes.little(10, UInt16.self) == UInt16(Self.length)
            else { return nil }
            let rangeCount = Int(bytes.little(176, UInt32.self))
            guard rangeCount <= PendingSet.capacity else { return nil }
            let ranges = (0..<rangeCount).map { index in
                let at = 184 + index * 32
                return StreamSpan(
                    StreamPosition(sequence: bytes.little(at), points: bytes.little(at + 16)),
                    StreamPosition(sequence: bytes.little(at + 8), points: bytes.little(at + 24)))
            }
            let pending = PendingSet(
                base: bytes.little(40),
                frontier: StreamPosition(sequence: bytes.little(48), points: bytes.little(56)),
                ranges: ranges, delivered: bytes.little(64), rejected: bytes.little(72),
                dropped: DropReason.allCases.indices.map { bytes.little(80 + $0 * 8) },
                isPaused: bytes.little(12, UInt32.self) & 1 == 1)
            let end = StreamPosition(sequence: bytes.little(952), points: bytes.little(960))
            guard let pending, pending.frontier.sequence > 0, pending.frontier.sequence <= end.sequence,
                pending.frontier.points <= end.points
            else { return nil }
            return Cursor(
                instance: InstanceID(bytes.part(16, 16)), written: Timestamp(nanoseconds: bytes.little(32)),
                pending: pending, end: end, generation: bytes.little(968))
        }
        guard let parsed else { return nil }
        self = parsed
    }
}
