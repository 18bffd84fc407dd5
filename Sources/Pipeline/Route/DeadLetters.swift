/// The lines that no destination takes, kept for a person to look at.
///
/// Bounds: `bytesLimit` bytes of lines, the oldest go first; every one stays counted.
public struct DeadLetters: Sendable, Hashable {
    public struct Letter: Sendable, Hashable {
        public var line: [UInt8]
        public var reason: String
        /// The batch it came from.
        public var sequence: UInt64
        public var at: Timestamp

        public init(line: [UInt8], reason: String, sequence: UInt64, at: Timestamp) {
            self.line = line
            self.reason = reason
            self.sequence = sequence
            self.at = at
        }

        /// What the letter weighs against the limit: its bytes and an allowance for the rest.
        var cost: Int { line.count + reason.utf8.count + 64 }
    }

    public let bytesLimit: Int
    public private(set) var letters: [Letter] = []
    /// All that ever came, in the ring or not.
    public private(set) var total: UInt64 = 0
    private var bytes = 0

    public init(bytesLimit: Int = 4 << 20) { self.bytesLimit = max(0, bytesLimit) }

    public mutating func append(_ letter: Letter) {
        total = total.addingSaturated(1)
        guard letter.cost <= bytesLimit else { return }
        letters.append(letter)
        bytes += letter.cost
        var excess = 0
        while bytes > bytesLimit, excess < letters.count {
            bytes -= letters[excess].cost
            excess += 1
        }
        if excess > 0 { letters.removeFirst(excess) }
    }
}
