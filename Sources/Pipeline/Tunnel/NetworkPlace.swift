/// A host and a port.
///
/// Shape: `host:port`, `192.0.2.1:22`, `[2001:db8::1]:22`; without a port where a default is given, then also a bare
/// IPv6 address.
public struct NetworkPlace: Sendable, Hashable, CustomStringConvertible {
    public var host: String
    public var port: UInt16

    public init(_ host: String, _ port: UInt16) {
        self.host = host
        self.port = port
    }

    /// nil for what is no host and port. An empty host is refused, unless `allowsEmptyHost`.
    /// Port 0 is refused, unless `allowsAnyPort`.
    public init?(parsing text: String, defaultPort: UInt16? = nil, allowsAnyPort: Bool = false) {
        let bytes = Array(text.utf8)
        guard bytes.count <= 300, !bytes.contains(where: { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "/") }) else {
            return nil
        }
        var host = bytes[...]
        var rest = bytes[bytes.endIndex...]
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = bytes[1..<end]
            rest = bytes[(end + 1)...]
        } else if let colon = bytes.lastIndex(of: UInt8(ascii: ":")) {
            let isBareIPv6 = bytes[..<colon].contains(UInt8(ascii: ":"))
            if isBareIPv6 {
                guard defaultPort != nil else { return nil }
            } else {
                host = bytes[..<colon]
                rest = bytes[colon...]
            }
        }
        guard !host.isEmpty, !host.contains(where: { "[]@".utf8.contains($0) }) else { return nil }
        self.host = String(decoding: host, as: UTF8.self)
        if rest.isEmpty {
            guard let defaultPort else { return nil }
            port = defaultPort
        } else {
            let digits = rest.dropFirst()
            guard rest.first == UInt8(ascii: ":"), !digits.isEmpty, digits.allSatisfy({ $0 &- 0x30 < 10 }),
                let number = UInt16(String(decoding: digits, as: UTF8.self)), number > 0 || allowsAnyPort
            else { return nil }
            port = number
        }
    }

    public var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether only this machine can reach a listener at this host.
    public var isLoopback: Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.") || host == "ip6-localhost"
    }
}

/// Where a forward listens or leads: a TCP address or a unix socket.
///
/// Shape: `host:port`, `/path/of.sock` or `unix:///path/of.sock`.
public enum SocketPlace: Sendable, Hashable, CustomStringConvertible {
    case tcp(NetworkPlace)
    case unix(String)

    public init?(parsing text: String, allowsAnyPort: Bool = false) {
        let path = text.hasPrefix("unix://") ? String(text.dropFirst(7)) : text
        if path.hasPrefix("/") {
            // 107 bytes is what the kernel takes.
            guard path.utf8.count <= 107, !path.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return nil }
            self = .unix(path)
        } else {
            guard let place = NetworkPlace(parsing: text, allowsAnyPort: allowsAnyPort) else { return nil }
            self = .tcp(place)
        }
    }

    public var description: String {
        switch self {
        case .tcp(let place): place.description
        case .unix(let path): "unix://\(path)"
        }
    }
}
