/// Writes metrics in Prometheus text format 0.0.4.
///
/// Shape: for each family `# HELP name text`, `# TYPE name kind`, then `name{label="value"} 1` lines, each with LF.
/// Source: Prometheus, "Exposition formats".
public struct PrometheusText: Sendable {
    public enum Kind: String, Sendable { case counter, gauge, histogram, summary, untyped }

    public private(set) var bytes: [UInt8] = []
    private var family = ""

    public init() {}

    /// Begins a family. Its samples follow at once: the format wants all lines of a name together.
    public mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        family = name
        append("# HELP \(name) \(Self.escaped(help, quotes: false))\n# TYPE \(name) \(kind.rawValue)\n")
    }

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
        if !labels.isEmpty { append("{\(labels)}") }
        append(" \(value)")
        if let time { append(" \(time.nanoseconds / 1_000_000)") }
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

    /// `\` and LF are escaped, in label values `"` too.
    static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
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

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
}
