/// Writes metrics in Prometheus text format 0.0.4, or in OpenMetrics 1.0.
///
/// Shape: for each family `# HELP name text`, `# TYPE name kind`, then `name{label="value"} 1` lines, each with LF. In
/// OpenMetrics a counter's family is named without `_total` (a counter with another name is of kind unknown, since names of
/// samples must not depend on the format), `# UNIT` says the base unit where the name ends in one, times are in
/// seconds, and `finish` writes the end.
/// Source: Prometheus, "Exposition formats"; OpenMetrics 1.0.
public struct PrometheusText: Sendable {
    public enum Kind: String, Sendable { case counter, gauge, histogram, summary, untyped }

    public private(set) var bytes: [UInt8] = []
    public let format: ExpositionFormat
    private var family = ""
    /// Names that families have, as they were given and as they were written.
    private var names: Set<String> = []

    public init(format: ExpositionFormat = .text) { self.format = format }

    /// Whether a family of that name was begun.
    public func has(_ name: String) -> Bool { names.contains(name) }

    /// Begins a family. Its samples follow at once: the format wants all lines of a name together.
    public mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        family = name
        names.insert(name)
        guard format == .openMetrics else {
            append("# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n")
            return
        }
        var (shown, word) = (name, kind.rawValue)
        switch kind {
        case .counter where name.hasSuffix("_total") && !names.contains(String(name.dropLast(6))):
            shown = String(name.dropLast(6))
            names.insert(shown)
        case .counter, .untyped: word = "unknown"
        case .gauge, .histogram, .summary: break
        }
        append("# HELP \(shown) \(Self.escaped(help, quotes: true))\n# TYPE \(shown) \(word)\n")
        if let unit = PrometheusName.unit(of: shown) { append("# UNIT \(shown) \(unit)\n") }
    }

    /// Ends a page: OpenMetrics says so.
    public mutating func finish() { if format == .openMetrics { append("# EOF\n") } }

    /// One sample of the current family. Label names are ours, label values anybody's.
    public mutating func sample(_ labels: [(String, String)], _ value: Double) {
        sample(labels, text: Self.number(value))
    }

    /// The same for a counter, exact beyond 2^53.
    public mutating func sample(_ labels: [(String, String)], _ value: UInt64) { sample(labels, text: String(value)) }

    /// One sample of the current family whose labels are written already, without braces; `value` is a number's text,
    /// `name` may be that of a part of the family.
    mutating func sample(rendered labels: String, _ value: String, name: String, time: Timestamp?) {
        append(name)
        if !labels.isEmpty {
            append("{")
            append(labels)
            append("}")
        }
        append(" ")
        append(value)
        if let time {
            append(" ")
            append(format == .text ? String(time.nanoseconds / 1_000_000) : Self.seconds(time))
        }
        append("\n")
    }

    private mutating func sample(_ labels: [(String, String)], text: String) {
        append(family)
        if !labels.isEmpty {
            append("{")
            append(labels.map { "\($0.0)=\"\(Self.escaped($0.1, quotes: true))\"" }.joined(separator: ","))
            append("}")
        }
        append(" \(text)\n")
    }

    /// A family of one sample without labels.
    public mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        family(name, kind, help)
        sample([], value)
    }

    /// `\` and LF are escaped, in label values `"` too. A zero byte, which some readers take for the end, is shown as �.
    static func escaped(_ text: String, quotes: Bool) -> String {
        guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x0A || $0 == 0x22 || $0 == 0 }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\0": result += "\u{FFFD}"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A number as the format writes it.
    public static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return String(whole) }
        return value.description
    }

    /// Seconds since 1970 to the millisecond.
    private static func seconds(_ time: Timestamp) -> String {
        let milliseconds = time.nanoseconds / 1_000_000
        let rest = String((milliseconds % 1_000).magnitude)
        let sign = milliseconds < 0 ? "-" : ""
        return sign + String((milliseconds / 1_000).magnitude) + "."
            + String(repeating: "0", count: max(0, 3 - rest.count)) + rest
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}
