import Testing

@testable import Pipeline

@Suite("Snappy")
struct SnappyCompressorTests {
    private func roundTrip(_ input: [UInt8]) throws -> Int {
        var compressor = SnappyCompressor()
        let packed = compressor.compress(input)
        #expect(try SnappyText.decompressed(packed) == input)
        #expect(packed.count <= 32 + input.count + input.count / 6)
        return packed.count
    }

    @Test("what is compressed reads back, at every length around the limits of the format")
    func lengths() throws {
        let counts = [0, 1, 2, 15, 16, 17, 59, 60, 61, 62, 255, 256, 257, 4_096, 65_535, 65_536, 65_537, 200_000]
        for count in counts {
            _ = try roundTrip([UInt8](repeating: 7, count: count))
            _ = try roundTrip((0..<count).map { UInt8(truncatingIfNeeded: $0) })
            var random = SplitMix(seed: UInt64(count))
            _ = try roundTrip((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
            _ = try roundTrip((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next() % 3) })
        }
    }

    @Test("copies of every length, near and far")
    func copies() throws {
        var random = SplitMix(seed: 1)
        let noise = (0..<5_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        for length in 4...140 {
            for distance in [length, 300, 2_047, 2_048, 4_000] {
                let start = Array(noise.prefix(max(distance, length)))
                _ = try roundTrip(start + start.prefix(length) + noise.suffix(40))
            }
        }
    }

    @Test("text of repeated names shrinks to a part of itself")
    func shrinks() throws {
        let text = (0..<2_000).map { "godwit_metric_name_total{host=\"machine-\($0 % 50)\"} \($0)\n" }.joined()
        #expect(try roundTrip(Array(text.utf8)) < text.utf8.count / 3)
    }

    @Test("a short text is one literal, as the format's description shows it")
    func literal() {
        var compressor = SnappyCompressor()
        #expect(compressor.compress(Array("abc".utf8)) == [3, 2 << 2] + Array("abc".utf8))
        #expect(compressor.compress([]) == [0])
    }
}

/// Reads Snappy's block format, slowly and strictly.
enum SnappyText {
    struct Broken: Error {}

    static func decompressed(_ packed: [UInt8]) throws -> [UInt8] {
        var at = 0
        func byte() throws -> Int {
            guard at < packed.count else { throw Broken() }
            defer { at += 1 }
            return Int(packed[at])
        }
        func little(_ count: Int) throws -> Int {
            var value = 0
            for index in 0..<count { value |= try byte() << (8 * index) }
            return value
        }
        var length = 0
        var shift = 0
        while true {
            let next = try byte()
            length |= (next & 0x7F) << shift
            shift += 7
            if next < 0x80 { break }
        }
        var out: [UInt8] = []
        while at < packed.count {
            let tag = try byte()
            switch tag & 3 {
            case 0:
                var count = tag >> 2
                if count >= 60 { count = try little(count - 59) }
                for _ in 0...count { out.append(UInt8(try byte())) }
            case 1:
                let offset = try (tag >> 5) << 8 | byte()
                try copy((tag >> 2 & 7) + 4, offset, &out)
            default: try copy((tag >> 2) + 1, little(tag & 3 == 2 ? 2 : 4), &out)
            }
        }
        guard out.count == length else { throw Broken() }
        return out
    }

    private static func copy(_ count: Int, _ offset: Int, _ out: inout [UInt8]) throws {
        guard offset > 0, offset <= out.count else { throw Broken() }
        for _ in 0..<count { out.append(out[out.count - offset]) }
    }
}
