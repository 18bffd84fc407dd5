import Pipeline

/// The tunnels by name, for the routes that lead through them. A reload may put another tunnel in the place of one while
/// its routes stay.
///
/// Owns: the names. Receives: `set` from whoever makes tunnels, `condition` from transports. Sends: questions to tunnels.
/// It has no task and nothing to stop.
public actor TunnelBoard: RoadWatch {
    private var tunnels: [String: Tunnel] = [:]

    public init() {}

    /// nil takes the name away.
    public func set(_ name: String, _ tunnel: Tunnel?) { tunnels[name] = tunnel }

    public func condition(of road: TunnelRoad) async -> RoadCondition {
        guard let tunnel = tunnels[road.tunnel] else {
            return .down(TunnelFailure(.stopped, "there is no such tunnel"))
        }
        return await tunnel.condition(of: road)
    }
}
