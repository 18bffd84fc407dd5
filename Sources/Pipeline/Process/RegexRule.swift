/// `[[processors.regex]]`: values and names changed by regular expressions, section after section.
public struct RegexRule: Sendable, Hashable {
    /// `[[processors.regex.tags]]` or `fields`.
    public struct ValueStep: Sendable, Hashable {
        /// Of the tags or fields to look at.
        public var key: PatternList
        public var pattern: RE2Pattern
        /// nil: each named group becomes a tag or field of its own.
        public var replacement: RE2Replacement?
        /// Empty = where the value came from.
        public var resultKey: String
        /// Append to what is there; for tags.
        public var appends: Bool

        public init(
            key: PatternList, pattern: RE2Pattern, replacement: RE2Replacement?, resultKey: String = "",
            appends: Bool = false
        ) {
            self.key = key
            self.pattern = pattern
            self.replacement = replacement
            self.resultKey = resultKey
            self.appends = appends
        }
    }

    /// `tag_rename`, `field_rename` or `metric_rename`.
    public struct NameStep: Sendable, Hashable {
        public var pattern: RE2Pattern
        public var replacement: RE2Replacement
        /// Whether a tag or field that has the new name already gives way; otherwise nothing is renamed.
        public var overwrites: Bool

        public init(pattern: RE2Pattern, replacement: RE2Replacement, overwrites: Bool = false) {
            self.pattern = pattern
            self.replacement = replacement
            self.overwrites = overwrites
        }
    }

    public var tags: [ValueStep] = []
    public var fields: [ValueStep] = []
    public var tagNames: [NameStep] = []
    public var fieldNames: [NameStep] = []
    public var metricNames: [NameStep] = []

    public init() {}

    func apply(to point: inout Point) {
        for step in tags { change(tagsOf: &point, step) }
        for step in fields { change(fieldsOf: &point, step) }
        for step in tagNames {
            for tag in point.tags {
                guard let name = step.pattern.replacing(in: tag.key, with: step.replacement), name != tag.key,
                    step.overwrites || point.tag(name) == nil
                else { continue }
                point.remove(tag: tag.key)
                point.set(tag: name, to: tag.value)
            }
        }
        for step in fieldNames {
            for field in point.fields {
                guard let name = step.pattern.replacing(in: field.key, with: step.replacement), name != field.key,
                    step.overwrites || point.field(name) == nil
                else { continue }
                point.remove(field: field.key)
                point.set(field: name, to: field.value)
            }
        }
        for step in metricNames {
            if let name = step.pattern.replacing(in: point.name, with: step.replacement) { point.name = name }
        }
    }

    private func change(tagsOf point: inout Point, _ step: ValueStep) {
        for tag in point.tags where step.key.matches(tag.key) {
            for (key, value) in RegexRule.results(tag.key, tag.value, step) {
                let before = step.appends ? point.tag(key) ?? "" : ""
                point.set(tag: key, to: before + value)
            }
        }
    }

    private func change(fieldsOf point: inout Point, _ step: ValueStep) {
        for field in point.fields where step.key.matches(field.key) {
            guard case .string(let text) = field.value else { continue }
            for (key, value) in RegexRule.results(field.key, text, step) { point.set(field: key, to: .string(value)) }
        }
    }

    /// What is to be set; nothing without a match.
    private static func results(_ key: String, _ text: String, _ step: ValueStep) -> [(key: String, value: String)] {
        guard let replacement = step.replacement else {
            let groups = step.pattern.groups(of: text) ?? []
            return zip(step.pattern.groupNames, groups).filter { !$0.1.isEmpty }.map { (key: $0.0, value: $0.1) }
        }
        guard let value = step.pattern.replacing(in: text, with: replacement) else { return [] }
        return [(key: step.resultKey.isEmpty ? key : step.resultKey, value: value)]
    }
}
