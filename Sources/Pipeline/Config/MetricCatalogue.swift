/// What all inputs emit, made readable from their declarations: `docs/metrics.md` and the command `metrics`.
public struct MetricCatalogue: Sendable {
    private let inputs: [PluginSpec]

    /// The inputs are shown in the order of their names, measurements and fields as they are declared.
    public init(_ inputs: [PluginSpec]) {
        self.inputs = inputs.sorted { $0.name < $1.name }
    }

    /// The page `docs/metrics.md`.
    public var markdown: String {
        var lines = [
            "# Metrics", "",
            "What each input emits: every field with its type, its unit and where the number comes from. Made by",
            "`make docs` from the declarations in the code; tests compare them with what the inputs really emit. Which",
            "option adds what, and the edge cases, are in [inputs](inputs.md).", "",
            "A name with `*` stands for all names that the source brings. A uint is written as an int (`123i`), unless",
            "the output has `influx_uint_support`. `1/s` is a number a second; `-` is a text, a flag or a code.", "",
        ]
        lines += inputs.map { "- [\($0.name)](#\($0.name)): \($0.summary)" } + [""]
        for input in inputs {
            lines += ["## \(input.name)", "", input.summary, ""]
            for metric in input.metrics { lines += MetricCatalogue.markdown(metric) }
        }
        while lines.last == "" { lines.removeLast() }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func markdown(_ metric: MetricSpec) -> [String] {
        var lines = ["### Measurement `\(metric.measurement)`", ""]
        if !metric.tags.isEmpty {
            lines += ["Tags: " + metric.tags.map { "`\($0)`" }.joined(separator: ", ") + ".", ""]
        }
        if !metric.note.isEmpty { lines += [metric.note, ""] }
        lines += ["| field | type | unit | source |", "|---|---|---|---|"]
        for field in metric.fields {
            lines.append(
                "| `\(field.name)` | \(field.kind.name) | \(field.unit.rawValue) | \(cell(field.source)) |")
        }
        return lines + [""]
    }

    /// Text that cannot leave its cell, nor become a tag of HTML.
    private static func cell(_ text: String) -> String {
        var out = ""
        for character in text {
            switch character {
            case "|": out += "\\|"
            case "<": out += "&lt;"
            case "\n": out += " "
            default: out.append(character)
            }
        }
        return out
    }

    /// Tables for the terminal.
    public var text: String {
        var lines: [String] = []
        for input in inputs {
            lines += ["\(input.name): \(input.summary)", ""]
            for metric in input.metrics {
                lines.append("  \(metric.measurement)" + metric.tags.map { ",\($0)" }.joined())
                if !metric.note.isEmpty { lines.append("    \(metric.note)") }
                var table = TextTable([("field", .left), ("type", .left), ("unit", .left), ("source", .left)])
                for field in metric.fields {
                    table.add(field.name, field.kind.name, field.unit.rawValue, field.source)
                }
                lines += table.lines(indent: "    ") + [""]
            }
        }
        return lines.joined(separator: "\n")
    }

    /// Shape: `{"inputs": [{"name", "summary", "measurements": [{"name", "tags", "note", "fields": [{"name", "type",
    /// "unit", "source"}]}]}]}`.
    public var json: JSONValue {
        .object([
            JSONMember(
                "inputs",
                .array(
                    inputs.map { input in
                        .object([
                            JSONMember("name", .string(input.name)), JSONMember("summary", .string(input.summary)),
                            JSONMember("measurements", .array(input.metrics.map(MetricCatalogue.json))),
                        ])
                    }))
        ])
    }

    private static func json(_ metric: MetricSpec) -> JSONValue {
        let fields = metric.fields.map { field in
            JSONValue.object([
                JSONMember("name", .string(field.name)), JSONMember("type", .string(field.kind.name)),
                JSONMember("unit", .string(field.unit.rawValue)), JSONMember("source", .string(field.source)),
            ])
        }
        return .object([
            JSONMember("name", .string(metric.measurement)),
            JSONMember("tags", .array(metric.tags.map { .string($0) })),
            JSONMember("note", .string(metric.note)), JSONMember("fields", .array(fields)),
        ])
    }
}

extension FieldKind {
    /// For people.
    public var name: String {
        switch self {
        case .int: "int"
        case .uint: "uint"
        case .float: "float"
        case .bool: "bool"
        case .string: "string"
        }
    }
}
