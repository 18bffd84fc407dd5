/// CRC32C (Castagnoli, reflected polynomial 0x82f63b78), the checksum of everything in the spill.
///
/// The known answer that pins it: the nine bytes `123456789` with seed 0 give `e3069283`.
/// Cost: eight bytes a step by eight tables of 256 words (8 KiB), far above the budget of 500 MB/s a core. The
/// instruction of SSE 4.2 is out of reach without logic in C.
public enum CRC32C {
    /// The checksum of `bytes`, continued from `seed` (0 starts anew; a former result continues it).
    public static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt32 {
        table.withUnsafeBufferPointer { table in
            guard let table = table.baseAddress, let base = bytes.baseAddress else { return seed }
            var crc = ~seed
            var offset = 0
            let count = bytes.count
            // Wrapping offsets: they stay below `count`, and the checked form costs a tenth of the rate.
            while count &- offset >= 8 {
                let word = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian
                let low = UInt32(truncatingIfNeeded: word) ^ crc
                let high = UInt32(truncatingIfNeeded: word >> 32)
                let near =
                    table[1792 &+ Int(low & 0xff)] ^ table[1536 &+ Int((low >> 8) & 0xff)]
                    ^ table[1280 &+ Int((low >> 16) & 0xff)] ^ table[1024 &+ Int(low >> 24)]
                let far =
                    table[768 &+ Int(high & 0xff)] ^ table[512 &+ Int((high >> 8) & 0xff)]
                    ^ table[256 &+ Int((high >> 16) & 0xff)] ^ table[Int(high >> 24)]
                crc = near ^ far
                offset = offset &+ 8
            }
            while offset < count {
                let byte = base.load(fromByteOffset: offset, as: UInt8.self)
                crc = table[Int((crc ^ UInt32(byte)) & 0xff)] ^ (crc >> 8)
                offset = offset &+ 1
            }
            return ~crc
        }
    }

    /// The checksum of an array, see above.
    public static func checksum(_ bytes: [UInt8], seed: UInt32) -> UInt32 {
        bytes.withUnsafeBytes { checksum($0, seed: seed) }
    }

    /// Eight tables one after the other: table k gives the effect of a byte that is followed by k zero bytes.
    private static let table: [UInt32] = {
        var table = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82f6_3b78 : crc >> 1 }
            table[byte] = crc
        }
        for index in 256..<(8 * 256) {
            let previous = table[index - 256]
            table[index] = (previous >> 8) ^ table[Int(previous & 0xff)]
        }
        return table
    }()
}
