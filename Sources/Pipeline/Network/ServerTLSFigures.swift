/// The TLS of a listener as the status shows it.
public struct ServerTLSFigures: Sendable, Hashable {
    /// Handshakes that came to nothing.
    public var failures: [HandshakeFailure: Int] = [:]
    /// Handshakes under way, and those that wait for their turn.
    public var handshakes = 0
    public var waitingHandshakes = 0
    /// When the certificate ends, in seconds of Unix time.
    public var certificateExpiry: Int64?

    public init() {}

    /// Names are public: they are only ever added.
    var json: JSONValue {
        [
            "failures": .object(
                HandshakeFailure.allCases.compactMap { reason in
                    failures[reason].map { JSONMember(reason.rawValue, .init(exactly: $0)) }
                }),
            "handshakes": .init(exactly: handshakes),
            "waiting_handshakes": .init(exactly: waitingHandshakes),
            "certificate_expiry": certificateExpiry.map { .init(exactly: $0) } ?? .null,
        ]
    }
}

extension PrometheusText {
    /// The families of some listeners with TLS; none without any.
    mutating func tls(prefix: String, _ listeners: [TLSListener]) {
        guard !listeners.isEmpty else { return }
        family("\(prefix)_tls_failures_total", .counter, "Handshakes that came to nothing, by reason.")
        for each in listeners {
            for reason in HandshakeFailure.allCases {
                sample(
                    [("listener", each.listener), ("reason", reason.rawValue)],
                    Double(each.figures.failures[reason] ?? 0))
            }
        }
        family("\(prefix)_tls_handshakes", .gauge, "Handshakes under way.")
        for each in listeners { sample([("listener", each.listener)], Double(each.figures.handshakes)) }
        family("\(prefix)_tls_waiting_handshakes", .gauge, "Handshakes that wait for their turn.")
        for each in listeners { sample([("listener", each.listener)], Double(each.figures.waitingHandshakes)) }
        family(
            "\(prefix)_tls_certificate_expiry_timestamp_seconds", .gauge,
            "When the certificate of a listener ends, in seconds of Unix time.")
        for each in listeners {
            if let time = each.figures.certificateExpiry { sample([("listener", each.listener)], Double(time)) }
        }
    }
}
