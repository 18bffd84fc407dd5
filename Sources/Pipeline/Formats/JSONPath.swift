/// A way to a part of a JSON text: keys and indexes parted by dots, `data.items.0`; a backslash makes the dot behind it
/// part of a key.
///
/// What other query languages have beside that (wildcards, conditions, functions) is refused when the option is read.
public struct JSONPath: Sendable, Hashable {
    private let steps: [String]

    /// The empty text is the whole document.
    /// Errors: what is not understood, in words.
    public init(_ text: String) throws(FormatError) {
        guard !text.contains(where: { "*?#@|()[]{}!".contains($0) }) else {
            throw FormatError("json_query \"\(text)\": only keys and indexes parted by dots are understood")
        }
        var steps: [String] = []
        var step = ""
        var isEscaped = false
        for character in text {
            if isEscaped {
                step.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "." {
                steps.append(step)
                step = ""
            } else {
                step.append(character)
            }
        }
        if !text.isEmpty { steps.append(step) }
        guard !isEscaped, !steps.contains("") else {
            throw FormatError("json_query \"\(text)\": a key is empty")
        }
        self.steps = steps
    }

    /// The part of `value` that the path leads to; nil when there is none.
    public func find(in value: JSONValue) -> JSONValue? {
        var value = value
        for step in steps {
            switch value {
            case .object:
                guard let next = value[step] else { return nil }
                value = next
            case .array:
                guard let index = Int(step), let next = value[index] else { return nil }
                value = next
            default: return nil
            }
        }
        return value
    }
}

/// Why foreign data cannot be read as they were asked for, in words.
public struct FormatError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
