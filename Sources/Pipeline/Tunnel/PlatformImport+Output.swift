/// Names, which are other people's text.
extension PlatformImport {
    static func isHost(_ text: String) -> Bool {
        if IPAddress(text) != nil { return true }
        return !text.isEmpty && text.utf8.count <= 253 && !text.hasPrefix("-")
            && text.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") }
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26 || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }

    /// A name as `[[tunnels]]` takes it: at most 50 bytes without blanks, slashes and control characters.
    static func tunnelName(_ text: String) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            let isPlain =
                scalar.value > 0x20 && !(0x7F...0xA0).contains(scalar.value) && scalar != "/"
                && !scalar.properties.isWhitespace && !scalar.properties.isDefaultIgnorableCodePoint
            let next = isPlain ? Character(scalar) : "-"
            guard name.utf8.count + next.utf8.count <= 50 else { break }
            name.append(next)
        }
        return name.isEmpty ? "endpoint" : name
    }

    /// A name that may stand on one line and commands no terminal; at most 120 bytes.
    static func label(_ text: String) -> String {
        var label = ""
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            let next: Character =
                isControl || scalar.properties.isDefaultIgnorableCodePoint ? "\u{FFFD}" : Character(scalar)
            guard label.utf8.count + next.utf8.count <= 120 else { break }
            label.append(next)
        }
        // Such names are those of outputs' routes.
        return label.hasPrefix(TunnelRoad.forwardPrefix) ? "imported \(label)" : label
    }

    static func fileName(_ name: String) -> String {
        let bytes = name.utf8.map { isWord($0) || $0 == UInt8(ascii: ".") ? $0 : UInt8(ascii: "_") }
        return (bytes.first == UInt8(ascii: ".") ? "_" : "") + String(decoding: bytes, as: UTF8.self)
    }
}

/// What is written.
extension PlatformImport {
    /// Sections for a configuration file. Holds no secret.
    public var toml: String {
        var text =
            "# Imported: \(tunnels.count) tunnels, \(forwards.count) forwards. Keys of the servers are to be put into\n"
        text += "# the file of known hosts first, and compared with what their owners say: ssh-keyscan -p PORT HOST\n"
        // A dollar is doubled, so that no name fetches a variable of the environment.
        func line(_ key: String, _ value: String) {
            text += "\(key) = \(OptionValue.string(value.replacing("$", with: "$$")).text)\n"
        }
        let byTunnel = Dictionary(grouping: forwards, by: \.tunnel)
        for tunnel in tunnels {
            text += "\n[[tunnels]]\n"
            line("name", tunnel.name)
            line("address", "\(tunnel.server)")
            line("user", tunnel.user)
            line("identity_file", tunnel.identityFile)
            line("known_hosts_file", settings.knownHostsFile)
            for forward in byTunnel[tunnel.name] ?? [] {
                text += "\n[[forwards]]\n"
                line("name", forward.name)
                line("tunnel", forward.tunnel)
                line("kind", forward.kind.rawValue)
                line("bind", "\(forward.bind)")
                line("target", "\(forward.target)")
                if case .http(let path, let status) = forward.probe {
                    line("probe", "http")
                    line("probe_path", path)
                    text += "probe_status = \(status)\n"
                }
            }
        }
        return text
    }

    /// Shape: `{"tunnels": […], "forwards": […], "issues": […]}`. Holds no secret.
    public var json: JSONValue {
        [
            "tunnels": .array(
                tunnels.map { tunnel in
                    [
                        "name": .string(tunnel.name), "address": .string("\(tunnel.server)"),
                        "user": .string(tunnel.user), "identity_file": .string(tunnel.identityFile),
                        "known_hosts_file": .string(settings.knownHostsFile), "has_key": .bool(!tunnel.key.isEmpty),
                        "file": .string(tunnel.origin.file), "line": .init(exactly: tunnel.origin.line),
                    ]
                }),
            "forwards": .array(
                forwards.map { forward in
                    [
                        "name": .string(forward.name), "tunnel": .string(forward.tunnel),
                        "kind": .string(forward.kind.rawValue), "bind": .string("\(forward.bind)"),
                        "target": .string("\(forward.target)"),
                        "probe": .string(forward.probe == .tcp ? "tcp" : "http"),
                        "file": .string(forward.origin.file), "line": .init(exactly: forward.origin.line),
                    ]
                }),
            "issues": .array(
                issues.map { issue in
                    [
                        "severity": .string(issue.severity.rawValue), "file": .string(issue.origin.file),
                        "line": .init(exactly: issue.origin.line), "key": .string(issue.key),
                        "message": .string(issue.message),
                    ]
                }),
        ]
    }
}
