/// `[[processors.converter]]`: tags become fields and fields tags, fields change their type, and either may become the
/// name or the time of the point.
///
/// The first target whose patterns match a key counts. A value that cannot be converted is removed, except that a time
/// that cannot be read leaves its tag or field.
public struct ConverterRule: Sendable, Hashable {
    /// What a tag or field becomes.
    public enum Target: Sendable, Hashable {
        case measurement, tag, string, integer, unsigned, boolean, float, base64Float
        case time(TimeText)
    }

    /// The keys of one target.
    public struct Choice: Sendable, Hashable {
        public var target: Target
        public var keys: PatternList

        public init(_ target: Target, _ keys: PatternList) {
            self.target = target
            self.keys = keys
        }
    }

    /// In order of preference.
    public var tags: [Choice]
    public var fields: [Choice]

    public init(tags: [Choice] = [], fields: [Choice] = []) {
        self.tags = tags
        self.fields = fields
    }

    func apply(to point: inout Point) {
        if !tags.isEmpty { convertTags(&point) }
        if !fields.isEmpty { convertFields(&point) }
    }

    private func convertTags(_ point: inout Point) {
        for tag in point.tags {
            guard let choice = tags.first(where: { $0.keys.matches(tag.key) }) else { continue }
            let text = FieldValue.string(tag.value)
            switch choice.target {
            case .measurement: point.name = tag.value
            case .time(let format):
                guard let time = format.time(text) else { continue }
                point.time = time
            case .tag: continue
            default:
                if let value = ConverterRule.converted(text, choice.target) { point.set(field: tag.key, to: value) }
            }
            point.remove(tag: tag.key)
        }
    }

    private func convertFields(_ point: inout Point) {
        for field in point.fields {
            guard let choice = fields.first(where: { $0.keys.matches(field.key) }) else { continue }
            // The end of a series has no value that could be converted.
            if case .float(let value) = field.value, value.isStaleMarker { continue }
            switch choice.target {
            case .measurement:
                point.name = FieldConversion.string(field.value)
                point.remove(field: field.key)
            case .tag:
                point.set(tag: field.key, to: FieldConversion.string(field.value))
                point.remove(field: field.key)
            case .time(let format):
                guard let time = format.time(field.value) else { continue }
                point.time = time
                point.remove(field: field.key)
            default:
                if let value = ConverterRule.converted(field.value, choice.target) {
                    point.set(field: field.key, to: value)
                } else {
                    point.remove(field: field.key)
                }
            }
        }
    }

    private static func converted(_ value: FieldValue, _ target: Target) -> FieldValue? {
        switch target {
        case .string: .string(FieldConversion.string(value))
        case .integer: FieldConversion.integer(value).map { .int($0) }
        case .unsigned: FieldConversion.unsigned(value).map { .uint($0) }
        case .boolean: FieldConversion.bool(value).map { .bool($0) }
        case .float: FieldConversion.float(value).map { .float($0) }
        case .base64Float:
            if case .string(let text) = value { FieldConversion.base64Float(text).map { .float($0) } } else { nil }
        case .measurement, .tag, .time: nil
        }
    }
}
