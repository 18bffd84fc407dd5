/// A road of an output through a tunnel of our own: the tunnel, and the address that its server connects to.
///
/// Outputs that name the same pair share one internal forward. It listens at a unix socket of the agent, never at a port.
public struct TunnelRoad: Sendable, Hashable, CustomStringConvertible {
    /// Name of the tunnel.
    public var tunnel: String
    /// The database as the server at the end of the tunnel reaches it.
    public var target: SocketPlace

    public init(tunnel: String, target: SocketPlace) {
        self.tunnel = tunnel
        self.target = target
    }

    /// `b/10.127.40.251:30086`. A tunnel's name has no slash.
    public var description: String { "\(tunnel)/\(target)" }

    /// Begins the ids of internal forwards, which no configured forward may have.
    public static let forwardPrefix = "route "

    /// The id of the internal forward within its tunnel.
    public var forwardID: String { "\(TunnelRoad.forwardPrefix)\(target)" }

    /// Where the internal forward listens. The same pair has the same path, whatever else the configuration says.
    ///
    /// Shape: `directory/01234567890abcdef.sock`, the hash of both names. Bounds: `socketNameBytes` more than the directory.
    public func socketPath(in directory: String) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        // FNV-1a: wrapping by definition.
        for byte in description.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let digits = String(hash, radix: 16)
        return "\(directory)/\(String(repeating: "0", count: max(0, 16 - digits.utf8.count)))\(digits).sock"
    }

    /// Slash, 16 digits and `.sock`.
    public static let socketNameBytes = 22

    /// Whether sockets in `directory` have paths that the kernel takes: 107 bytes.
    public static func fits(directory: String) -> Bool { directory.utf8.count + socketNameBytes <= 107 }

    /// The internal forward.
    public func forward(in directory: String) -> ForwardSpec {
        var spec = ForwardSpec(id: forwardID, kind: .local, bind: .unix(socketPath(in: directory)), target: target)
        spec.isInternal = true
        return spec
    }
}

/// How a road through a tunnel is, as far as the tunnel can tell.
public enum RoadCondition: Sendable, Hashable {
    /// There is no session: why; nil while the first one is being made.
    case down(TunnelFailure?)
    /// The session stands. `failure`: why its server could not connect to the target the last time, and when that was;
    /// nil when it could.
    case up(failure: TunnelFailure?, at: Instant)

    /// Why nothing can go over the road now; nil when something can, or when nobody knows.
    public func complaint(of road: TunnelRoad) -> String? {
        switch self {
        case .down(let failure?): "tunnel \(road.tunnel) is down: \(failure)"
        case .down(nil): "tunnel \(road.tunnel) is connecting"
        case .up(let failure?, _): "tunnel \(road.tunnel) is up, but \(road.target) is not reached: \(failure)"
        case .up(nil, _): nil
        }
    }
}
