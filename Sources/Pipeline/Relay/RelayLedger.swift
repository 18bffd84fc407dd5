/// What the relay has done so far: counters, guest by guest and altogether.
///
/// Bounds: an entry for each guest of the table that has asked since the start, and the last few strangers.
public struct RelayLedger: Sendable, Hashable {
    /// Kinds of requests that are let through. Raw values are public names of counters.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case write, ping, query, metadata
    }

    /// Why a request was refused. Raw values are public names of counters.
    public enum Refusal: String, Sendable, Hashable, CaseIterable {
        case path, method, parameter, statement, encoding, gzip
        case bodyTooLarge = "body_too_large"
        case malformed
        /// It did not come to its end in time.
        case slow
        case unknownGuest = "unknown_guest"
        case overload
        case guestRequests = "guest_requests"
        case guestRate = "guest_rate"
        case guestBytes = "guest_bytes"
        /// The database is away, or does not take it.
        case upstream
        /// The database refused the content.
        case data

        public init(_ reason: GuestLimiter.Reason) {
            self =
                switch reason {
                case .overload: .overload
                case .guestRequests: .guestRequests
                case .guestRate: .guestRate
                case .guestBytes: .guestBytes
                }
        }
    }

    /// What came of one guest, or of all.
    public struct Counters: Sendable, Hashable {
        public var requests: UInt64 = 0
        public var refused: UInt64 = 0
        /// Lines that the database has.
        public var lines: UInt64 = 0
        /// Lines that were not understood, here or there.
        public var rejectedLines: UInt64 = 0
        /// Lines that named somebody else.
        public var foreignLines: UInt64 = 0
        /// Bodies as they came.
        public var bytes: UInt64 = 0
        /// What went to the database.
        public var sentBytes: UInt64 = 0

        public init() {}
    }

    /// One write as it ended.
    public struct Write: Sendable, Hashable {
        public var lines = 0
        public var rejected = 0
        public var foreign = 0
        public var bytes = 0
        public var sentBytes = 0

        public init() {}
    }

    /// How many strangers are named.
    public static let strangersLimit = 8

    public private(set) var total = Counters()
    public private(set) var kinds: [Kind: UInt64] = [:]
    public private(set) var refusals: [Refusal: UInt64] = [:]
    public private(set) var guests: [String: Counters] = [:]
    private var lastSeen: [String: Instant] = [:]
    /// The newest last.
    public private(set) var strangers: [Guest.Place] = []

    public init() {}

    /// A guest's request is let through.
    public mutating func began(_ kind: Kind, guest: String, now: Instant) {
        kinds[kind, default: 0] &+= 1
        total.requests &+= 1
        guests[guest, default: Counters()].requests &+= 1
        lastSeen[guest] = now
    }

    /// A request was refused; nil for that of a stranger.
    public mutating func refused(_ reason: Refusal, guest: String?) {
        refusals[reason, default: 0] &+= 1
        total.refused &+= 1
        if let guest { guests[guest, default: Counters()].refused &+= 1 }
    }

    public mutating func stranger(_ place: Guest.Place) {
        strangers.removeAll { $0 == place }
        strangers.append(place)
        if strangers.count > RelayLedger.strangersLimit { strangers.removeFirst() }
    }

    public mutating func wrote(_ write: Write, guest: String) {
        RelayLedger.add(write, &total)
        RelayLedger.add(write, &guests[guest, default: Counters()])
    }

    /// Forgets guests that are gone; what they did stays in the totals.
    public mutating func keep(_ isKnown: (String) -> Bool) {
        guests = guests.filter { isKnown($0.key) }
        lastSeen = lastSeen.filter { isKnown($0.key) }
    }

    private static func add(_ write: Write, _ counters: inout Counters) {
        counters.lines &+= UInt64(clamping: write.lines)
        counters.rejectedLines &+= UInt64(clamping: write.rejected)
        counters.foreignLines &+= UInt64(clamping: write.foreign)
        counters.bytes &+= UInt64(clamping: write.bytes)
        counters.sentBytes &+= UInt64(clamping: write.sentBytes)
    }

    /// Those who sent most, with how long ago they asked last.
    public func top(_ count: Int, now: Instant) -> [(guest: String, counters: Counters, lastSeen: Duration?)] {
        guests.sorted { ($1.value.bytes, $0.key) < ($0.value.bytes, $1.key) }.prefix(count).map { id, counters in
            (id, counters, lastSeen[id].map { max(.zero, now - $0) })
        }
    }
}
