/// Counts restarts inside a sliding period.
///
/// Bounds: keeps at most `intensity.count` moments.
public struct RestartWindow: Sendable, Hashable {
    public let intensity: RestartIntensity
    private var moments: [Instant] = []

    public init(_ intensity: RestartIntensity) { self.intensity = intensity }

    /// Notes one restart; true when it is one too many, that is when `intensity.count` others lie within the period.
    public mutating func record(at now: Instant) -> Bool {
        moments.removeAll { now - $0 >= intensity.period }
        guard moments.count < intensity.count else { return true }
        moments.append(now)
        return false
    }

    public mutating func reset() { moments.removeAll() }
}

/// The delay before a restart: exponential with full jitter.
///
/// | failures in a row | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | from 9 |
/// |---|---|---|---|---|---|---|---|---|---|
/// | delay at most, s | 0.2 | 0.4 | 0.8 | 1.6 | 3.2 | 6.4 | 12.8 | 25.6 | 30 |
///
/// Why: full jitter (anything from 0 to the limit) spreads a fleet that fails together; a fixed delay keeps it in step.
public struct RestartBackoff: Sendable, Hashable {
    public static let base = Duration.milliseconds(200)
    public static let limit = Duration.seconds(30)
    /// A child that ran this long is well: the next failure counts as the first.
    public static let stableAfter = Duration.seconds(60)

    private var failures = 0

    public init() {}

    /// The delay before the restart that follows a failure after `ranFor` of life.
    public mutating func next(ranFor: Duration, using random: inout some RandomNumberGenerator) -> Duration {
        if ranFor >= Self.stableAfter { failures = 0 }
        failures = min(failures + 1, 16)
        let limit = min(Self.limit, Self.base * (1 << (failures - 1)))
        return .nanoseconds(Int64.random(in: 0...limit.wholeNanoseconds, using: &random))
    }

    public mutating func reset() { failures = 0 }
}

/// How long a parked child waits for its next trial: 5 minutes, doubling to 1 hour.
public struct ParkSchedule: Sendable, Hashable {
    public static let first = Duration.seconds(300)
    public static let limit = Duration.seconds(3600)

    private var next = Self.first

    public init() {}

    public init(resumingAfter delay: Duration) { next = min(Self.limit, max(Self.first, delay * 2)) }

    /// The wait of this parking; the following one is twice as long.
    public mutating func take() -> Duration {
        defer { next = min(Self.limit, next * 2) }
        return next
    }

    public mutating func reset() { next = Self.first }
}
