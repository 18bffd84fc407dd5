/// Drives a refused batch to its end: parts that are accepted, and single lines that nobody takes.
///
/// Shape: a stack of line ranges, first lines on top. A refused range is split in two; when its first half is accepted
/// the bad line must be in the second, which is then split without asking again. A single line is always asked for
/// itself before it is given up: a server that was wrong once gets a chance to take it.
/// Bounds: one bad line in n costs at most 2·log2(n) + 3 requests (27 for 5,000), any number of them at most 2n; the
/// stack holds log2(n) + parts ranges.
public struct BatchBisection: Sendable, Hashable {
    private struct Part: Sendable, Hashable {
        var lines: Range<Int>
        /// The second half of a refused range: bad for certain once the first half is accepted.
        var isSecondHalf = false
    }

    /// A line that nobody takes.
    public struct DeadLine: Sendable, Hashable {
        public var line: Int
        /// Too large even alone; otherwise refused for its content.
        public var isTooBig: Bool
        public var reason: String
    }

    private var stack: [Part] = []
    /// Lines that the destination took (or counted as rejected in `rejected`).
    public private(set) var settled = 0
    /// Lines that the destination counted as rejected inside accepted parts.
    public private(set) var rejected = 0
    public private(set) var deadLines: [DeadLine] = []
    /// Whether the destination took at least one part: it understands us, so what it refuses is really bad.
    public var hasAccepted: Bool { settled > 0 }

    /// For lines 0 to `lineCount`, cut into `parts` equal parts (more than 1 where a limit is known beforehand).
    public init(lineCount: Int, parts: Int = 1) {
        let count = max(0, lineCount)
        let parts = max(1, min(parts, count))
        for index in stride(from: parts - 1, through: 0, by: -1) where count > 0 {
            stack.append(Part(lines: (count * index / parts)..<(count * (index + 1) / parts)))
        }
    }

    /// The lines to send next; nil when every line is settled or dead.
    public var next: Range<Int>? { stack.last?.lines }

    public var isDone: Bool { stack.isEmpty }

    /// Lines that could be accepted still.
    public var pending: Int { stack.reduce(0) { $0 + $1.lines.count } }

    /// The range of `next` was taken, `rejected` lines of it counted as refused by the server.
    public mutating func accepted(rejected count: Int = 0) {
        guard let part = stack.popLast() else { return }
        settled += part.lines.count
        rejected += min(max(0, count), part.lines.count)
        // The first half was clean, so the second half must hold the bad line: split it without a request.
        guard let second = stack.last, second.isSecondHalf, second.lines.lowerBound == part.lines.upperBound,
            second.lines.count > 1
        else { return }
        stack.removeLast()
        split(second.lines)
    }

    /// The range of `next` was refused for its content.
    public mutating func refused(reason: String) { refuse(isTooBig: false, reason) }

    /// The range of `next` was refused for its size.
    public mutating func tooBig(reason: String) { refuse(isTooBig: true, reason) }

    private mutating func refuse(isTooBig: Bool, _ reason: String) {
        guard let part = stack.popLast() else { return }
        guard part.lines.count > 1 else {
            deadLines.append(DeadLine(line: part.lines.lowerBound, isTooBig: isTooBig, reason: reason))
            return
        }
        // The half behind a refused first half may be clean: whatever was concluded about it is open again.
        if let last = stack.indices.last { stack[last].isSecondHalf = false }
        split(part.lines, halvesMayBothPass: isTooBig)
    }

    /// `halvesMayBothPass`: for a matter of size the halves say nothing about each other.
    private mutating func split(_ lines: Range<Int>, halvesMayBothPass: Bool = false) {
        let middle = lines.lowerBound + lines.count / 2
        stack.append(Part(lines: middle..<lines.upperBound, isSecondHalf: !halvesMayBothPass))
        stack.append(Part(lines: lines.lowerBound..<middle))
    }
}

/// The largest request that a route takes, learned from its 413 replies and forgotten after an hour.
///
/// Units: bytes of line protocol before compression. Whether the server counts before or after, the ratio of the two
/// holds for one stream.
public struct LearnedLimit: Sendable, Hashable {
    public static let memory = Duration.seconds(3600)
    private var bytes: Int?
    private var until = Instant.zero

    public init() {}

    /// A request of so many bytes was too large.
    public mutating func refused(bytes size: Int, now: Instant) {
        let half = max(1, size / 2)
        bytes = min(limit(now: now) ?? half, half)
        until = now + Self.memory
    }

    /// A request of so many bytes was taken: the limit is not below it. One monstrous line must not cut all others.
    public mutating func accepted(bytes size: Int) {
        if let bytes, size > bytes { self.bytes = size }
    }

    /// The largest request that is worth a try at `now`; nil when nothing is known.
    public func limit(now: Instant) -> Int? { now < until ? bytes : nil }

    /// Whether a request of so many bytes is not worth a try. Half as much again as the limit still is: the limit is
    /// half of what was refused, and parts of equal line counts differ a little in bytes.
    public func excludes(_ size: Int, now: Instant) -> Bool {
        guard let limit = limit(now: now) else { return false }
        return size - limit > limit / 2
    }

    /// Into how many parts a payload of `size` bytes has to be cut.
    public func parts(for size: Int, now: Instant) -> Int {
        guard let limit = limit(now: now), size > limit else { return 1 }
        return min(4096, (size - 1) / limit + 1)
    }
}
