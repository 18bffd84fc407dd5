/// An upper bound of what one output sends: so many bytes of line protocol, before compression, in each fixed period.
///
/// Shape: periods follow one another from the first request on. A batch that is larger than the bound gets a period of
/// its own, and what it took too much is held back from the next ones. Bounds: constant size.
public struct RateLimit: Sendable, Hashable {
    private let bytesLimit: Int
    private let period: Duration
    private var start: Instant?
    private var used = 0

    public init(bytes: Int, period: Duration) {
        bytesLimit = max(1, bytes)
        self.period = max(.milliseconds(1), period)
    }

    /// The bound that the options `rate_limit` and `rate_limit_period` ask for; nil without one.
    public init?(_ options: OptionValues) {
        guard options.has("rate_limit"), let size = Quantity.size(options.string("rate_limit")), size > 0 else {
            return nil
        }
        self.init(bytes: Int(clamping: size), period: options.duration("rate_limit_period"))
    }

    /// Why the two options cannot be used; nil when they can.
    static func complaint(_ options: OptionValues) -> String? {
        guard options.has("rate_limit"), options.string("rate_limit") != "unlimited" else { return nil }
        guard let size = Quantity.size(options.string("rate_limit")), size > 0 else {
            return "expected \"unlimited\" or a size such as \"5MB\""
        }
        return options.duration("rate_limit_period") > .zero ? nil : "rate_limit needs a rate_limit_period"
    }

    /// Takes so many bytes out of the present period. Returns nil when they may be sent now; otherwise nothing is
    /// taken, and the moment is when to ask again.
    public mutating func take(bytes: Int, now: Instant) -> Instant? {
        let began = start ?? now
        let length = period.wholeNanoseconds
        let periods = max(0, (now - began).wholeNanoseconds) / length
        let current = Instant(
            nanoseconds: began.nanoseconds.addingSaturated(periods.multipliedSaturated(by: length)))
        used = max(0, used - bytesLimit.multipliedSaturated(by: Int(clamping: periods)))
        start = current
        guard used == 0 || used.addingSaturated(bytes) <= bytesLimit else { return current + period }
        used = used.addingSaturated(bytes)
        return nil
    }
}
