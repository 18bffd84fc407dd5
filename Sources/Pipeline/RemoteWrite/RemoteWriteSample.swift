extension RemoteWriteEncoder.Sample {
    /// Behind its key and its own length, which is one byte: value (1) and time (2), 21 bytes at most.
    var size: Int { 10 + ByteWriter.size(varint: UInt64(bitPattern: milliseconds)) }

    func append(to out: inout ByteWriter) {
        out.append(run: 2, count: size)
        out.append(field: 1, fixed: value.bitPattern)
        out.append(field: 2, varint: UInt64(bitPattern: milliseconds))
    }
}

extension Int64 {
    /// These nanoseconds, rounded down also before 1970.
    var flooredMilliseconds: Int64 { self / 1_000_000 - (self % 1_000_000 < 0 ? 1 : 0) }
}

extension FieldKind {
    /// A cell as Prometheus keeps it; texts have none.
    func number(_ cell: UInt64) -> Double {
        switch self {
        case .int: Double(Int64(bitPattern: cell))
        case .uint, .bool: Double(cell)
        case .float: Double(bitPattern: cell)
        case .string: .nan
        }
    }
}
