/// Bounds the processor time of a session that carries nothing.
///
/// Why: a server may send messages without end that cost work and mean nothing (new keys again and again, messages to be
/// ignored, requests). Reading them a fiftieth of the time at most leaves the loop to the other sessions, and a server
/// that goes on like this is given up.
/// Bounds: a fiftieth of a processor after the first 50 ms; `isHopeless` after five rests in a row, which is twelve
/// seconds or more.
public struct BarrenWork: Sendable, Hashable {
    private static let share = 50
    private static let patience = Duration.milliseconds(50)
    private static let restsLimit = 5
    /// So long without a rest, and the earlier ones are forgotten.
    private static let memory = Duration.seconds(10)

    private var debt = Duration.zero
    private var last: Instant
    private var rests = 0
    private var restsUntil: Instant?

    public init(now: Instant) { last = now }

    public var isHopeless: Bool { rests >= BarrenWork.restsLimit }

    /// Notes a turn that took `spent` of processor time. Returns how long the session must be left alone now; nil when
    /// it may go on.
    /// - Parameter carried: whether the turn moved a byte of anybody's connection.
    public mutating func worked(_ spent: Duration, carried: Bool, now: Instant) -> Duration? {
        debt = max(.zero, debt - (now - last) / BarrenWork.share)
        last = now
        if carried {
            rests = 0
            return nil
        }
        debt += spent
        if let restsUntil, now - restsUntil > BarrenWork.memory { rests = 0 }
        guard debt > BarrenWork.patience else { return nil }
        rests += 1
        let rest = debt * BarrenWork.share
        restsUntil = now + rest
        return rest
    }
}
