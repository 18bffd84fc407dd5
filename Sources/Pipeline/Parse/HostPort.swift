/// The two parts of `host:port`; an IPv6 address stands in brackets.
///
/// Shape: `example.org:80`, `[::1]:80`, `:80` (an empty host). A port is a number or the name of a service.
public struct HostPort: Sendable, Hashable {
    public var host: String
    public var port: String

    /// nil for anything else, and for an empty port.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let port = text[text.index(after: colon)...]
        if host.hasPrefix("["), host.hasSuffix("]"), host.count >= 2 {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !port.isEmpty, !host.contains(where: { $0 == "[" || $0 == "]" }),
            !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F })
        else {
            return nil
        }
        self.host = String(host)
        self.port = String(port)
    }
}
