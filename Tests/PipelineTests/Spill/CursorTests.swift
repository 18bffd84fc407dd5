import Testing

@testable import Pipeline

@Suite("cursor") struct CursorTests {
    static func sample() -> Cursor {
        var random = SpillSeed(9)
        let end = StreamPosition(sequence: 1000, points: 5000)
        var pending = PendingSet(from: StreamPosition(sequence: 10, points: 50))
        pending.acknowledge(span(20, 30), delivered: 40, rejected: 5, end: end)
        pending.acknowledge(span(40, 60), delivered: 100, rejected: 0, end: end)
        pending.drop(span(100, 110), .diskFull, end: end)
        return Cursor(
            instance: InstanceID(random: &random), written: Timestamp(nanoseconds: 77), pending: pending, end: end)
    }

    static func span(_ first: UInt64, _ last: UInt64) -> StreamSpan {
        StreamSpan(StreamPosition(sequence: first, points: first * 5), StreamPosition(sequence: last, points: last * 5))
    }

    @Test("a cursor survives its file")
    func roundTrip() {
        let cursor = Self.sample()
        #expect(cursor.pending.ranges.count == 3)
        #expect(cursor.bytes.count == Cursor.length && Cursor(cursor.bytes) == cursor)
    }

    @Test("cut at every byte or with any bit flipped it is no cursor")
    func damaged() {
        let bytes = Self.sample().bytes
        for length in bytes.indices { #expect(Cursor(Array(bytes.prefix(length))) == nil) }
        for index in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[index] ^= 1 << UInt8(bit)
                #expect(Cursor(flipped) == nil)
            }
        }
    }

    @Test("a cursor whose parts contradict each other is none")
    func contradiction() {
        var bytes = Self.sample().bytes
        bytes[64] ^= 1
        let sum = CRC32C.checksum(Array(bytes.prefix(1020)), seed: 0)
        bytes.replaceSubrange(1020..<1024, with: (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) })
        #expect(Cursor(bytes) == nil)
    }

    @Test("of two slots the newer valid one counts, whichever is torn")
    func slots() {
        var newer = Self.sample()
        newer.generation = 1
        var bytes = CursorSlots.file(Self.sample())
        #expect(bytes.count == CursorSlots.length && CursorSlots.newest(bytes) == Self.sample())
        let offset = CursorSlots.offset(1)
        bytes.replaceSubrange(offset..<offset + Cursor.length, with: newer.bytes)
        #expect(CursorSlots.newest(bytes) == newer)
        for torn in [offset + 600, 600] {
            var damaged = bytes
            damaged[torn] ^= 1
            #expect(CursorSlots.newest(damaged) == (torn == 600 ? newer : Self.sample()))
            damaged[torn == 600 ? offset + 600 : 600] ^= 1
            #expect(CursorSlots.newest(damaged) == nil)
        }
    }

    @Test("a file of an earlier version is its first slot; any other length is none")
    func lengths() {
        #expect(CursorSlots.newest(Self.sample().bytes) == Self.sample())
        let whole = CursorSlots.file(Self.sample())
        for length in 0..<whole.count where length != Cursor.length {
            #expect(CursorSlots.newest(Array(whole.prefix(length))) == nil)
        }
        #expect(CursorSlots.newest(whole + [0]) == nil)
    }
}
