/// `[[processors.rename]]`: other names for measurements, tags and fields, one after the other.
public struct RenameRule: Sendable, Hashable {
    /// What one `[[processors.rename.replace]]` renames.
    public enum Subject: Sendable, Hashable {
        case measurement(String)
        case tag(String)
        case field(String)
    }

    /// One renaming.
    public struct Step: Sendable, Hashable {
        public var subject: Subject
        public var newName: String

        public init(_ subject: Subject, to newName: String) {
            self.subject = subject
            self.newName = newName
        }
    }

    public var steps: [Step]

    public init(_ steps: [Step]) { self.steps = steps }

    func apply(to point: inout Point) {
        for step in steps {
            switch step.subject {
            case .measurement(let name): if point.name == name { point.name = step.newName }
            case .tag(let key):
                guard let value = point.tag(key) else { continue }
                point.remove(tag: key)
                point.set(tag: step.newName, to: value)
            case .field(let key):
                guard let value = point.field(key) else { continue }
                point.remove(field: key)
                point.set(field: step.newName, to: value)
            }
        }
    }
}

/// `[[processors.override]]`: a name, prefix, suffix and tags that replace what is there.
public struct OverrideRule: Sendable, Hashable {
    public var nameOverride: String
    public var namePrefix: String
    public var nameSuffix: String
    public var tags: [Tag]

    public init(nameOverride: String = "", namePrefix: String = "", nameSuffix: String = "", tags: [Tag] = []) {
        self.nameOverride = nameOverride
        self.namePrefix = namePrefix
        self.nameSuffix = nameSuffix
        self.tags = tags
    }

    func apply(to point: inout Point) {
        point.name = namePrefix + (nameOverride.isEmpty ? point.name : nameOverride) + nameSuffix
        for tag in tags { point.set(tag: tag.key, to: tag.value) }
    }
}

/// `[[processors.defaults]]`: fields and tags that are missing, empty or blank get a value.
public struct DefaultsRule: Sendable, Hashable {
    /// Sorted by key.
    public var fields: [Point.Field]
    public var tags: [Tag]

    public init(fields: [String: FieldValue] = [:], tags: [Tag] = []) {
        self.fields = fields.map { Point.Field(key: $0.key, value: $0.value) }.sorted {
            $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
        }
        self.tags = tags
    }

    func apply(to point: inout Point) {
        for field in fields {
            switch point.field(field.key) {
            case nil: point.set(field: field.key, to: field.value)
            case .string(let text)? where DefaultsRule.isBlank(text): point.set(field: field.key, to: field.value)
            default: break
            }
        }
        for tag in tags where point.tag(tag.key).map(DefaultsRule.isBlank) ?? true {
            point.set(tag: tag.key, to: tag.value)
        }
    }

    private static func isBlank(_ text: String) -> Bool { text.unicodeScalars.allSatisfy(\.properties.isWhitespace) }
}

/// `[[processors.tag_limit]]`: at most so many tags, some of which are kept before others.
public struct TagLimitRule: Sendable, Hashable {
    public var limit: Int
    public var keep: Set<String>

    public init(limit: Int, keep: Set<String> = []) {
        self.limit = limit
        self.keep = keep
    }

    /// Removes tags in the order of their keys until the limit is kept, never those to keep.
    func apply(to point: inout Point) {
        var surplus = point.tags.count - limit
        guard surplus > 0 else { return }
        point.keepTags { key in
            guard surplus > 0, !keep.contains(key) else { return true }
            surplus -= 1
            return false
        }
    }
}
