/// One thing that is wrong, or worth knowing, about a configuration.
///
/// Shape: `config.toml:12: outputs.influxdb.timeot: unknown option (nearest: "timeout")`.
public struct ConfigIssue: Error, Sendable, Hashable, Comparable, CustomStringConvertible {
    public enum Severity: String, Sendable, Hashable {
        /// Nothing starts with this.
        case error
        /// It runs, perhaps not as meant.
        case warning
        /// Accepted for compatibility, without effect.
        case note
    }

    public var severity: Severity
    public var origin: ConfigOrigin
    /// The dotted path of the key; empty for the file as a whole.
    public var key: String
    public var message: String
    /// The nearest known name, where the one in the file is not known.
    public var nearest: String?

    public init(_ severity: Severity, _ origin: ConfigOrigin, _ key: String, _ message: String, nearest: String? = nil)
    {
        self.severity = severity
        self.origin = origin
        self.key = key
        self.message = message
        self.nearest = nearest
    }

    public var description: String {
        var text = "\(origin): "
        if severity != .error { text += "\(severity.rawValue): " }
        if !key.isEmpty { text += "\(key): " }
        text += message
        if let nearest { text += " (nearest: \"\(nearest)\")" }
        return ConfigIssue.printable(text)
    }

    /// By place: file, then line.
    public static func < (a: ConfigIssue, b: ConfigIssue) -> Bool {
        a.origin == b.origin ? a.key < b.key : a.origin < b.origin
    }

    /// `text` on one line, without control characters, at most 600 characters: no file can command a terminal.
    static func printable(_ text: String) -> String {
        var out = String.UnicodeScalarView()
        for (index, scalar) in text.unicodeScalars.enumerated() {
            if index == 600 { return String(out) + "…" }
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            out.append(isControl ? "\u{FFFD}" : scalar)
        }
        return String(out)
    }
}

extension Sequence<ConfigIssue> {
    /// Whether any of them forbids a start.
    public var hasErrors: Bool { contains { $0.severity == .error } }
}
