/// What became of one request that carried a batch. Each case says what to do next; `reason` is a short text for the
/// log and the status, free of secrets.
public enum DeliveryOutcome: Sendable, Hashable {
    /// The destination has all points.
    case delivered
    /// The destination has the good points and refused `rejected` of them (at least 1).
    case partial(rejected: Int, reason: String)
    /// Something in the batch is not acceptable: bisect. `isExplained`: the server itself said so in its own format,
    /// which a stranger in the way (a proxy's error page) does not.
    case data(reason: String, isExplained: Bool)
    /// The request was too large: halve.
    case tooBig(reason: String)
    /// The destination is there and busy. `retryAfter` is its wish, 0 to 600 s.
    case throttled(retryAfter: Duration?, reason: String)
    /// The destination failed: the same bytes again, later.
    case server(reason: String)
    /// Nobody knows whether it arrived (time-out, reset, truncated reply): the same bytes again.
    case ambiguous(reason: String)
    /// The way is hard down: refused, unreachable, no such name, TLS failure, disk full.
    case unavailable(reason: String)
    /// The database is missing and may be created: create it, then the same bytes again.
    case createDatabase(reason: String)
    /// A person must change something: credentials, address, permission. The data are kept.
    case configuration(reason: String)

    /// The outcome without its details: the label of a counter. Raw values are public names.
    public enum Class: String, Sendable, Hashable, CaseIterable {
        case delivered, partial, data
        case tooBig = "too_big"
        case throttled, server, ambiguous, unavailable
        case createDatabase = "create_database"
        case configuration
    }

    public var outcomeClass: Class {
        switch self {
        case .delivered: .delivered
        case .partial: .partial
        case .data: .data
        case .tooBig: .tooBig
        case .throttled: .throttled
        case .server: .server
        case .ambiguous: .ambiguous
        case .unavailable: .unavailable
        case .createDatabase: .createDatabase
        case .configuration: .configuration
        }
    }

    /// Why; empty when delivered.
    public var reason: String {
        switch self {
        case .delivered: ""
        case .partial(_, let reason), .data(let reason, _), .tooBig(let reason), .throttled(_, let reason),
            .server(let reason), .ambiguous(let reason), .unavailable(let reason), .createDatabase(let reason),
            .configuration(let reason):
            reason
        }
    }

    /// Whether the destination has taken a decision about every point, so that the batch can be acknowledged.
    public var isFinal: Bool {
        switch self {
        case .delivered, .partial: true
        default: false
        }
    }
}

/// Which batch, or which lines of it, a request carries: the value of the header `X-Godwit-Batch`, by which a proxy can
/// recognise a repetition.
///
/// Shape: `instance-sequence`, and `instance-sequence.first-last` for a part of a batch, lines counted from 0.
public struct BatchID: Sendable, Hashable, CustomStringConvertible {
    /// Names the agent: stable across restarts, as sequence numbers are.
    public var instance: String
    public var sequence: UInt64
    /// The lines that this request carries; nil for all.
    public var lines: Range<Int>?

    public init(instance: String, sequence: UInt64, lines: Range<Int>? = nil) {
        self.instance = instance
        self.sequence = sequence
        self.lines = lines
    }

    public var description: String {
        guard let lines else { return "\(instance)-\(sequence)" }
        return "\(instance)-\(sequence).\(lines.lowerBound)-\(lines.upperBound &- 1)"
    }
}

/// What a probe of a route found.
public enum ProbeOutcome: Sendable, Hashable {
    case good
    case bad(reason: String)

    public var isGood: Bool { self == .good }
}
