/// The unit of the timestamps of foreign data.
public enum TimePrecision: String, Sendable, Hashable, CaseIterable {
    case nanoseconds, microseconds, milliseconds, seconds, minutes, hours

    /// As the `precision` parameter of a write names it; nil for another text. Empty means nanoseconds.
    public init?(parameter: String) {
        switch parameter {
        case "", "n", "ns": self = .nanoseconds
        case "u", "us", "\u{B5}", "\u{B5}s": self = .microseconds
        case "ms": self = .milliseconds
        case "s": self = .seconds
        case "m": self = .minutes
        case "h": self = .hours
        default: return nil
        }
    }

    /// The precision whose unit is this long; nil when there is none.
    public init?(unit: Duration) {
        guard let match = TimePrecision.allCases.first(where: { $0.factor == unit.wholeNanoseconds }) else {
            return nil
        }
        self = match
    }

    /// Units: nanoseconds.
    public var factor: Int64 {
        switch self {
        case .nanoseconds: 1
        case .microseconds: 1_000
        case .milliseconds: 1_000_000
        case .seconds: 1_000_000_000
        case .minutes: 60_000_000_000
        case .hours: 3_600_000_000_000
        }
    }
}
