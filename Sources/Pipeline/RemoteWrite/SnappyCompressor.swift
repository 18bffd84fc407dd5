/// Compresses into Snappy's block format, which remote write wants.
///
/// Shape: the length before compression as a varint, then literals and copies; a copy reaches back within its own block
/// of 64 KiB only.
/// Bounds: the result is at most 32 + n + n/6 bytes long; the table of places takes 32 KiB.
/// Why our own: the C++ library would bring the C++ runtime into every agent (2 MB resident) for this one message.
/// Source: the format description of google/snappy.
public struct SnappyCompressor {
    private static let blockBytes = 1 << 16
    private static let tableBits = 14
    /// A match is not looked for so near the end that a load of eight bytes could leave the block.
    private static let margin = 15

    private var table = [UInt16](repeating: 0, count: 1 << SnappyCompressor.tableBits)

    public init() {}

    public mutating func compress(_ input: [UInt8]) -> [UInt8] {
        var out = ByteWriter(capacity: 64 + input.count / 2)
        out.append(varint: UInt64(input.count))
        input.withUnsafeBytes { bytes in
            var start = 0
            while start < bytes.count {
                let end = min(bytes.count, start + Self.blockBytes)
                compress(block: UnsafeRawBufferPointer(rebasing: bytes[start..<end]), into: &out)
                start = end
            }
        }
        return out.bytes
    }

    private mutating func compress(block: UnsafeRawBufferPointer, into out: inout ByteWriter) {
        var literal = 0
        var at = 1
        // The farther no match was found, the fewer places are looked at: what cannot be compressed costs little.
        var step = 32
        for index in table.indices { table[index] = 0 }
        while at + Self.margin < block.count {
            let word = block.loadUnaligned(fromByteOffset: at, as: UInt32.self)
            let slot = Int((word &* 0x1E35_A7BD) >> UInt32(32 - Self.tableBits))
            let candidate = Int(table[slot])
            table[slot] = UInt16(truncatingIfNeeded: at)
            guard candidate < at, block.loadUnaligned(fromByteOffset: candidate, as: UInt32.self) == word else {
                at += step >> 5
                step += 1
                continue
            }
            let length = SnappyCompressor.matchLength(block, candidate, at)
            SnappyCompressor.append(literal: block[literal..<at], to: &out)
            SnappyCompressor.appendCopy(offset: at - candidate, length: length, to: &out)
            at += length
            literal = at
            step = 32
        }
        SnappyCompressor.append(literal: block[literal...], to: &out)
    }

    /// How many bytes at `at` are the same as those at `candidate`; four are known to be.
    private static func matchLength(_ block: UnsafeRawBufferPointer, _ candidate: Int, _ at: Int) -> Int {
        var length = 4
        while at + length + 8 <= block.count {
            let difference =
                block.loadUnaligned(fromByteOffset: candidate + length, as: UInt64.self)
                ^ block.loadUnaligned(fromByteOffset: at + length, as: UInt64.self)
            guard difference == 0 else { return length + UInt64(littleEndian: difference).trailingZeroBitCount / 8 }
            length += 8
        }
        while at + length < block.count, block[candidate + length] == block[at + length] { length += 1 }
        return length
    }

    private static func append(literal bytes: Slice<UnsafeRawBufferPointer>, to out: inout ByteWriter) {
        guard !bytes.isEmpty else { return }
        let last = bytes.count - 1
        switch last {
        case ..<60: out.append(UInt8(last << 2))
        case ..<256:
            out.append(60 << 2)
            out.append(UInt8(last))
        default:
            out.append(61 << 2)
            out.append(UInt8(truncatingIfNeeded: last))
            out.append(UInt8(truncatingIfNeeded: last >> 8))
        }
        UnsafeRawBufferPointer(rebasing: bytes).withMemoryRebound(to: UInt8.self) { out.append(contentsOf: $0) }
    }

    private static func appendCopy(offset: Int, length: Int, to out: inout ByteWriter) {
        var rest = length
        // A copy takes 64 bytes at most; what is left must be 4 at least.
        while rest >= 68 {
            appendLongCopy(offset, 64, to: &out)
            rest -= 64
        }
        if rest > 64 {
            appendLongCopy(offset, 60, to: &out)
            rest -= 60
        }
        if rest < 12, offset < 2_048 {
            out.append(UInt8((offset >> 8) << 5 | (rest - 4) << 2 | 1))
            out.append(UInt8(truncatingIfNeeded: offset))
        } else {
            appendLongCopy(offset, rest, to: &out)
        }
    }

    private static func appendLongCopy(_ offset: Int, _ length: Int, to out: inout ByteWriter) {
        out.append(UInt8((length - 1) << 2 | 2))
        out.append(UInt8(truncatingIfNeeded: offset))
        out.append(UInt8(truncatingIfNeeded: offset >> 8))
    }
}
