/// Which metrics pass, and which of their fields and tags stay.
///
/// The lists are compiled when the configuration is read, so that a transform cannot fail.
public struct MetricFilter: Sendable, Hashable {
    /// Patterns for the values of one tag.
    public struct TagPatterns: Sendable, Hashable {
        public let key: String
        public let values: PatternList

        public init(key: String, values: PatternList) {
            self.key = key
            self.values = values
        }
    }

    public var namePass = PatternList.none
    public var nameDrop = PatternList.none
    /// A metric passes when any of these tags is present and matches.
    public var tagPass: [TagPatterns] = []
    public var tagDrop: [TagPatterns] = []
    public var fieldInclude = PatternList.none
    public var fieldExclude = PatternList.none
    public var tagInclude = PatternList.none
    public var tagExclude = PatternList.none

    public init() {}

    /// Lets everything through as it is.
    public static let open = MetricFilter()

    /// Whether a metric of this name and these tags is let through.
    public func passes(name: String, tags: [Tag]) -> Bool {
        if !namePass.isEmpty && !namePass.matches(name) { return false }
        if nameDrop.matches(name) { return false }
        if !tagPass.isEmpty && !MetricFilter.hits(tagPass, tags) { return false }
        return !MetricFilter.hits(tagDrop, tags)
    }

    private static func hits(_ filters: [TagPatterns], _ tags: [Tag]) -> Bool {
        filters.contains { filter in tags.contains { $0.key == filter.key && filter.values.matches($0.value) } }
    }

    /// Whether the field stays: among the included ones, if any are named, and not among the excluded.
    public func keepsField(_ key: String) -> Bool {
        (fieldInclude.isEmpty || fieldInclude.matches(key)) && !fieldExclude.matches(key)
    }

    /// Whether the tag stays, by the same rule.
    public func keepsTag(_ key: String) -> Bool {
        (tagInclude.isEmpty || tagInclude.matches(key)) && !tagExclude.matches(key)
    }
}

/// What a plugin's options make of a metric: its name, additional tags, and the filter.
public struct MetricOptions: Sendable, Hashable {
    /// Replaces the name, unless empty.
    public var nameOverride = ""
    public var namePrefix = ""
    public var nameSuffix = ""
    /// The plugin's own table `tags`; sorted, keys unique. Never overwrites what the data say.
    public var tags: [Tag] = []
    public var filter = MetricFilter.open
    /// Puts `tags` back after the tag filter (`always_include_local_tags` of the agent).
    public var keepsLocalTags = false
    /// Puts the global tags back after the tag filter (`always_include_global_tags` of the agent).
    public var keepsGlobalTags = false

    public init() {}
}

/// The way of a metric's name, tags and fields through one plugin, ready to be applied.
///
/// At an input: selection by the original name and the metric's own tags → new name → plugin tags → global tags → tag
/// and field filter → tags put back. At an output: selection → tag and field filter → new name. So `namepass` of an
/// input does not mention its prefix, and `tagdrop` on `host` has no effect there.
/// The result depends on nothing but name and tags: it may be cached per series.
public struct MetricTransform: Sendable, Hashable {
    /// Where a plugin stands: inputs add tags, outputs do not.
    public enum Stage: Sendable, Hashable { case input, output }

    private let options: MetricOptions
    private let globalTags: [Tag]
    private let stage: Stage

    /// `globalTags` hold `host` too, where it is wanted; an output adds none of them.
    public init(_ options: MetricOptions, globalTags: [Tag], stage: Stage) {
        self.options = options
        self.globalTags = globalTags
        self.stage = stage
    }

    /// The name and tags as they go on, tags sorted and unique; nil for a metric that is dropped.
    public func apply(name: String, tags: [Tag]) -> (name: String, tags: [Tag])? {
        guard options.filter.passes(name: name, tags: tags) else { return nil }
        var result = tags
        if stage == .input { result = adding([globalTags, options.tags], to: result) }
        result.removeAll { !options.filter.keepsTag($0.key) }
        if stage == .input {
            result = adding(
                [options.keepsGlobalTags ? globalTags : [], options.keepsLocalTags ? options.tags : []], to: result)
        }
        return (renamed(name), Series.normalized(result))
    }

    /// Whether a field stays. A metric of which no field stays is dropped by the caller.
    public func keepsField(_ key: String) -> Bool { options.filter.keepsField(key) }

    /// Whether every field stays, so that nobody needs to ask per field.
    public var keepsAllFields: Bool { options.filter.fieldInclude.isEmpty && options.filter.fieldExclude.isEmpty }

    private func renamed(_ name: String) -> String {
        options.namePrefix + (options.nameOverride.isEmpty ? name : options.nameOverride) + options.nameSuffix
    }

    /// `tags` together with those of `lower` whose keys are not yet there; later lists go before earlier ones.
    private func adding(_ lower: [[Tag]], to tags: [Tag]) -> [Tag] { Series.normalized(lower.flatMap { $0 } + tags) }
}
