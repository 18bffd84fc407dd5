/// Environment variables in strings of the configuration.
///
/// Shape: `$NAME`, `${NAME}`; `${NAME:-default}` when unset or empty, `${NAME-default}` when unset; `${NAME:?message}`
/// and `${NAME?message}` fail; `${NAME:+text}` and `${NAME+text}` give text when set; `$$` is a dollar. A variable that
/// is not set and has no default, and text that is no pattern (`${1}`, `$ `), stay as written. What is put in is not
/// looked at again, but a default may hold patterns itself.
/// Why strict: the file is parsed first and only string values are replaced, so that no variable can add keys.
public enum EnvironmentSubstitution {
    /// A `?` pattern whose variable is missing.
    public struct MissingVariable: Error, Sendable, Hashable {
        public let name: String
        public let message: String
    }

    /// Defaults nest at most this deep; beyond it they stay as written.
    static let depthLimit = 8

    /// A `${…}` longer than this stays as written: it bounds the search for its end.
    static let lengthLimit = 1024

    /// `text` with its patterns replaced. Errors: a required variable that is not set.
    public static func apply(_ text: String, _ environment: [String: String]) throws(MissingVariable) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        return String(decoding: try apply(Array(text.utf8)[...], environment, depth: 0), as: UTF8.self)
    }

    private static func apply(
        _ text: ArraySlice<UInt8>, _ environment: [String: String], depth: Int
    ) throws(MissingVariable) -> [UInt8] {
        var out: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "$") else {
                out.append(byte)
                continue
            }
            if rest.first == byte {
                rest = rest.dropFirst()
                out.append(byte)
            } else if rest.first == UInt8(ascii: "{"), let end = closingBrace(rest) {
                let inside = rest[(rest.startIndex + 1)..<end]
                let written = [byte] + rest[...end]
                rest = rest[(end + 1)...]
                out += try value(of: inside, environment, depth) ?? written
            } else {
                let name = leadingName(rest)
                rest = rest.dropFirst(name.count)
                let found = name.isEmpty ? nil : environment[String(decoding: name, as: UTF8.self)]
                out += found.map { Array($0.utf8) } ?? [byte] + name
            }
        }
        return out
    }

    /// What the inside of `${…}` stands for; nil for what is no pattern or has no value.
    private static func value(
        of inside: ArraySlice<UInt8>, _ environment: [String: String], _ depth: Int
    ) throws(MissingVariable) -> [UInt8]? {
        let nameBytes = leadingName(inside)
        guard !nameBytes.isEmpty, depth < depthLimit else { return nil }
        let name = String(decoding: nameBytes, as: UTF8.self)
        let current = environment[name]
        var operation = inside.dropFirst(nameBytes.count)
        guard !operation.isEmpty else { return current.map { Array($0.utf8) } }
        let countsEmpty = operation.first == UInt8(ascii: ":")
        if countsEmpty { operation = operation.dropFirst() }
        let isSet = current.map { !(countsEmpty && $0.isEmpty) } ?? false
        guard let sign = operation.popFirst() else { return nil }
        switch sign {
        case UInt8(ascii: "-"):
            if isSet, let current { return Array(current.utf8) }
            return try apply(operation, environment, depth: depth + 1)
        case UInt8(ascii: "+"):
            return isSet ? try apply(operation, environment, depth: depth + 1) : []
        case UInt8(ascii: "?"):
            if isSet, let current { return Array(current.utf8) }
            throw MissingVariable(name: name, message: String(decoding: operation, as: UTF8.self))
        default:
            return nil
        }
    }

    /// The longest variable name at the start: letters, digits and underscores, no digit first.
    private static func leadingName(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let name = text.prefix { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: false
            }
        }
        guard let first = name.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else { return [] }
        return name
    }

    /// The index of the brace that closes the one at the start; nil when there is none.
    private static func closingBrace(_ text: ArraySlice<UInt8>) -> Int? {
        var depth = 0
        var previous: UInt8 = 0
        for (index, byte) in zip(text.indices, text).prefix(lengthLimit) {
            if byte == UInt8(ascii: "{"), depth == 0 || previous == UInt8(ascii: "$") { depth += 1 }
            if byte == UInt8(ascii: "}") {
                depth -= 1
                if depth == 0 { return index }
            }
            previous = byte
        }
        return nil
    }
}

extension ConfigNode {
    /// This value with environment variables put into all of its strings. Keys stay as they are.
    public func substituting(_ environment: [String: String], key: String, _ issues: inout [ConfigIssue]) -> ConfigNode
    {
        var result = self
        switch kind {
        case .string(let text):
            do throws(EnvironmentSubstitution.MissingVariable) {
                let replaced = try EnvironmentSubstitution.apply(text, environment)
                result.isSubstituted = replaced != text
                result.kind = .string(replaced)
            } catch {
                let reason = error.message.isEmpty ? "" : ": \(error.message)"
                issues.append(
                    ConfigIssue(.error, origin, key, "environment variable \(error.name) is not set\(reason)"))
            }
        case .array(let nodes):
            result.kind = .array(nodes.map { $0.substituting(environment, key: key, &issues) })
        case .table(let entries):
            result.kind = .table(
                entries.map { entry in
                    let path = key.isEmpty ? entry.key : "\(key).\(entry.key)"
                    return ConfigEntry(
                        entry.key, entry.value.substituting(environment, key: path, &issues), at: entry.origin)
                })
        case .integer, .float, .bool, .moment: break
        }
        return result
    }
}
