/// The few pieces of Protocol Buffers' wire format that remote write is made of.
///
/// Source: the encoding page of Protocol Buffers.
extension ByteWriter {
    /// Seven bits a byte, the lowest first.
    @inline(__always)
    mutating func append(varint value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(truncatingIfNeeded: rest))
    }

    /// The key of field `number` whose value is a run of `count` bytes, which must follow.
    @inline(__always)
    mutating func append(run number: UInt8, count: Int) {
        append(number << 3 | 2)
        append(varint: UInt64(count))
    }

    /// Field `number` with a varint.
    @inline(__always)
    mutating func append(field number: UInt8, varint value: UInt64) {
        append(number << 3)
        append(varint: value)
    }

    /// Field `number` with eight bytes.
    @inline(__always)
    mutating func append(field number: UInt8, fixed value: UInt64) {
        append(number << 3 | 1)
        reserve(8)
        for shift in 0..<UInt64(8) { append(UInt8(truncatingIfNeeded: value >> (shift * 8))) }
    }

    /// The bytes that `append(varint:)` takes.
    static func size(varint value: UInt64) -> Int { (64 - (value | 1).leadingZeroBitCount + 6) / 7 }
}
