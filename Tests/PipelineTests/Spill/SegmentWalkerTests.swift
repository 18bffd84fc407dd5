import Testing

@testable import Pipeline

/// xorshift64*: a seed is a run.
struct SpillSeed: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }
}

/// A sealed segment of three records with payloads of 1, 16 and 29 bytes.
struct ThreeRecords {
    let header: SegmentHeader
    let batches: [Batch]
    var bytes: [UInt8]
    /// Offsets of the records, the seal, and the end.
    var offsets: [Int] = []

    init(seed: UInt64 = 1, salt: UInt32 = 0x1234_5678, sealed: Bool = true) {
        var random = SpillSeed(seed)
        header = SegmentHeader(
            start: StreamPosition(sequence: 7, points: 100), created: Timestamp(nanoseconds: 42),
            instance: InstanceID(random: &random), salt: salt)
        batches = [1, 16, 29].map { size in
            Batch(
                pointCount: size, newest: Timestamp(nanoseconds: Int64(size)), codec: .identity,
                payload: [UInt8](repeating: UInt8(size), count: size))
        }
        bytes = header.bytes
        var position = header.start
        for batch in batches {
            offsets.append(bytes.count)
            guard let record = RecordHeader(batch, at: position, salt: salt) else { continue }
            bytes += record.bytes(salt: salt) + batch.payload
            while bytes.count % 8 != 0 { bytes.append(0) }
            position = record.span.end
        }
        offsets.append(bytes.count)
        if sealed {
            bytes += RecordHeader.seal(at: position, newest: Timestamp(nanoseconds: 29), salt: salt).bytes(salt: salt)
        }
        offsets.append(bytes.count)
    }

    /// Sequences of the intact records.
    static func intact(_ bytes: [UInt8]) -> [UInt64]? {
        SegmentScan.scan(bytes)?.records.filter(\.isIntact).map(\.header.start.sequence)
    }
}

@Suite("segment walker") struct SegmentWalkerTests {
    let three = ThreeRecords()

    @Test("an undamaged segment gives all records, its seal and its end")
    func whole() throws {
        let scan = try #require(SegmentScan.scan(three.bytes))
        #expect(scan.records.map(\.offset) == Array(three.offsets.prefix(3)))
        #expect(scan.records.map { $0.header.start.points } == [100, 101, 117])
        #expect(scan.seal?.start == StreamPosition(sequence: 10, points: 146))
        #expect(scan.end == StreamPosition(sequence: 10, points: 146) && scan.tornAt == nil && scan.damaged.isEmpty)
    }

    @Test("cut at every byte, every record that is whole is kept")
    func everyCut() {
        for length in 0..<three.bytes.count {
            let cut = Array(three.bytes.prefix(length))
            guard length >= SegmentHeader.length else {
                #expect(SegmentScan.scan(cut) == nil)
                continue
            }
            let whole = (0..<3).filter {
                three.offsets[$0] + RecordHeader.length + three.batches[$0].payload.count <= length
            }
            #expect(ThreeRecords.intact(cut) == whole.map { UInt64($0) + 7 }, "cut at \(length)")
        }
    }

    @Test("one flipped bit loses exactly the record that it hits, in padding none")
    func everyBit() {
        for index in three.bytes.indices {
            for bit in 0..<8 {
                var bytes = three.bytes
                bytes[index] ^= 1 << UInt8(bit)
                guard index >= SegmentHeader.length else {
                    #expect(SegmentScan.scan(bytes) == nil, "bit \(bit) of byte \(index)")
                    continue
                }
                let hit = (0..<3).first { record in
                    let start = three.offsets[record]
                    return index >= start
                        && index < start + RecordHeader.length + three.batches[record].payload.count
                }
                let expected = [7, 8, 9].filter { hit.map { UInt64($0) + 7 } != $0 }
                #expect(ThreeRecords.intact(bytes) == expected, "bit \(bit) of byte \(index)")
            }
        }
    }

    @Test("bytes of an older generation behind a cut are never accepted")
    func olderGeneration() {
        let older = ThreeRecords(salt: 0x9999)
        for record in 0...3 {
            let mixed =
                Array(three.bytes.prefix(three.offsets[record])) + older.bytes.suffix(from: older.offsets[record])
            #expect(ThreeRecords.intact(mixed) == (0..<record).map { UInt64($0) + 7 })
        }
    }

    @Test("random damage never forges a record and never traps")
    func randomDamage() {
        var random = SpillSeed(3)
        for _ in 0..<5000 {
            var bytes = three.bytes
            for _ in 0..<Int.random(in: 1...12, using: &random) {
                let index = Int.random(in: SegmentHeader.length..<bytes.count, using: &random)
                bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { bytes.insert(contentsOf: bytes.prefix(24), at: 64) }
            for entry in SegmentScan.scan(bytes)?.records ?? [] where entry.isIntact {
                let number = Int(entry.header.start.sequence) - 7
                let payload = bytes[(entry.offset + RecordHeader.length)...].prefix(entry.header.payloadLength)
                #expect(Array(payload) == three.batches[number].payload)
            }
        }
    }

    @Test("random bytes never trap the scanner, the header or the cursor")
    func randomBytes() {
        var random = SpillSeed(4)
        for _ in 0..<3000 {
            let count = Int.random(in: 0...2048, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(SegmentScan.scan(bytes) == nil)
            _ = SegmentScan.scan(three.header.bytes + bytes)
            #expect(Cursor(bytes) == nil)
        }
    }

    @Test("a header of a later version is told from damage")
    func newer() {
        var bytes = three.header.bytes
        bytes[8] = 2
        #expect(SegmentHeader.parse(bytes) == .damaged)
        let sum = CRC32C.checksum(Array(bytes.prefix(60)), seed: 0)
        bytes.replaceSubrange(60..<64, with: (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) })
        #expect(SegmentHeader.parse(bytes) == .newer(version: 2))
    }
}
