/// How the key of a server is judged.
public enum HostKeyPolicy: String, Sendable, Hashable, CaseIterable {
    /// It must stand in the known hosts file or be the pinned one.
    case strict
    /// The key of a server that nothing is known of is taken and kept. A changed one is refused.
    case acceptNew = "accept-new"
}

/// Everything that makes one session: where, who, and how long each step may take.
public struct TunnelSpec: Sendable, Hashable {
    public var name: String
    public var server: NetworkPlace
    public var user: String
    /// Tried in this order.
    public var identityFiles: [String] = []
    public var passphraseFile = ""
    public var passphrase = Secret.none
    public var passwordFile = ""
    public var password = Secret.none
    /// Path of an agent's socket; empty = none.
    public var agentSocket = ""
    public var knownHostsFile = ""
    /// `SHA256:…` of keys that are right without a file.
    public var fingerprints: [String] = []
    public var hostKeyPolicy = HostKeyPolicy.strict
    /// Names of tunnels to go through, the nearest first. The session runs through the last one.
    public var jump: [String] = []
    public var timing = TunnelTiming()
    public var limits = TunnelLimits()
    /// May end the process at the server that an earlier session of ours left holding a port.
    public var takesOverPorts = true

    /// Everything in one line, without secrets.
    public var line: String { "\(self)" }

    public init(name: String, server: NetworkPlace, user: String) {
        self.name = name
        self.server = server
        self.user = user
    }
}

/// The deadlines of a session.
public struct TunnelTiming: Sendable, Hashable {
    /// Name lookup and TCP connection.
    public var connect = Duration.seconds(10)
    /// Handshake, host key and authentication.
    public var authenticate = Duration.seconds(15)
    public var forwardRequest = Duration.seconds(10)
    public var targetDial = Duration.seconds(5)
    public var probeInterval = Duration.seconds(15)
    public var probesMissed = 3
    public var reconnectBase = Duration.seconds(1)
    public var reconnectCap = Duration.seconds(60)
    /// Health after which the next failure waits as the first one did.
    public var stableAfter = Duration.seconds(60)
    /// A connection of which one side has ended is closed after this long without a byte.
    public var halfClosedLimit = Duration.seconds(300)

    public init() {}
}

/// The bounds of a session's memory.
public struct TunnelLimits: Sendable, Hashable {
    /// Forwarded connections at once.
    public var connections = 256
    /// Bytes that the server may send ahead on one connection.
    public var windowBytes = 256 << 10
    /// Bytes of all connections that wait in memory; beyond it the one with most is closed.
    public var queuedBytes = 64 << 20

    public init() {}
}

/// One forward of a tunnel.
public struct ForwardSpec: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Listen here, connect from the server to the target (`ssh -L`).
        case local
        /// Listen at the server, connect from here to the target (`ssh -R`).
        case remote
    }

    /// Unique within the tunnel.
    public var id: String
    public var kind: Kind
    public var bind: SocketPlace
    public var target: SocketPlace
    /// Serves routes of outputs and nobody else: it has no port, and comes and goes with those routes.
    public var isInternal = false
    public var probe = ForwardProbe.tcp
    /// The distance of two probes.
    public var probeEvery = Duration.seconds(30)

    /// Whether connections of one may go on under the other: the two differ at most in how they are probed.
    public func carriesOn(_ other: ForwardSpec) -> Bool {
        var same = other
        (same.probe, same.probeEvery) = (probe, probeEvery)
        return same == self
    }

    public init(id: String, kind: Kind, bind: SocketPlace, target: SocketPlace) {
        self.id = id
        self.kind = kind
        self.bind = bind
        self.target = target
    }
}
