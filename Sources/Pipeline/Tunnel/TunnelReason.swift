/// Why a tunnel or a forward is not what it should be. Raw values are public names.
public enum TunnelReason: String, Sendable, Hashable, CaseIterable {
    // The session.
    case dialTimeout = "dial-timeout"
    case dialFailed = "dial-failed"
    case jumpDown = "jump-down"
    case handshakeFailed = "handshake-failed"
    case hostkeyUnknown = "hostkey-unknown"
    case hostkeyChanged = "hostkey-changed"
    case hostkeyRevoked = "hostkey-revoked"
    case keyUnusable = "key-unusable"
    case authFailed = "auth-failed"
    case sessionLost = "session-lost"
    /// The server no longer answers, though nothing says that the connection is gone.
    case sessionFrozen = "session-frozen"
    case stopped
    // A forward.
    case listenFailed = "listen-failed"
    case forwardDenied = "forward-denied"
    case portInUse = "port-in-use"
    case addressUnavailable = "address-unavailable"
    /// The server accepted the address and bound another one (`GatewayPorts no`).
    case boundLoopback = "bound-loopback"
    case targetRefused = "target-refused"
    case targetTimeout = "target-timeout"
    case probeFailed = "probe-failed"

    /// Whether a person must act before another try can succeed: such tries are made at the longest distance.
    public var needsOperator: Bool {
        switch self {
        case .hostkeyUnknown, .hostkeyChanged, .hostkeyRevoked, .keyUnusable, .authFailed: true
        default: false
        }
    }
}

/// A failure with its reason. The message holds no secret.
public struct TunnelFailure: Error, Sendable, Hashable, CustomStringConvertible {
    public var reason: TunnelReason
    public var message: String

    public init(_ reason: TunnelReason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    /// Begins the message of a session that never was, because server and library share no kind of host key.
    public static let noCommonKey =
        "no common kind of host key: the server needs an ed25519 or ecdsa key, and known_hosts or the pin must be of it: "

    public var isWithoutCommonKey: Bool { reason == .handshakeFailed && message.hasPrefix(TunnelFailure.noCommonKey) }

    public var description: String { message.isEmpty ? reason.rawValue : "\(reason.rawValue): \(message)" }
}

/// How a tunnel or forward is. Raw values are public names.
public enum TunnelState: String, Sendable, Hashable, CaseIterable {
    /// Not tried yet, or waiting for the next try.
    case pending
    case connecting
    case up
    /// It stands, but not all of it works.
    case degraded
    case down
}
