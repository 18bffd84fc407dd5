import Pipeline

/// One step of a road, and how it went.
public struct RouteHop: Sendable, Hashable {
    /// Raw values are public names.
    public enum Kind: String, Sendable, Hashable {
        case name, route, tcp
        /// The handshake of a session, the key of its server, and who we are there.
        case ssh, hostkey, auth
        /// The connection from the far end of a tunnel to the server.
        case target
        case tls, ping, write
    }

    public var kind: Kind
    public var isPassed: Bool
    /// What was found, or why it is broken; free of secrets.
    public var detail: String
    public var elapsed: Duration
    /// The tunnel whose hop it is; nil for one of the road itself.
    public var tunnel: String?

    init(_ kind: Kind, _ isPassed: Bool, _ detail: String, since started: Instant, _ clock: any Clock) {
        self.kind = kind
        self.isPassed = isPassed
        self.detail = detail
        elapsed = clock.now - started
    }
}
