/// What one guest may ask of the relay, and all guests together.
///
/// A value: `admit` when a request's head is there, `charge` when its bytes are known, `release` when it has ended;
/// `begin` and `finish` around its work at the database. A slow body takes a place of its guest's and none of the others'.
/// Bounds: an entry for each guest that is known and was active lately.
public struct GuestLimiter: Sendable {
    public struct Limits: Sendable, Hashable {
        /// Requests of all guests at the database.
        public var requests = 64
        /// Requests of one guest under way, those whose body is still coming too.
        public var requestsPerGuest = 4
        public var requestsPerSecond = 20.0
        /// Of bodies as they came.
        public var bytesPerSecond = 4_194_304.0
        /// How long a guest may save up what it did not use.
        public var burst = Duration.seconds(10)

        public init() {}
    }

    /// Why a request must wait. Raw values are public names of counters.
    public enum Reason: String, Sendable, Hashable, CaseIterable {
        /// All places are taken.
        case overload
        /// All of this guest's places are taken.
        case guestRequests = "guest_requests"
        case guestRate = "guest_rate"
        case guestBytes = "guest_bytes"
    }

    public enum Verdict: Sendable, Hashable {
        case admitted
        case busy(Reason, retryAfter: Duration)
    }

    private struct Usage {
        var underWay = 0
        var requests: TokenBucket
        var bytes: TokenBucket
    }

    public private(set) var limits: Limits
    /// Requests at the database.
    public private(set) var working = 0
    private var usages: [String: Usage] = [:]

    public init(limits: Limits = Limits()) { self.limits = limits }

    /// Takes other limits. What is under way stays counted.
    public mutating func configure(_ limits: Limits) {
        guard limits != self.limits else { return }
        self.limits = limits
        let (requests, bytes) = (bucket(limits.requestsPerSecond), bucket(limits.bytesPerSecond))
        usages = usages.mapValues { Usage(underWay: $0.underWay, requests: requests, bytes: bytes) }
    }

    /// Asks for a place. One that was given must be released.
    public mutating func admit(_ guest: String, now: Instant) -> Verdict {
        var usage = usage(of: guest)
        guard usage.underWay < limits.requestsPerGuest else { return .busy(.guestRequests, retryAfter: .seconds(1)) }
        // Bytes are known only afterwards: who has overdrawn waits until the debt is paid.
        if let wait = usage.bytes.wait(for: 0, now: now) { return .busy(.guestBytes, retryAfter: wait) }
        if let wait = usage.requests.wait(for: 1, now: now) { return .busy(.guestRate, retryAfter: wait) }
        usage.requests.take(1, now: now)
        usage.underWay += 1
        usages[guest] = usage
        return .admitted
    }

    /// The request turned out to have so many bytes.
    public mutating func charge(_ guest: String, bytes: Int, now: Instant) {
        usages[guest]?.bytes.take(Double(bytes), now: now)
    }

    /// A request that was admitted has ended, in whatever way.
    public mutating func release(_ guest: String) {
        guard let usage = usages[guest], usage.underWay > 0 else { return }
        usages[guest]?.underWay -= 1
    }

    /// Takes a place at the database; false, and none taken, when there is none.
    public mutating func begin() -> Bool {
        guard working < limits.requests else { return false }
        working += 1
        return true
    }

    /// Gives back what `begin` took.
    public mutating func finish() { working = max(0, working - 1) }

    /// Forgets guests that are gone, once nothing of theirs is under way.
    public mutating func keep(_ isKnown: (String) -> Bool) {
        usages = usages.filter { $0.value.underWay > 0 || isKnown($0.key) }
    }

    private func usage(of guest: String) -> Usage {
        usages[guest] ?? Usage(requests: bucket(limits.requestsPerSecond), bytes: bucket(limits.bytesPerSecond))
    }

    private func bucket(_ rate: Double) -> TokenBucket {
        TokenBucket(rate: rate, capacity: rate * max(1, limits.burst.inSeconds))
    }
}

/// So many units a second, with some saved up. May be overdrawn by whoever learns the price afterwards.
struct TokenBucket: Sendable, Hashable {
    private let rate: Double
    private let capacity: Double
    private var level: Double
    private var at: Instant?

    /// Full at the start.
    init(rate: Double, capacity: Double) {
        self.rate = max(rate, 1e-6)
        self.capacity = max(1, capacity)
        level = self.capacity
    }

    private mutating func fill(_ now: Instant) {
        if let at { level = min(capacity, level + max(0, (now - at).inSeconds) * rate) }
        at = now
    }

    /// nil when so many units are there (for 0: when nothing is owed), else how long until they are.
    mutating func wait(for units: Double, now: Instant) -> Duration? {
        fill(now)
        let missing = min(units, capacity) - level
        return missing > 0 ? .seconds(missing / rate) : nil
    }

    mutating func take(_ units: Double, now: Instant) {
        fill(now)
        level -= units
    }
}
