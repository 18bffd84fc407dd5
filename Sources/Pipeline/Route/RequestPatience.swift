/// How long a request may take: a line may be slower, and a server busier, than the configured time allows for.
///
/// Shape: the configured time, twice it after every third time-out in a row (up to eight times), and what the payload
/// needs at the speed that the line is believed to have. That is 64 KiB a second at first, a quarter of it after a
/// time-out, 1 KiB at the least; a write that would have done with half the time at the next faster speed gives that
/// speed back. So a small request on a dead road fails as soon as ever, and a large one on a slow line comes through.
public struct RequestPatience: Sendable, Hashable {
    static let fastest = 64 * 1_024
    static let slowest = 1_024

    /// Believed bytes a second.
    public private(set) var speed = RequestPatience.fastest
    /// In a row.
    private var timeouts = 0

    public init() {}

    /// For a request with a payload of so many bytes.
    public func limit(bytes: Int, configured: Duration) -> Duration {
        configured * (1 << min(3, timeouts / 3)) + RequestPatience.transfer(bytes, speed)
    }

    /// A request was given up for its time.
    public mutating func timedOut() {
        timeouts = timeouts.addingSaturated(1)
        speed = max(Self.slowest, speed / 4)
    }

    /// A request with a payload of so many bytes was answered.
    public mutating func answered(bytes: Int, after elapsed: Duration, configured: Duration) {
        timeouts = 0
        let faster = min(Self.fastest, speed * 4)
        if elapsed < (configured + RequestPatience.transfer(bytes, faster)) / 2 { speed = faster }
    }

    private static func transfer(_ bytes: Int, _ speed: Int) -> Duration {
        .milliseconds(bytes.multipliedSaturated(by: 1_000) / speed)
    }
}
