extension ConfigDecodingRun {
    /// `[[tunnels]]` with their `[[forwards]]`, in an order in which each comes after those that it goes through.
    mutating func tunnels(_ root: ConfigNode) -> [TunnelConfig] {
        var tunnels: [TunnelConfig] = []
        var places: [String: [String: ConfigOrigin]] = [:]
        for node in tables("tunnels", root) {
            guard let (spec, origins) = tunnel(node) else { continue }
            if places.updateValue(origins, forKey: spec.name) != nil {
                complain(node.origin, "tunnels.name", "there are two tunnels called \"\(spec.name)\"")
            } else {
                tunnels.append(TunnelConfig(spec: spec))
            }
        }
        checkJumps(tunnels, places)
        var index = ForwardIndex(tunnels)
        for node in tables("forwards", root) { add(forward: node, to: &tunnels, &index) }
        return ordered(tunnels)
    }

    private mutating func tables(_ name: String, _ root: ConfigNode) -> [ConfigNode] {
        guard let node = root[name] else { return [] }
        guard case .array(let nodes) = node.kind else {
            complain(node.origin, name, "expected sections [[\(name)]], found \(node.kindName)")
            return []
        }
        return nodes.filter { node in
            if case .table = node.kind { return true }
            complain(node.origin, name, "expected a section [[\(name)]], found \(node.kindName)")
            return false
        }
    }

    private mutating func complain(_ origin: ConfigOrigin, _ key: String, _ message: String, nearest: String? = nil) {
        issues.append(ConfigIssue(.error, origin, key, message, nearest: nearest))
    }

    // MARK: Tunnels

    private mutating func tunnel(_ node: ConfigNode) -> (TunnelSpec, [String: ConfigOrigin])? {
        let reader = OptionReader(
            path: "tunnels", specs: TunnelSpecs.tunnel, filesReadableByOthers: decoder.filesReadableByOthers)
        let settings = reader.read(node.entries, &issues)
        let options = OptionValues(TunnelSpecs.tunnel, set: settings.values)
        let before = issues.count
        func place(_ name: String) -> ConfigOrigin { settings.origins[name] ?? node.origin }
        let name = options.string("name")
        if name.isEmpty || name.utf8.count > 64 || name.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == 0x2F })
        {
            complain(place("name"), "tunnels.name", "a tunnel needs a name, without blanks and slashes")
        }
        let user = options.string("user")
        if user.isEmpty || user.utf8.contains(where: { $0 < 0x20 }) {
            complain(place("user"), "tunnels.user", "a tunnel needs the name of an account")
        }
        let server = NetworkPlace(parsing: options.string("address"), defaultPort: 22)
        if server == nil { complain(place("address"), "tunnels.address", "expected a host, or a host and a port") }
        for text in options.strings("host_key_fingerprints") where !ConfigDecodingRun.isFingerprint(text) {
            complain(
                place("host_key_fingerprints"), "tunnels.host_key_fingerprints",
                "\"\(text)\" is no fingerprint such as SHA256: and 43 letters, as ssh-keygen -l prints it")
        }
        for secret in ["password", "passphrase"] {
            if !options.secret(secret).isEmpty, !options.string("\(secret)_file").isEmpty {
                complain(
                    place("\(secret)_file"), "tunnels.\(secret)_file", "\(secret) and \(secret)_file exclude each other"
                )
            }
        }
        let hasCredential =
            !["identity_file", "agent_socket", "password_file"].allSatisfy { options.string($0).isEmpty }
            || !options.secret("password").isEmpty
        if !hasCredential {
            complain(node.origin, "tunnels", "it needs an identity_file, an agent_socket or a password_file")
        }
        let isUnknown = options.string("known_hosts_file").isEmpty && options.strings("host_key_fingerprints").isEmpty
        if isUnknown, options.string("host_key_policy") == "strict" {
            complain(
                node.origin, "tunnels", "it needs a known_hosts_file or host_key_fingerprints to know its server by")
        }
        guard let server, issues.count == before else { return nil }
        origins["tunnels.\(name)"] = node.origin
        for (option, origin) in settings.origins { origins["tunnels.\(name)/\(option)"] = origin }
        return (TunnelSpec(options, server: server), settings.origins)
    }

    private static func isFingerprint(_ text: String) -> Bool {
        guard text.hasPrefix("SHA256:") else { return false }
        let digits = Array(text.utf8.dropFirst(7)) + [UInt8(ascii: "=")]
        return digits.count == 44 && Base64.decode(digits) != nil
    }

    /// Jumps must lead somewhere: to tunnels that exist, each through the one before it, and never in a circle.
    private mutating func checkJumps(_ tunnels: [TunnelConfig], _ places: [String: [String: ConfigOrigin]]) {
        let specs = Dictionary(tunnels.map { ($0.id, $0.spec) }, uniquingKeysWith: { first, _ in first })
        for tunnel in tunnels {
            let origin = places[tunnel.id]?["jump"] ?? ConfigOrigin(file: "", line: 0)
            for (index, name) in tunnel.spec.jump.enumerated() {
                guard let hop = specs[name] else {
                    complain(
                        origin, "tunnels.jump", "there is no tunnel \"\(name)\"",
                        nearest: NearestName.find(name, among: tunnels.map(\.id)))
                    continue
                }
                if index > 0, hop.jump.last != tunnel.spec.jump[index - 1] {
                    complain(
                        origin, "tunnels.jump",
                        "\"\(name)\" must itself jump through \"\(tunnel.spec.jump[index - 1])\"")
                }
            }
            var seen: Set<String> = [tunnel.id]
            var next = tunnel.spec.jump.last
            while let name = next {
                guard seen.insert(name).inserted else {
                    complain(origin, "tunnels.jump", "the jumps of \"\(tunnel.id)\" go in a circle")
                    break
                }
                next = specs[name]?.jump.last
            }
        }
    }

    /// Each after the one that it goes through.
    private func ordered(_ tunnels: [TunnelConfig]) -> [TunnelConfig] {
        var result: [TunnelConfig] = []
        var left = tunnels
        var done: Set<String> = []
        while !left.isEmpty {
            let ready = left.filter { $0.spec.jump.last.map(done.contains) ?? true }
            // What goes in a circle was complained about.
            guard !ready.isEmpty else { return result + left }
            result += ready
            done.formUnion(ready.map(\.id))
            left.removeAll { done.contains($0.id) }
        }
        return result
    }

    // MARK: Routes of outputs

    /// Gives every tunnel the roads that lead through it. Routes that name the same pair share one.
    mutating func addRoads(to tunnels: inout [TunnelConfig]) {
        for (road, place, key) in roads {
            guard let index = tunnels.firstIndex(where: { $0.id == road.tunnel }) else {
                // A tunnel with mistakes of its own is not called unknown.
                guard !issues.contains(where: { $0.key.hasPrefix("tunnels") }) else { continue }
                complain(
                    place, key, "there is no tunnel \"\(road.tunnel)\"",
                    nearest: NearestName.find(road.tunnel, among: tunnels.map(\.id)))
                continue
            }
            if !tunnels[index].roads.contains(road) { tunnels[index].roads.append(road) }
        }
    }

    // MARK: Forwards

    private mutating func add(
        forward node: ConfigNode, to tunnels: inout [TunnelConfig], _ known: inout ForwardIndex
    ) {
        let settings = OptionReader(path: "forwards", specs: TunnelSpecs.forward).read(node.entries, &issues)
        let options = OptionValues(TunnelSpecs.forward, set: settings.values)
        func place(_ name: String) -> ConfigOrigin { settings.origins[name] ?? node.origin }
        let kind = ForwardSpec.Kind(rawValue: options.string("kind")) ?? .local
        let bind = SocketPlace(parsing: options.string("bind"), allowsAnyPort: kind == .remote)
        let target = SocketPlace(parsing: options.string("target"))
        if bind == nil { complain(place("bind"), "forwards.bind", "expected host:port, or the path of a unix socket") }
        if target == nil {
            complain(place("target"), "forwards.target", "expected host:port, or the path of a unix socket")
        }
        if kind == .remote, case .unix? = bind {
            complain(place("bind"), "forwards.bind", "a remote forward listens at host:port")
        }
        if !ForwardProbe.isPath(options.string("probe_path")) {
            complain(place("probe_path"), "forwards.probe_path", "expected a path such as /ping")
        }
        if options.string("probe") != "http", let alone = ["probe_path", "probe_status"].first(where: settings.has) {
            complain(place(alone), "forwards.\(alone)", "it needs probe = \"http\"")
        }
        let name = options.string("tunnel")
        guard let index = known.tunnels[name] else {
            // A tunnel with mistakes of its own is not called unknown.
            let isThere = issues.contains { $0.key.hasPrefix("tunnels") }
            if !isThere {
                complain(
                    place("tunnel"), "forwards.tunnel",
                    name.isEmpty ? "a forward needs the name of its tunnel" : "there is no tunnel \"\(name)\"",
                    nearest: NearestName.find(name, among: tunnels.map(\.id)))
            }
            return
        }
        guard let bind, let target else { return }
        let id = options.string("name").isEmpty ? "\(kind.rawValue) \(bind)" : options.string("name")
        if id.hasPrefix(TunnelRoad.forwardPrefix) {
            complain(place("name"), "forwards.name", "names that begin with \"route \" are those of outputs' routes")
        }
        if !known.ids.insert([name, id]).inserted {
            complain(node.origin, "forwards.name", "there are two forwards \"\(id)\" in the tunnel \"\(name)\"")
        } else if !known.take(bind, kind, name) {
            complain(place("bind"), "forwards.bind", "another forward listens at \(bind)")
        }
        var forward = ForwardSpec(id: id, kind: kind, bind: bind, target: target)
        forward.setProbe(options)
        tunnels[index].forwards.append(forward)
        origins["forwards.\(name)/\(id)"] = place("bind")
    }
}

/// What forwards so far have taken.
private struct ForwardIndex {
    /// The place of each tunnel in the list.
    var tunnels: [String: Int] = [:]
    /// Tunnel and id.
    var ids: Set<[String]> = []
    private var binds: Set<[String]> = []

    init(_ tunnels: [TunnelConfig]) {
        for (place, tunnel) in tunnels.enumerated() { self.tunnels[tunnel.id] = place }
    }

    /// False when another forward listens there. A port that the server chooses is nobody's.
    mutating func take(_ bind: SocketPlace, _ kind: ForwardSpec.Kind, _ tunnel: String) -> Bool {
        if case .tcp(let place) = bind, place.port == 0 { return true }
        return binds.insert(kind == .local ? ["\(bind)"] : ["\(bind)", tunnel]).inserted
    }
}
