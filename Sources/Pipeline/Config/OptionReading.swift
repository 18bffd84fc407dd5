/// What the file sets in one table, checked against the declarations.
struct OptionSettings {
    var values: [String: OptionValue] = [:]
    var origins: [String: ConfigOrigin] = [:]

    /// Whether the file sets it.
    func has(_ name: String) -> Bool { values[name] != nil }
}

/// Checks the entries of one table against declared options.
///
/// Names match without regard to case and underscores, as in Telegraf. All that is wrong is reported, nothing is thrown;
/// an option that is wrong keeps its default.
struct OptionReader {
    /// The dotted path of the table, for messages.
    let path: String
    let specs: [OptionSpec]
    /// Old name → new name.
    var oldNames: [String: String] = [:]
    /// Keys that the caller reads itself.
    var others: Set<String> = []
    /// Files that other users of the machine can read: secrets in them are worth a warning.
    var filesReadableByOthers: Set<String> = []

    func read(_ entries: [ConfigEntry], _ issues: inout [ConfigIssue]) -> OptionSettings {
        var settings = OptionSettings()
        let byName = Dictionary(
            specs.map { (NearestName.normalized($0.name), $0) }, uniquingKeysWith: { first, _ in first })
        let old = Dictionary(
            oldNames.map { (NearestName.normalized($0.key), $0.value) }, uniquingKeysWith: { first, _ in first })
        for entry in entries where !others.contains(entry.key) {
            let written = NearestName.normalized(entry.key)
            let renamed = old[written]
            guard let spec = byName[renamed.map(NearestName.normalized) ?? written] else {
                let known = specs.map(\.name) + others
                issues.append(
                    ConfigIssue(
                        .error, entry.origin, key(entry.key), "unknown option",
                        nearest: NearestName.find(entry.key, among: known)))
                continue
            }
            guard let value = value(entry, spec, &issues) else { continue }
            if let before = settings.values[spec.name] {
                if case (.strings(let first), .strings(let second)) = (before, value),
                    renamed != nil || isOld(spec.name)
                {
                    settings.values[spec.name] = .strings(first + second)
                } else {
                    issues.append(ConfigIssue(.error, entry.origin, key(entry.key), "\(spec.name) is set twice"))
                }
                continue
            }
            settings.values[spec.name] = value
            settings.origins[spec.name] = entry.origin
        }
        return settings
    }

    private func isOld(_ name: String) -> Bool { oldNames.values.contains(name) }

    private func key(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// The entry's value as its declaration wants it; nil, with an issue, when it is wrong.
    private func value(_ entry: ConfigEntry, _ spec: OptionSpec, _ issues: inout [ConfigIssue]) -> OptionValue? {
        let place = entry.value.origin
        guard let value = OptionReader.convert(entry.value, like: spec.fallback) else {
            let wanted = OptionReader.wanted(spec.fallback)
            issues.append(
                ConfigIssue(
                    .error, place, key(entry.key), "expected \(wanted), found \(OptionReader.found(entry.value, spec))")
            )
            return nil
        }
        if let complaint = choiceComplaint(value, spec) {
            issues.append(ConfigIssue(.error, place, key(entry.key), complaint.text, nearest: complaint.nearest))
            return nil
        }
        if let reason = spec.refusedBecause, value != spec.fallback {
            issues.append(ConfigIssue(.error, place, key(entry.key), reason))
            return nil
        }
        if let complaint = boundsComplaint(value, spec) {
            issues.append(ConfigIssue(.error, place, key(entry.key), complaint))
            return nil
        }
        if let reason = spec.ignoredBecause, value != spec.fallback {
            issues.append(ConfigIssue(.note, place, key(entry.key), "has no effect: \(reason)"))
        }
        if case .secret(let secret) = value, !secret.isEmpty, !entry.value.isSubstituted,
            filesReadableByOthers.contains(place.file)
        {
            issues.append(
                ConfigIssue(
                    .warning, place, key(entry.key),
                    "a secret stands in a file that other users can read; use chmod 600 or \(spec.name)_file"))
        }
        return value
    }

    // MARK: Kinds

    private static func convert(_ node: ConfigNode, like fallback: OptionValue) -> OptionValue? {
        switch (fallback, node.kind) {
        case (.bool, .bool(let value)): return .bool(value)
        case (.integer, .integer(let value)): return .integer(value)
        case (.float, .float(let value)): return value.isFinite ? .float(value) : nil
        case (.float, .integer(let value)): return .float(Double(value))
        case (.string, .string(let value)): return .string(value)
        case (.secret, .string(let value)): return .secret(Secret(value))
        case (.strings, .array(let nodes)): return strings(nodes).map { .strings($0) }
        // As Telegraf takes it: files have `precision = ""`.
        case (.duration, .string("")): return .duration(.zero)
        case (.numbers, .array(let nodes)): return numbers(nodes).map { .numbers($0) }
        case (.commands, .array(let nodes)): return commands(nodes).map { .commands($0) }
        case (.duration, .string(let value)): return Quantity.duration(value).map { .duration($0) }
        case (.duration, .integer(let value)): return Quantity.duration(seconds: Double(value)).map { .duration($0) }
        case (.duration, .float(let value)): return Quantity.duration(seconds: value).map { .duration($0) }
        case (.size, .string("")): return .size(0)
        case (.size, .string(let value)): return Quantity.size(value).map { .size($0) }
        case (.size, .integer(let value)): return value >= 0 ? .size(value) : nil
        case (.table, .table(let entries)): return table(entries)
        case (.listTable, .table(let entries)): return listTable(entries)
        default: return nil
        }
    }

    private static func strings(_ nodes: [ConfigNode]) -> [String]? {
        var out: [String] = []
        for node in nodes {
            guard case .string(let text) = node.kind else { return nil }
            out.append(text)
        }
        return out
    }

    private static func numbers(_ nodes: [ConfigNode]) -> [Double]? {
        var out: [Double] = []
        for node in nodes {
            switch node.kind {
            case .integer(let value): out.append(Double(value))
            case .float(let value) where value.isFinite: out.append(value)
            default: return nil
            }
        }
        return out
    }

    private static func commands(_ nodes: [ConfigNode]) -> [[String]]? {
        var out: [[String]] = []
        for node in nodes {
            switch node.kind {
            case .string(let text):
                guard let words = ShellWords.split(text) else { return nil }
                out.append(words)
            case .array(let parts):
                guard let words = strings(parts) else { return nil }
                out.append(words)
            default: return nil
            }
        }
        return out.contains([]) ? nil : out
    }

    private static func table(_ entries: [ConfigEntry]) -> OptionValue? {
        var out: [String: String] = [:]
        for entry in entries {
            guard case .string(let text) = entry.value.kind else { return nil }
            out[entry.key] = text
        }
        return .table(out)
    }

    private static func listTable(_ entries: [ConfigEntry]) -> OptionValue? {
        var out: [String: [String]] = [:]
        for entry in entries {
            guard case .array(let nodes) = entry.value.kind, let texts = strings(nodes) else { return nil }
            out[entry.key] = texts
        }
        return .listTable(out)
    }

    private static func wanted(_ fallback: OptionValue) -> String {
        switch fallback {
        case .bool: "true or false"
        case .integer: "a whole number"
        case .float: "a number"
        case .string, .secret: "a string"
        case .strings: "a list of strings"
        case .duration: "a duration such as \"10s\", \"1m30s\" or \"500ms\""
        case .size: "a size such as \"64KiB\", \"10MB\" or a number of bytes"
        case .numbers: "a list of numbers"
        case .commands: "a list of commands, each a string or a list of strings"
        case .table: "a table of strings"
        case .listTable: "a table of lists of strings"
        }
    }

    /// What stands there instead; the text of a secret is not repeated.
    private static func found(_ node: ConfigNode, _ spec: OptionSpec) -> String {
        if case .secret = spec.fallback { return node.kindName }
        switch node.kind {
        case .string(let text): return "\"\(text)\""
        case .integer(let value): return "\(value)"
        case .float(let value): return "\(value)"
        case .bool(let value): return "\(value)"
        default: return node.kindName
        }
    }

    // MARK: Choices and bounds

    private func choiceComplaint(_ value: OptionValue, _ spec: OptionSpec) -> (text: String, nearest: String?)? {
        guard !spec.choices.isEmpty else { return nil }
        let given: [String]
        switch value {
        case .string(let text): given = [text]
        case .strings(let texts): given = texts
        default: return nil
        }
        guard let wrong = given.first(where: { !spec.choices.contains($0) }) else { return nil }
        let allowed = spec.choices.map { "\"\($0)\"" }.joined(separator: ", ")
        return ("\"\(wrong)\" is not allowed; allowed: \(allowed)", NearestName.find(wrong, among: spec.choices))
    }

    private func boundsComplaint(_ value: OptionValue, _ spec: OptionSpec) -> String? {
        guard let bounds = spec.bounds else { return nil }
        switch value {
        case .integer(let number):
            guard !bounds.contains(Double(number)) else { return nil }
            let ends = [bounds.lowerBound, bounds.upperBound].map(OptionReader.whole)
            return "\(number) is out of range; allowed: \(ends.joined(separator: " to "))"
        case .float(let number):
            return bounds.contains(number)
                ? nil : "\(number) is out of range; allowed: \(bounds.lowerBound) to \(bounds.upperBound)"
        case .duration(let duration):
            guard !bounds.contains(duration.inSeconds) else { return nil }
            let ends = [bounds.lowerBound, bounds.upperBound].map {
                Quantity.duration(seconds: $0).map(Quantity.text) ?? "\($0)s"
            }
            return "\(Quantity.text(duration)) is out of range; allowed: \(ends.joined(separator: " to "))"
        case .size(let size):
            guard !bounds.contains(Double(size)) else { return nil }
            let ends = [bounds.lowerBound, bounds.upperBound].map {
                Quantity.text(size: Int64(exactly: $0) ?? .max)
            }
            return "\(Quantity.text(size: size)) is out of range; allowed: \(ends.joined(separator: " to "))"
        case .bool, .string, .strings, .numbers, .commands, .table, .listTable, .secret: return nil
        }
    }

    private static func whole(_ value: Double) -> String { Int64(exactly: value).map(String.init) ?? "\(value)" }
}
