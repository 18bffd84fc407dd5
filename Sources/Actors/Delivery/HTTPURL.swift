/// The parts of an `http` or `https` URL that we need; libcurl checks the rest.
///
/// Shape: `scheme://[user[:password]@]host[:port][/path][?query]`, host an IPv6 address in brackets where it is one.
public struct HTTPURL: Sendable, Hashable {
    public let scheme: String
    /// Percent-decoded; nil without user information.
    public let user: String?
    public let password: String?
    /// Without brackets.
    public let host: String
    public let explicitPort: String?
    /// From the first slash on, without query and fragment; may be empty.
    public let path: String
    /// Without the question mark.
    public let query: String?

    /// Errors: nil for another scheme, an empty host, a port that is no number, a control character or a space.
    public init?(_ text: String) {
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }), let colon = text.firstIndex(of: ":") else {
            return nil
        }
        scheme = text[..<colon].lowercased()
        guard scheme == "http" || scheme == "https", text[colon...].hasPrefix("://") else { return nil }
        var rest = text[text.index(colon, offsetBy: 3)...]
        if let mark = rest.firstIndex(of: "#") { rest = rest[..<mark] }
        if let mark = rest.firstIndex(of: "?") {
            query = String(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        } else {
            query = nil
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        path = String(rest[slash...])
        var authority = rest[..<slash]
        if let at = authority.lastIndex(of: "@") {
            let pair = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            user = pair.first.map { Self.percentDecoded(String($0)) }
            password = pair.count > 1 ? Self.percentDecoded(String(pair[1])) : nil
            authority = authority[authority.index(after: at)...]
        } else {
            user = nil
            password = nil
        }
        let port: Substring?
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            host = String(authority[authority.index(after: authority.startIndex)..<end])
            let after = authority[authority.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { return nil }
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let mark = authority.lastIndex(of: ":") {
            host = String(authority[..<mark])
            port = authority[authority.index(after: mark)...]
        } else {
            host = String(authority)
            port = nil
        }
        explicitPort = port.map(String.init)
        guard !host.isEmpty, port.map({ UInt16($0) != nil }) ?? true else { return nil }
    }

    public var port: String { explicitPort ?? (scheme == "https" ? "443" : "80") }
    /// As it stands in a URL.
    public var bracketedHost: String { host.contains(":") ? "[\(host)]" : host }
    /// Host and, where given, port.
    public var authority: String { explicitPort.map { "\(bracketedHost):\($0)" } ?? bracketedHost }

    /// The URL without user information.
    var withoutUser: String { replacingHost(with: bracketedHost) }

    /// The URL with another host, without user information.
    func replacingHost(with name: String) -> String {
        let port = explicitPort.map { ":\($0)" } ?? ""
        return "\(scheme)://\(name)\(port)\(path)\(query.map { "?\($0)" } ?? "")"
    }

    /// The URL of something below this one, without user information: `path` is appended, `items` join the query.
    public func appending(path suffix: String, items: [(String, String)]) -> String {
        let base = path.hasSuffix("/") ? String(path.dropLast()) : path
        var parts = items.map { "\(Self.percentEncoded($0.0))=\(Self.percentEncoded($0.1))" }
        if let query, !query.isEmpty { parts.insert(query, at: 0) }
        return "\(scheme)://\(authority)\(base)\(suffix)" + (parts.isEmpty ? "" : "?" + parts.joined(separator: "&"))
    }

    /// RFC 3986: everything but the unreserved characters is written as `%XX`.
    public static func percentEncoded(_ text: String) -> String {
        let hex = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `%XX` read back; a percent sign without two hexadecimal digits stays.
    static func percentDecoded(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var out: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = hexDigit(bytes[index + 1]),
                let low = hexDigit(bytes[index + 2])
            {
                out.append(high << 4 | low)
                index += 3
            } else {
                out.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
