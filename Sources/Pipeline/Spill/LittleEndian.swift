/// Fixed little-endian access, so that a backlog can be moved between machines of any byte order.
extension UnsafeRawBufferPointer {
    /// The integer at byte `offset`; the caller has checked that it lies inside.
    func little<Value: FixedWidthInteger>(_ offset: Int, _ type: Value.Type = Value.self) -> Value {
        precondition(offset >= 0 && offset &+ MemoryLayout<Value>.size <= count, "BUG: read beyond the bytes")
        return Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }

    /// The part at `offset` of `length` bytes; the caller has checked that it lies inside.
    func part(_ offset: Int, _ length: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self[offset..<(offset + length)])
    }
}

extension [UInt8] {
    /// Appends the bytes of `value`, lowest first.
    mutating func appendLittle(_ value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.littleEndian) { self.append(contentsOf: $0) }
    }

    /// Appends zeros until the array holds `length` bytes.
    mutating func pad(to length: Int) {
        while count < length { append(0) }
    }
}
