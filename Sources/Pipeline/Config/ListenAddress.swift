/// An address to listen at, as configuration files write it.
///
/// Shape: `127.0.0.1:8186`, `[::1]:8186`, `localhost:8186`, `:8186` for all addresses; a scheme such as `udp://` may stand
/// before it. Names other than `localhost` are refused: what they mean is decided elsewhere.
public struct ListenAddress: Sendable, Hashable {
    /// Before `://`; empty when there is none.
    public let scheme: String
    /// An IP address; empty for all addresses.
    public let host: String
    public let port: UInt16

    /// nil for another text.
    public init?(_ text: String) {
        var rest = Substring(text)
        if let mark = rest.firstRange(of: "://") {
            scheme = String(rest[..<mark.lowerBound])
            rest = rest[mark.upperBound...]
        } else {
            scheme = ""
        }
        guard let colon = rest.lastIndex(of: ":"), let port = UInt16(rest[rest.index(after: colon)...]) else {
            return nil
        }
        self.port = port
        var name = rest[..<colon]
        if name.first == "[", name.last == "]" {
            name = name.dropFirst().dropLast()
            guard name.contains(":") else { return nil }
        } else if name.contains(":") {
            return nil
        }
        if name == "localhost" { name = "127.0.0.1" }
        guard name.allSatisfy({ $0.isHexDigit || $0 == "." || $0 == ":" }) else { return nil }
        host = String(name)
    }

    /// Whether only this machine can reach it.
    public var isLoopback: Bool { host.hasPrefix("127.") || host == "::1" }
}
