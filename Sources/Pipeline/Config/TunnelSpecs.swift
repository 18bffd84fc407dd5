/// The options of `[[tunnels]]` and `[[forwards]]`.
public enum TunnelSpecs {
    private static let seconds: ClosedRange<Double> = 0.1...3_600

    public static let tunnel: [OptionSpec] = [
        OptionSpec("name", .string(""), "Name of the session, for routes, forwards, jump and status."),
        OptionSpec(
            "address", .string(""), "Server as host, host:port or [address]:port; the port is 22 when left out."),
        OptionSpec("user", .string(""), "Account at the server."),
        OptionSpec("identity_file", .string(""), "Private key, OpenSSH or PEM: ed25519, ecdsa or RSA."),
        OptionSpec("passphrase", .secret(.none), "Passphrase of the key."),
        OptionSpec("passphrase_file", .string(""), "File with the passphrase of the key, mode 0600."),
        OptionSpec("agent_socket", .string(""), "Socket of an SSH agent to ask for signatures; empty means none."),
        OptionSpec("password", .secret(.none), "Password, also for keyboard-interactive questions."),
        OptionSpec("password_file", .string(""), "File with the password, mode 0600."),
        OptionSpec("known_hosts_file", .string(""), "File with the keys of servers, as OpenSSH keeps it."),
        OptionSpec("host_key_fingerprints", .strings([]), "Keys that are right without a file, as SHA256:…."),
        OptionSpec(
            "host_key_policy", .string("strict"),
            "strict: a key must be known; accept-new: that of an unknown server is taken and kept.",
            choices: ["strict", "accept-new"]),
        OptionSpec("jump", .strings([]), "Names of tunnels to go through, the nearest first."),
        OptionSpec("connect_timeout", .duration(.seconds(10)), "Name lookup and TCP connection.", bounds: seconds),
        OptionSpec("auth_timeout", .duration(.seconds(15)), "Handshake and authentication.", bounds: seconds),
        OptionSpec("forward_timeout", .duration(.seconds(10)), "Answer to a request to listen.", bounds: seconds),
        OptionSpec("target_timeout", .duration(.seconds(5)), "Connection to the target of a forward.", bounds: seconds),
        OptionSpec(
            "probe_interval", .duration(.seconds(15)), "How often the server is asked whether it lives.",
            bounds: seconds),
        OptionSpec(
            "probes_missed", .integer(3), "Unanswered questions after which the session is given up.", bounds: 1...100),
        OptionSpec("reconnect_max", .duration(.seconds(60)), "Longest wait between two tries.", bounds: 1...3_600),
        OptionSpec(
            "window_bytes", .size(256 << 10), "What may be under way on one connection.", bounds: 32_768...16_777_216),
        OptionSpec("max_connections", .integer(256), "Connections of one forward at once.", bounds: 1...10_000),
        OptionSpec(
            "max_queued_bytes", .size(64 << 20), "What may wait in memory; beyond it the slowest connection is closed.",
            bounds: 1_048_576...1e12),
        OptionSpec(
            "take_over_ports", .bool(true),
            "End what a dead session of ours left at the server when it still holds a port."),
    ]

    public static let forward: [OptionSpec] = [
        OptionSpec("name", .string(""), "Name in log and status; empty means kind and bind."),
        OptionSpec("tunnel", .string(""), "Name of the tunnel that carries it."),
        OptionSpec(
            "kind", .string("local"), "local: listen here, connect from the server; remote: the other way round.",
            choices: ["local", "remote"]),
        OptionSpec("bind", .string(""), "Where to listen: host:port, or the path of a unix socket for local."),
        OptionSpec("target", .string(""), "Where connections lead: host:port, or the path of a unix socket."),
        OptionSpec(
            "probe", .string("tcp"),
            "How it is tried from end to end: a connection to the target, a GET that it must answer, or not at all.",
            choices: ["tcp", "http", "none"]),
        OptionSpec("probe_path", .string("/ping"), "Path of that GET."),
        OptionSpec("probe_status", .integer(204), "Status that the answer must have.", bounds: 100...599),
        OptionSpec("probe_every", .duration(.seconds(30)), "Distance of two probes.", bounds: 1...3_600),
    ]
}

/// One tunnel with its forwards.
public struct TunnelConfig: Sendable, Hashable {
    public var spec: TunnelSpec
    public var forwards: [ForwardSpec] = []
    /// What routes of outputs reach through it, in the order of the outputs.
    public var roads: [TunnelRoad] = []

    public var id: String { spec.name }

    /// The forwards, the internal ones for routes last; those listen in `directory`.
    public func allForwards(roadsIn directory: String) -> [ForwardSpec] {
        forwards + roads.map { $0.forward(in: directory) }
    }

    public init(spec: TunnelSpec) { self.spec = spec }
}

extension ForwardSpec {
    /// How `[[forwards]]` wants to be tried.
    mutating func setProbe(_ options: OptionValues) {
        probeEvery = options.duration("probe_every")
        switch options.string("probe") {
        case "none": probe = .none
        case "http":
            probe = .http(
                path: options.string("probe_path"), status: UInt16(clamping: options.integer("probe_status")))
        default: probe = .tcp
        }
    }
}

extension TunnelSpec {
    /// `[[tunnels]]`.
    init(_ options: OptionValues, server: NetworkPlace) {
        self.init(name: options.string("name"), server: server, user: options.string("user"))
        let identity = options.string("identity_file")
        identityFiles = identity.isEmpty ? [] : [identity]
        passphrase = options.secret("passphrase")
        passphraseFile = options.string("passphrase_file")
        agentSocket = options.string("agent_socket")
        password = options.secret("password")
        passwordFile = options.string("password_file")
        knownHostsFile = options.string("known_hosts_file")
        fingerprints = options.strings("host_key_fingerprints")
        hostKeyPolicy = HostKeyPolicy(rawValue: options.string("host_key_policy")) ?? .strict
        jump = options.strings("jump")
        timing.connect = options.duration("connect_timeout")
        timing.authenticate = options.duration("auth_timeout")
        timing.forwardRequest = options.duration("forward_timeout")
        timing.targetDial = options.duration("target_timeout")
        timing.probeInterval = options.duration("probe_interval")
        timing.probesMissed = Int(clamping: options.integer("probes_missed"))
        timing.reconnectCap = options.duration("reconnect_max")
        limits.windowBytes = Int(clamping: options.size("window_bytes"))
        limits.connections = Int(clamping: options.integer("max_connections"))
        limits.queuedBytes = Int(clamping: options.size("max_queued_bytes"))
        takesOverPorts = options.bool("take_over_ports")
    }
}
