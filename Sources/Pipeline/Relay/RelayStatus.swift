/// The metadata relay as the status surface shows it.
public struct RelayStatus: Sendable, Hashable {
    /// One place to listen.
    public struct Listener: Sendable, Hashable {
        public var address: String
        /// Why it does not listen; nil while it does.
        public var trouble: String?
        public var since = Duration.zero
        public var connections = 0
        /// nil without TLS.
        public var tls: ServerTLSFigures?

        public init(address: String) { self.address = address }
    }

    /// The guest table.
    public struct Guests: Sendable, Hashable {
        public var file = ""
        public var known = 0
        /// How long ago the table in force was read; nil when none ever was.
        public var age: Duration?
        /// What is wrong with the file as it is now; the table before stays in force.
        public var trouble: String?

        public init() {}
    }

    /// The database.
    public struct Upstream: Sendable, Hashable {
        /// Without user information.
        public var destinations: [String] = []
        public var state = RouteBreaker.State.closed
        public var since = Duration.zero
        public var lastError: String?
        /// Until it is asked again.
        public var nextTry: Duration?
        public var lastDelivery: Duration?
        public var underWay = 0
        /// Requests by outcome class.
        public var outcomes: [String: UInt64] = [:]

        public init() {}
    }

    /// One of those who sent most.
    public struct TopGuest: Sendable, Hashable {
        public var id: String
        public var counters: RelayLedger.Counters
        public var lastSeen: Duration?
    }

    /// How many guests are named.
    public static let topLimit = 10

    public var listeners: [Listener] = []
    public var guests = Guests()
    public var upstream = Upstream()
    public var total = RelayLedger.Counters()
    public var kinds: [String: UInt64] = [:]
    public var refusals: [String: UInt64] = [:]
    public var top: [TopGuest] = []
    /// Addresses that asked lately and belong to nobody.
    public var strangers: [String] = []

    public init() {}

    /// What the ledger has counted.
    public mutating func fill(_ ledger: RelayLedger, now: Instant) {
        total = ledger.total
        for (kind, count) in ledger.kinds { kinds[kind.rawValue] = count }
        for (reason, count) in ledger.refusals { refusals[reason.rawValue] = count }
        top = ledger.top(RelayStatus.topLimit, now: now).map {
            TopGuest(id: $0.guest, counters: $0.counters, lastSeen: $0.lastSeen)
        }
        strangers = ledger.strangers.map { place in
            place.namespace.isEmpty ? "\(place.address)" : "\(place.address) in \(place.namespace)"
        }
    }

    /// What it says about the agent's health.
    var reasons: [Health.Reason] {
        var reasons = listeners.compactMap { listener in
            listener.trouble.map { Health.Reason(.degraded, "metadata relay: \($0)") }
        }
        if let trouble = guests.trouble { reasons.append(.init(.degraded, "metadata relay: guests: \(trouble)")) }
        if upstream.state != .closed {
            let cause = upstream.lastError.map { ": \($0)" } ?? ""
            reasons.append(.init(.degraded, "metadata relay: the database does not answer\(cause)"))
        }
        return reasons
    }
}

extension RelayLedger.Counters {
    var json: JSONValue {
        [
            "requests": .init(exactly: requests),
            "refused": .init(exactly: refused),
            "lines": .init(exactly: lines),
            "rejected_lines": .init(exactly: rejectedLines),
            "foreign_lines": .init(exactly: foreignLines),
            "received_bytes": .init(exactly: bytes),
            "sent_bytes": .init(exactly: sentBytes),
        ]
    }
}

extension RelayStatus {
    /// Names are public: they are only ever added.
    var json: JSONValue {
        [
            "listeners": .array(
                listeners.map { listener in
                    [
                        "address": .string(listener.address),
                        "state": .string(listener.trouble == nil ? "up" : "down"),
                        "reason": .optional(listener.trouble),
                        "since_seconds": .number(listener.since.inSeconds),
                        "open_connections": .init(exactly: listener.connections),
                        "tls": listener.tls?.json ?? .null,
                    ]
                }),
            "guests": [
                "file": .string(guests.file),
                "known": .init(exactly: guests.known),
                "read_age_seconds": .optional(guests.age),
                "reason": .optional(guests.trouble),
            ],
            "upstream": [
                "destinations": .array(upstream.destinations.map(JSONValue.string)),
                "state": .string(upstream.state.rawValue),
                "since_seconds": .number(upstream.since.inSeconds),
                "last_error": .optional(upstream.lastError),
                "next_try_seconds": .optional(upstream.nextTry),
                "last_delivery_age_seconds": .optional(upstream.lastDelivery),
                "requests_under_way": .init(exactly: upstream.underWay),
                "requests": .counters(upstream.outcomes),
            ],
            "total": total.json,
            "requests": .counters(kinds),
            "refusals": .counters(refusals),
            "top_guests": .array(
                top.map { guest in
                    [
                        "vm_id": .string(guest.id), "counters": guest.counters.json,
                        "last_seen_age_seconds": .optional(guest.lastSeen),
                    ]
                }),
            "strangers": .array(strangers.map(JSONValue.string)),
        ]
    }
}

/// The section of the page that `godwit status` prints.
extension StatusText {
    static func relay(_ relay: RelayStatus) -> [String] {
        var lines = relay.listeners.map { listener in
            let state = listener.trouble.map { "down: \(Readable.line($0))" } ?? "up"
            let since = Readable.duration(listener.since)
            return "  \(Readable.line(listener.address)): \(state) for \(since), \(listener.connections) connections"
        }
        let guests = relay.guests
        var line = "  guests   \(Readable.count(UInt64(clamping: guests.known))) known"
        line += " from \(Readable.line(guests.file)), read \(ago(guests.age))"
        if let trouble = guests.trouble { line += "; not taken: \(Readable.line(trouble))" }
        lines.append(line)
        let upstream = relay.upstream
        line = "  database \(upstream.destinations.map { Readable.line($0) }.joined(separator: ", ")):"
        line += " \(upstream.state.rawValue) for \(Readable.duration(upstream.since))"
        line += ", last delivery \(ago(upstream.lastDelivery))"
        if let error = upstream.lastError { line += "; last error: \(Readable.line(error))" }
        lines.append(line)
        let total = relay.total
        lines.append(
            "  lines    \(Readable.count(total.lines)) written, \(Readable.count(total.rejectedLines)) rejected,"
                + " \(Readable.count(total.foreignLines)) with a foreign vm_id;"
                + " \(Readable.bytes(total.bytes)) received, \(Readable.bytes(total.sentBytes)) sent")
        let kinds = reasons(relay.kinds)
        if !kinds.isEmpty { lines.append("  requests \(kinds)") }
        let refusals = reasons(relay.refusals)
        if !refusals.isEmpty { lines.append("  refused  \(refusals)") }
        for guest in relay.top {
            let counters = guest.counters
            lines.append(
                "    \(Readable.line(guest.id)): \(Readable.count(counters.lines)) lines,"
                    + " \(Readable.bytes(counters.bytes)), \(Readable.count(counters.refused)) refused,"
                    + " last \(ago(guest.lastSeen))")
        }
        if !relay.strangers.isEmpty {
            lines.append("  unknown  \(relay.strangers.map { Readable.line($0) }.joined(separator: ", "))")
        }
        return lines
    }
}

/// The families of `/metrics`.
extension StatusMetrics {
    static func relay(_ relay: RelayStatus?, _ text: inout PrometheusText) {
        guard let relay else { return }
        text.family("godwit_relay_listener_up", .gauge, "1 for each place where the metadata relay listens.")
        for listener in relay.listeners {
            text.sample([("listener", listener.address)], listener.trouble == nil ? 1.0 : 0)
        }
        text.family("godwit_relay_open_connections", .gauge, "Connections of guests.")
        for listener in relay.listeners {
            text.sample([("listener", listener.address)], Double(listener.connections))
        }
        text.tls(
            prefix: "godwit_relay",
            relay.listeners.compactMap { listener in listener.tls.map { TLSListener(listener.address, $0) } })
        text.single("godwit_relay_guests", .gauge, "Guests in the table.", Double(relay.guests.known))
        text.single(
            "godwit_relay_guests_file_good", .gauge, "1 while the guest table's file can be used.",
            relay.guests.trouble == nil ? 1 : 0)
        text.family("godwit_relay_upstream_breaker", .gauge, "1 for the state the way to the database is in.")
        text.sample([("state", relay.upstream.state.rawValue)], 1.0)
        text.family("godwit_relay_upstream_requests_total", .counter, "Requests to the database, by outcome.")
        for (outcome, count) in relay.upstream.outcomes.sorted(by: { $0.key < $1.key }) {
            text.sample([("outcome", outcome)], count)
        }
        text.single(
            "godwit_relay_upstream_under_way", .gauge, "Requests to the database now.", Double(relay.upstream.underWay))
        text.family("godwit_relay_requests_total", .counter, "Requests of guests that were let through.")
        for (kind, count) in relay.kinds.sorted(by: { $0.key < $1.key }) { text.sample([("kind", kind)], count) }
        text.family("godwit_relay_refused_total", .counter, "Requests that were refused, by reason.")
        for (reason, count) in relay.refusals.sorted(by: { $0.key < $1.key }) {
            text.sample([("reason", reason)], count)
        }
        let counters: [(String, String, KeyPath<RelayLedger.Counters, UInt64>)] = [
            ("lines", "Lines that the database has.", \.lines),
            ("rejected_lines", "Lines that were not understood.", \.rejectedLines),
            ("foreign_lines", "Lines that named another vm_id.", \.foreignLines),
            ("received_bytes", "Bodies as they came.", \.bytes),
            ("sent_bytes", "Bodies as they went to the database.", \.sentBytes),
        ]
        for (name, help, path) in counters {
            text.family("godwit_relay_\(name)_total", .counter, help)
            text.sample([], relay.total[keyPath: path])
        }
        text.family("godwit_relay_guest_received_bytes_total", .counter, "Bodies of those who sent most.")
        for guest in relay.top { text.sample([("vm_id", guest.id)], guest.counters.bytes) }
        text.family("godwit_relay_guest_lines_total", .counter, "Lines of those who sent most.")
        for guest in relay.top { text.sample([("vm_id", guest.id)], guest.counters.lines) }
    }
}
