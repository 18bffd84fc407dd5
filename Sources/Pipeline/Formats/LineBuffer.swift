/// Cuts a stream of bytes into whole lines.
///
/// Bounds: `limit` bytes of a line that has not ended; a longer one is passed over up to its end, and told by
/// `takeOverlong`.
public struct LineBuffer: Sendable {
    private let limit: Int
    private var held: [UInt8] = []
    private var isPassing = false
    private var hasPassed = false

    public init(limit: Int) { self.limit = limit }

    /// Bytes that wait for the end of their line.
    public var count: Int { held.count }

    /// The whole lines that there are now, with their ends.
    public mutating func add(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes[...]
        if isPassing {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return [] }
            bytes = bytes[(end + 1)...]
            isPassing = false
        }
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else {
            held += bytes
            dropOverlong()
            return []
        }
        let lines = held + bytes[...end]
        held = Array(bytes[(end + 1)...])
        dropOverlong()
        return lines
    }

    private mutating func dropOverlong() {
        guard held.count > limit else { return }
        held = []
        isPassing = true
        hasPassed = true
    }

    /// What is left when no more comes.
    public mutating func rest() -> [UInt8] {
        defer { held = [] }
        return held
    }

    /// Whether a line was passed over since the last call.
    public mutating func takeOverlong() -> Bool {
        defer { hasPassed = false }
        return hasPassed
    }
}
