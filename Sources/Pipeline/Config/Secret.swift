/// A password or token. It prints as `***` everywhere; only `revealed` gives the text.
public struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The secret itself, for the one place that sends it.
    public let revealed: String

    public init(_ text: String) { revealed = text }

    public static let none = Secret("")

    public var isEmpty: Bool { revealed.isEmpty }
    public var description: String { isEmpty ? "" : "***" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// `url` without its user information, and with the values of its query replaced: fit for a log or a status page.
    ///
    /// Shape: `https://user:pw@host/path?token=x` becomes `https://***@host/path?token=***`. Text that is no URL is
    /// treated by the same rules.
    public static func redacted(url: String) -> String {
        var bytes = Array(url.utf8)
        var query: [UInt8] = []
        if let mark = bytes.firstIndex(of: UInt8(ascii: "?")) {
            query = [UInt8](bytes[mark...])
            bytes.removeSubrange(mark...)
        }
        let slashes = Array("//".utf8)
        let start = bytes.indices.first { bytes[$0...].starts(with: slashes) }.map { $0 + 2 } ?? 0
        let end = bytes[start...].firstIndex(of: UInt8(ascii: "/")) ?? bytes.endIndex
        // A raw slash in a password ends the authority by the rules; hide all of it all the same.
        let at = bytes[start...].lastIndex(of: UInt8(ascii: "@"))
        if let at, at >= start, at < end || bytes[start..<at].contains(UInt8(ascii: ":")) {
            bytes.replaceSubrange(start..<at, with: Array("***".utf8))
        }
        return String(decoding: bytes, as: UTF8.self) + redacted(query: query)
    }

    private static func redacted(query: [UInt8]) -> String {
        var out: [UInt8] = []
        var isValue = false
        for byte in query {
            if byte == UInt8(ascii: "&") || byte == UInt8(ascii: ";") { isValue = false }
            if !isValue { out.append(byte) }
            if byte == UInt8(ascii: "="), !isValue {
                isValue = true
                out += Array("***".utf8)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
