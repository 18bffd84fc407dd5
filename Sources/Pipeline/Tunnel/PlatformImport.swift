/// The platform's proxy endpoints and forwards as `[[tunnels]]` and `[[forwards]]` of ours.
///
/// A forward's `remote_addr` and `remote_port` are the target in both types. A remote one listens at the endpoint's
/// `intranet_ip_addr`, a local one at its agent's `bind_addr`; the port is the granted `bind_port`, else `bind_port_req`.
public struct PlatformImport: Sendable {
    /// What the records do not tell.
    public struct Settings: Sendable {
        /// Where local forwards listen; empty for what the records say.
        public var localAddress = ""
        public var keyDirectory = "/etc/godwit/keys"
        public var knownHostsFile = "/etc/godwit/known_hosts"

        public init() {}
    }

    /// A proxy endpoint.
    public struct ImportedTunnel: Sendable {
        public var origin: ConfigOrigin
        public var name: String
        public var server: NetworkPlace
        public var user: String
        public var identityFile: String
        /// The private key that the record holds; empty when it holds none.
        public var key: Secret
        /// Where its remote forwards listen; empty when the record does not tell.
        var intranet: String
    }

    /// A forward.
    public struct ImportedForward: Sendable {
        public var origin: ConfigOrigin
        public var tunnel: String
        public var name: String
        public var kind: ForwardSpec.Kind
        public var bind: NetworkPlace
        public var target: NetworkPlace
        public var probe: ForwardProbe
    }

    public let settings: Settings
    public private(set) var tunnels: [ImportedTunnel] = []
    public private(set) var forwards: [ImportedForward] = []
    /// What is wrong with records, by place. A record with an error is left out.
    public private(set) var issues: [ConfigIssue] = []
    /// Addresses of agents, and places of tunnels in `tunnels`, by id and by name.
    private var agents: [String: String] = [:]
    private var endpoints: [String: Int] = [:]
    private var taken: Set<String> = []
    private var names = UniqueNames()

    public init(_ records: [PlatformRecords.Record], _ settings: Settings) {
        self.settings = settings
        for record in records where record.kind == .agent {
            for key in [record.text("name"), record.text("id")] { agents[key] = record.text("bind_addr") }
        }
        for record in records where record.kind == .endpoint { add(endpoint: record) }
        for record in records where record.kind == .forward { add(forward: record) }
        issues.sort()
    }

    private mutating func complain(
        _ record: PlatformRecords.Record, _ key: String, _ message: String,
        _ severity: ConfigIssue.Severity = .error
    ) {
        let what = record.kind == .forward ? "forward" : "proxy_endpoint"
        issues.append(ConfigIssue(severity, record.origin, key.isEmpty ? what : "\(what).\(key)", message))
    }

    // MARK: Endpoints

    private mutating func add(endpoint record: PlatformRecords.Record) {
        let before = issues.count
        let host = record.text("host")
        if !Self.isHost(host) { complain(record, "host", "expected a host name or an address") }
        let port = record.port("port")
        if port == nil { complain(record, "port", "expected a port from 1 to 65535") }
        let user = record.text("user")
        if user.isEmpty || user.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            complain(record, "user", "expected the name of an account")
        }
        let ids = [record.text("id"), record.text("name")].filter { !$0.isEmpty }
        if ids.isEmpty { complain(record, "id", "an endpoint needs an id or a name") }
        if let id = ids.first, endpoints[id] != nil { complain(record, "id", "another endpoint has this id") }
        let intranet = record.text("intranet_ip_addr")
        if !intranet.isEmpty, IPAddress(intranet) == nil {
            complain(record, "intranet_ip_addr", "expected an address")
        }
        guard issues.count == before else { return }
        for id in ids where endpoints[id] == nil { endpoints[id] = tunnels.count }
        let name = names.next("tunnel", Self.tunnelName(ids.last ?? ""))
        let fileName = names.next("file", Self.fileName(name))
        tunnels.append(
            ImportedTunnel(
                origin: record.origin, name: name, server: NetworkPlace(host, port == 0 ? 22 : port ?? 22), user: user,
                identityFile: "\(settings.keyDirectory)/\(fileName)", key: Secret(record.text("private_key")),
                intranet: intranet))
    }

    // MARK: Forwards

    private mutating func add(forward record: PlatformRecords.Record) {
        if record.value["pending_deleted"]?.bool == true || record.value["deleted"]?.bool == true { return }
        let before = issues.count
        guard let kind = ForwardSpec.Kind(rawValue: record.text("type")) else {
            return complain(record, "type", "expected \"local\" or \"remote\"")
        }
        let target = place(record, "remote_addr", "remote_port")
        let wanted = [record.text("proxy_endpoint_id"), record.text("proxy_endpoint")].filter { !$0.isEmpty }
        let found = wanted.compactMap { endpoints[$0] }.first.map { tunnels[$0] }
        if found == nil {
            let known =
                wanted.first.map { "there is no endpoint \"\(Self.label($0))\", or it has errors" } ?? "it is missing"
            complain(record, "proxy_endpoint_id", known)
        }
        let isSound = issues.count == before
        // Without a port it only warns.
        guard let port = bindPort(record, kind), let found, let target, isSound else { return }
        guard let host = bindHost(record, kind, found) else { return }
        let bind = NetworkPlace(host, port)
        guard taken.insert(kind == .local ? "\(bind)" : "\(found.name) \(bind)").inserted || port == 0 else {
            return complain(record, "bind_port", "another forward listens at \(bind)")
        }
        let base = Self.label(record.text("name").isEmpty ? "\(kind.rawValue) \(bind)" : record.text("name"))
        forwards.append(
            ImportedForward(
                origin: record.origin, tunnel: found.name, name: names.next("forward \(found.name)", base), kind: kind,
                bind: bind,
                target: target, probe: Self.probe(record.text("opaque"), target)))
    }

    private mutating func place(
        _ record: PlatformRecords.Record, _ address: String, _ port: String
    ) -> NetworkPlace? {
        let host = record.text(address)
        if !Self.isHost(host) { complain(record, address, "expected an address") }
        guard let number = record.port(port), number > 0 else {
            complain(record, port, "expected a port from 1 to 65535")
            return nil
        }
        return Self.isHost(host) ? NetworkPlace(host, number) : nil
    }

    /// The granted port, else the one asked for.
    private mutating func bindPort(_ record: PlatformRecords.Record, _ kind: ForwardSpec.Kind) -> UInt16? {
        guard let granted = record.port("bind_port"), let asked = record.port("bind_port_req") else {
            complain(record, "bind_port", "expected a port from 0 to 65535")
            return nil
        }
        let port = granted > 0 ? granted : asked
        guard port == 0 else { return port }
        guard kind == .remote else {
            complain(record, "bind_port", "a local forward needs a port: neither bind_port nor bind_port_req tells one")
            return nil
        }
        complain(record, "bind_port", "no port: the server will choose another one after each reconnect", .warning)
        return 0
    }

    private mutating func bindHost(
        _ record: PlatformRecords.Record, _ kind: ForwardSpec.Kind, _ tunnel: ImportedTunnel
    ) -> String? {
        if kind == .remote {
            if !tunnel.intranet.isEmpty { return tunnel.intranet }
            complain(record, "proxy_endpoint_id", "its endpoint has no intranet_ip_addr to listen at")
            return nil
        }
        let wanted = [record.text("proxy_agent_id"), record.text("proxy_agent")].filter { !$0.isEmpty }
        let agent = wanted.compactMap { agents[$0] }.first
        let candidates = [settings.localAddress, agent ?? "", record.text("bind_addr")]
        let text = candidates.first { !$0.isEmpty } ?? ""
        if IPAddress(text) != nil { return text }
        let known = text.isEmpty ? "nothing tells where to listen" : "\"\(Self.label(text))\" is no address"
        complain(record, "bind_addr", "\(known); name an address with --bind")
        return nil
    }

    /// A target of which the platform knows that it is an HTTP server is asked as one.
    private static func probe(_ opaque: String, _ target: NetworkPlace) -> ForwardProbe {
        guard opaque.hasPrefix("http://") else { return .tcp }
        let rest = opaque.dropFirst(7)
        let authority = String(rest.prefix { $0 != "/" })
        guard NetworkPlace(parsing: authority, defaultPort: 80) == target else { return .tcp }
        return .http(path: "/ping", status: 204)
    }
}

/// Names that were given, so that none is given twice.
private struct UniqueNames {
    private var taken: Set<[String]> = []
    private var numbers: [[String]: Int] = [:]

    /// `name`, or with a number behind it when it was given in this scope before.
    mutating func next(_ scope: String, _ name: String) -> String {
        var candidate = name
        while !taken.insert([scope, candidate]).inserted {
            let number = numbers[[scope, name], default: 1] + 1
            numbers[[scope, name]] = number
            candidate = "\(name)-\(number)"
        }
        return candidate
    }
}
