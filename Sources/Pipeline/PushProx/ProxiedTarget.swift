/// The name under which a client can be scraped, in the form in which names are compared: lower case, without the dot
/// at its end and without the brackets of an IPv6 address.
public struct ScrapeName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let description: String

    /// Errors: nil for what is no host name and no address: empty, longer than 253 bytes, other characters, a port.
    public init?(_ text: some StringProtocol) {
        var bytes = Array(text.utf8)
        if bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]") {
            bytes = Array(bytes.dropFirst().dropLast())
            guard bytes.contains(UInt8(ascii: ":")) else { return nil }
        }
        if bytes.contains(UInt8(ascii: ":")) {
            // One address has many spellings.
            guard let address = IPAddress(String(decoding: bytes, as: UTF8.self)) else { return nil }
            description = address.description
            return
        }
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        guard !bytes.isEmpty, bytes.count <= 253 else { return nil }
        for index in bytes.indices {
            switch bytes[index] {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): bytes[index] += 0x20
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                UInt8(ascii: "."), UInt8(ascii: "_"):
                break
            default: return nil
            }
        }
        description = String(decoding: bytes, as: UTF8.self)
    }

    public static func < (one: ScrapeName, other: ScrapeName) -> Bool { one.description < other.description }

    /// Whether a certificate's DNS name covers this one: the same, or `*.` for one label.
    public func isCovered(by pattern: String) -> Bool {
        let pattern = pattern.lowercased()
        if pattern == description { return true }
        guard pattern.hasPrefix("*."), let dot = description.firstIndex(of: "."), dot != description.startIndex else {
            return false
        }
        return description[dot...] == pattern.dropFirst()
    }
}

/// What a scraper asks for: a URL in absolute form, taken apart.
public struct ProxiedTarget: Sendable, Hashable {
    public let scheme: String
    public let name: ScrapeName
    /// nil: the scheme's.
    public let port: UInt16?
    /// Path and query as they came; `/` when there were none.
    public let pathAndQuery: String

    /// Errors: nil for another form, another scheme, user information, a host that is no name, a port that is none.
    public init?(absolute text: String) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else { return nil }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        scheme = text[..<colon].lowercased()
        guard scheme == "http" || scheme == "https" else { return nil }
        var rest = text[text.index(colon, offsetBy: 3)...]
        if let mark = rest.firstIndex(of: "#") { rest = rest[..<mark] }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let tail = String(rest[end...])
        pathAndQuery = tail.isEmpty ? "/" : tail.hasPrefix("?") ? "/" + tail : tail
        var host = rest[..<end]
        guard !host.contains("@") else { return nil }
        var digits: Substring?
        if host.hasPrefix("[") {
            guard let bracket = host.firstIndex(of: "]") else { return nil }
            let behind = host[host.index(after: bracket)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { return nil }
            digits = behind.isEmpty ? nil : behind.dropFirst()
            host = host[...bracket]
        } else if let mark = host.firstIndex(of: ":") {
            digits = host[host.index(after: mark)...]
            host = host[..<mark]
        }
        guard let name = ScrapeName(host) else { return nil }
        self.name = name
        if let digits, !digits.isEmpty {
            guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits) else {
                return nil
            }
            port = number
        } else {
            port = nil
        }
    }

    /// Path without the query.
    public var path: String { String(pathAndQuery.prefix { $0 != "?" }) }

    /// The port that a connection would go to.
    public var effectivePort: UInt16 { port ?? (scheme == "https" ? 443 : 80) }

    /// The same URL with the host spelt as given, which may be an IPv6 address.
    public func absolute(host: String) -> String { "\(scheme)://\(authority(host: host))\(pathAndQuery)" }

    /// Host and, where it was given, port.
    public func authority(host: String) -> String {
        let bracketed = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        return port.map { "\(bracketed):\($0)" } ?? bracketed
    }
}

/// The seconds that a scraper grants, as the header `X-Prometheus-Scrape-Timeout-Seconds` has them.
public enum ScrapeTimeout {
    public static let header = "X-Prometheus-Scrape-Timeout-Seconds"
    static let lowercased = "x-prometheus-scrape-timeout-seconds"
    /// What the real client writes for it.
    static let misspelt = "x-prometheus-scrape-timeout"

    /// `fallback` for a header that is missing or no number; at most `limit`; nil for what leaves no time at all.
    public static func parse(_ text: String?, fallback: Duration, limit: Duration) -> Duration? {
        guard let text, let seconds = Double(trimmed(text).filter { $0 != "_" }) else { return min(fallback, limit) }
        // A nanosecond is the least that there is.
        guard seconds.isFinite, seconds >= 1e-9 else { return nil }
        let most = Double(limit.wholeNanoseconds) / 1e9
        return .nanoseconds(Int64(min(seconds, most) * 1e9))
    }

    private static func trimmed(_ text: String) -> Substring {
        var text = text[...]
        while let last = text.last, last == " " || last == "\t" { text = text.dropLast() }
        return text.drop { $0 == " " || $0 == "\t" }
    }

    /// Seconds with three decimals, for whoever reads them next; never less than a millisecond.
    public static func text(_ time: Duration) -> String {
        let milliseconds = max(1, time.wholeNanoseconds / 1_000_000)
        let rest = String(milliseconds % 1_000)
        return "\(milliseconds / 1_000)." + String(repeating: "0", count: 3 - rest.utf8.count) + rest
    }

    /// What is kept back, so that an answer comes before its reader gives up: a tenth, at most half a second.
    public static func reserve(of time: Duration) -> Duration { min(time / 10, .milliseconds(500)) }
}
