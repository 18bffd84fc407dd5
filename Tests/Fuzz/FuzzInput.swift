import Pipeline

/// The bytes that libFuzzer hands over, read from the front as a target needs them.
struct FuzzInput {
    private(set) var rest: ArraySlice<UInt8>

    init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        rest = Array(UnsafeBufferPointer(start: start, count: start == nil ? 0 : count))[...]
    }

    /// The next byte; 0 behind the end.
    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    /// The next eight bytes as a number; zeros behind the end.
    mutating func number() -> UInt64 { (0..<8).reduce(0) { value, _ in value << 8 | UInt64(byte()) } }

    /// A text of a length given by its first byte; invalid UTF-8 is replaced.
    mutating func text() -> String { String(decoding: bytes(Int(byte())), as: UTF8.self) }

    mutating func bytes(_ count: Int) -> [UInt8] {
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// All that is left.
    var all: [UInt8] { Array(rest) }
}
