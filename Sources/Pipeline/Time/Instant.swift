/// A moment of the monotonic clock. Rates, deadlines and schedules use it; it never jumps with the wall clock.
///
/// Units: nanoseconds since an arbitrary origin (CLOCK_MONOTONIC on Linux). Arithmetic saturates instead of trapping.
public struct Instant: Sendable, Hashable, Comparable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Instant(nanoseconds: 0)
    public static let distantFuture = Instant(nanoseconds: .max)

    public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    public static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: instant.nanoseconds.addingSaturated(duration.wholeNanoseconds))
    }

    public static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: instant.nanoseconds.subtractingSaturated(duration.wholeNanoseconds))
    }

    /// The distance from `earlier` to this moment; negative when `earlier` is later.
    public static func - (later: Instant, earlier: Instant) -> Duration {
        .nanoseconds(later.nanoseconds.subtractingSaturated(earlier.nanoseconds))
    }

    public static func += (instant: inout Instant, duration: Duration) { instant = instant + duration }
}

/// A moment of the wall clock, as points carry it. It may jump; nothing but timestamps and file ages is computed from it.
///
/// Units: nanoseconds since 1970-01-01T00:00:00Z, negative before.
public struct Timestamp: Sendable, Hashable, Comparable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    public static let zero = Timestamp(nanoseconds: 0)

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.nanoseconds < b.nanoseconds }

    public static func + (time: Timestamp, duration: Duration) -> Timestamp {
        Timestamp(nanoseconds: time.nanoseconds.addingSaturated(duration.wholeNanoseconds))
    }

    public static func - (later: Timestamp, earlier: Timestamp) -> Duration {
        .nanoseconds(later.nanoseconds.subtractingSaturated(earlier.nanoseconds))
    }

    /// Rounded to the nearest multiple of `precision`, halves up, as Telegraf does it; unchanged for a precision of 0.
    public func rounded(to precision: Duration) -> Timestamp {
        let step = precision.wholeNanoseconds
        guard step > 1 else { return self }
        let remainder = ((nanoseconds % step) + step) % step
        let down = nanoseconds.subtractingSaturated(remainder)
        return Timestamp(nanoseconds: remainder >= step - remainder ? down.addingSaturated(step) : down)
    }
}

extension Duration {
    /// This duration in nanoseconds, saturated at ±292 years.
    public var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (high, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return high.addingSaturated(attoseconds / 1_000_000_000)
    }

    /// This duration in seconds, for reports and ratios.
    public var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }
}

extension FixedWidthInteger {
    /// `self + other`, held at the type's bounds where the exact sum does not fit.
    public func addingSaturated(_ other: Self) -> Self {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }

    /// `self - other`, held at the type's bounds where the exact difference does not fit.
    public func subtractingSaturated(_ other: Self) -> Self {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (other > 0 ? .min : .max) : difference
    }

    /// `self * other`, held at the type's bounds where the exact product does not fit.
    public func multipliedSaturated(by other: Self) -> Self {
        let (product, overflow) = multipliedReportingOverflow(by: other)
        return overflow ? ((self < 0) == (other < 0) ? .max : .min) : product
    }
}
