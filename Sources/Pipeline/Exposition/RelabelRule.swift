/// One step of relabelling, by the rules of Prometheus.
///
/// The values of the source labels, joined by the separator, are held against the expression, which must match all of
/// them. Labels that begin with `__` are for the rules alone.
/// Source: the section `relabel_config` of Prometheus' configuration page.
public struct RelabelRule: Sendable, Hashable {
    public enum Action: String, Sendable, Hashable, CaseIterable {
        case replace, keep, drop, labelmap, labelkeep, labeldrop, lowercase, uppercase
    }

    /// Why a rule makes no sense.
    public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
        public var description: String
    }

    public static let options: [OptionSpec] = [
        OptionSpec("source_labels", .strings([]), "Labels whose values are looked at, joined by the separator."),
        OptionSpec("separator", .string(";"), "What joins them."),
        OptionSpec("regex", .string("(.*)"), "Regular expression that must match all of the value."),
        OptionSpec("target_label", .string(""), "replace, lowercase, uppercase: the label that is set."),
        OptionSpec("replacement", .string("$1"), "replace, labelmap: its new value or name; $1 is a group."),
        OptionSpec(
            "action", .string("replace"), "What the rule does.", choices: Action.allCases.map(\.rawValue).sorted()),
    ]

    private let action: Action
    private let sources: [String]
    private let separator: String
    private let pattern: RE2Pattern
    private let target: RE2Replacement
    private let targetText: String
    private let replacement: RE2Replacement

    /// By the options above. Errors: an expression that cannot be compiled, an action without what it needs.
    public init(_ options: OptionValues) throws(Failure) {
        action = Action(rawValue: options.string("action")) ?? .replace
        sources = options.strings("source_labels")
        separator = options.string("separator")
        targetText = options.string("target_label")
        do throws(RE2Pattern.SyntaxError) { pattern = try RE2Pattern("^(?:" + options.string("regex") + ")$") } catch {
            throw Failure(description: "\(error)")
        }
        target = RE2Replacement(targetText)
        replacement = RE2Replacement(options.string("replacement"))
        switch action {
        case .replace, .lowercase, .uppercase:
            if targetText.isEmpty { throw Failure(description: "\(action.rawValue) needs a target_label") }
        case .keep, .drop:
            if sources.isEmpty { throw Failure(description: "\(action.rawValue) needs source_labels") }
        case .labelmap, .labelkeep, .labeldrop: break
        }
    }

    /// Changes the labels; false when whatever has them is to be dropped.
    public func apply(_ labels: inout [String: String]) -> Bool {
        let value = sources.map { labels[$0] ?? "" }.joined(separator: separator)
        switch action {
        case .keep: return pattern.matches(value)
        case .drop: return !pattern.matches(value)
        case .lowercase: labels[targetText] = value.lowercased()
        case .uppercase: labels[targetText] = value.uppercased()
        case .replace:
            guard let name = pattern.replacing(in: value, with: target), ExpositionName.isLabel(name),
                let text = pattern.replacing(in: value, with: replacement)
            else { return true }
            labels[name] = text.isEmpty ? nil : text
        case .labelmap:
            for (name, text) in labels {
                if let other = pattern.replacing(in: name, with: replacement), ExpositionName.isLabel(other) {
                    labels[other] = text
                }
            }
        case .labelkeep: labels = labels.filter { pattern.matches($0.key) }
        case .labeldrop: labels = labels.filter { !pattern.matches($0.key) }
        }
        return true
    }

    /// Applies all rules in their order; nil when one of them drops.
    public static func apply(_ rules: [RelabelRule], to labels: [String: String]) -> [String: String]? {
        var labels = labels
        for rule in rules where !rule.apply(&labels) { return nil }
        return labels
    }
}
