extension OptionValue {
    /// The value as it would be written in a configuration file. Tables stand on one line; secrets are not shown.
    public var text: String {
        switch self {
        case .bool(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .float(let value): "\(value)"
        case .string(let value): OptionValue.quoted(value)
        case .secret(let value): OptionValue.quoted(value.description)
        case .strings(let values): OptionValue.list(values)
        case .duration(let value): OptionValue.quoted(Quantity.text(value))
        case .size(let value): OptionValue.quoted(Quantity.text(size: value))
        case .table(let values):
            OptionValue.braced(values.map { "\(OptionValue.quoted($0.key)) = \(OptionValue.quoted($0.value))" })
        case .numbers(let values): "[" + values.map { "\($0)" }.joined(separator: ", ") + "]"
        case .commands(let values): "[" + values.map(OptionValue.list).joined(separator: ", ") + "]"
        case .listTable(let values):
            OptionValue.braced(values.map { "\(OptionValue.quoted($0.key)) = \(OptionValue.list($0.value))" })
        }
    }

    private static func list(_ values: [String]) -> String { "[" + values.map(quoted).joined(separator: ", ") + "]" }

    private static func braced(_ members: [String]) -> String {
        members.isEmpty ? "{}" : "{ " + members.sorted().joined(separator: ", ") + " }"
    }

    private static func quoted(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": out += "\\\(scalar)"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            default:
                guard scalar.value < 0x20 || scalar.value == 0x7F else {
                    out.unicodeScalars.append(scalar)
                    continue
                }
                let digits = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            }
        }
        return out + "\""
    }
}
