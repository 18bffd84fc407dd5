/// Makes the rule of a processor of its checked options; what cannot be compiled becomes an issue.
struct ProcessorCompiler {
    private let instance: ConfigDecodingRun.Instance
    private let options: OptionValues
    private let origins: [String: ConfigOrigin]
    private let tables: [Subtable]
    private(set) var issues: [ConfigIssue] = []

    init(
        _ instance: ConfigDecodingRun.Instance, _ options: OptionValues, _ origins: [String: ConfigOrigin],
        _ tables: [Subtable]
    ) {
        self.instance = instance
        self.options = options
        self.origins = origins
        self.tables = tables
    }

    /// What the tables set, the same text in every process.
    var lines: [String] { options.lines + tables.flatMap(\.lines) }

    /// nil only for a plugin that nobody has declared.
    mutating func rule() -> ProcessorRule? {
        switch instance.plugin {
        case "rename": .rename(rename())
        case "converter": converter()
        case "regex": .regex(regex())
        case "defaults": defaults()
        case "strings": .strings(strings())
        case "override":
            .override(
                OverrideRule(
                    nameOverride: options.string("name_override"), namePrefix: options.string("name_prefix"),
                    nameSuffix: options.string("name_suffix"),
                    tags: Series.normalized(options.table("tags").map { Tag($0.key, $0.value) })))
        case "tag_limit": tagLimit()
        case "dedup":
            .dedup(
                interval: options.duration("dedup_interval"),
                seriesLimit: Int(clamping: options.integer("series_limit")))
        default: nil
        }
    }

    private mutating func complain(_ table: Subtable, _ option: String, _ message: String) {
        let place = table.origins[option] ?? table.origin
        issues.append(ConfigIssue(.error, place, "\(table.path).\(option)", message))
    }

    // MARK: rename, tag_limit, defaults

    private func rename() -> RenameRule {
        RenameRule(
            tables.compactMap { table in
                let name = table.options.string("dest")
                guard !name.isEmpty else { return nil }
                for (option, subject) in [
                    ("measurement", RenameRule.Subject.measurement), ("tag", RenameRule.Subject.tag),
                    ("field", RenameRule.Subject.field),
                ] {
                    let old = table.options.string(option)
                    if !old.isEmpty { return RenameRule.Step(subject(old), to: name) }
                }
                return nil
            })
    }

    private mutating func tagLimit() -> ProcessorRule {
        let limit = Int(clamping: options.integer("limit"))
        let keep = options.strings("keep")
        if keep.count > limit {
            issues.append(
                ConfigIssue(
                    .error, origins["keep"] ?? instance.origin, "\(instance.path).keep",
                    "\(keep.count) tags to keep are more than limit allows, which is \(limit)"))
        }
        return .tagLimit(TagLimitRule(limit: limit, keep: Set(keep)))
    }

    private mutating func defaults() -> ProcessorRule {
        var rule = DefaultsRule()
        for table in tables {
            guard table.name == "tags" else {
                rule = DefaultsRule(fields: table.fields, tags: rule.tags)
                continue
            }
            var tags: [Tag] = []
            for (key, value) in table.fields.sorted(by: { $0.key < $1.key }) {
                if case .string(let text) = value {
                    tags.append(Tag(key, text))
                } else {
                    complain(table, key, "expected a string: tags are text")
                }
            }
            rule.tags = Series.normalized(tags)
        }
        return .defaults(rule)
    }

    // MARK: converter

    private mutating func converter() -> ProcessorRule {
        if tables.isEmpty {
            issues.append(
                ConfigIssue(.error, instance.origin, instance.path, "has neither a table tags nor a table fields"))
        }
        var rule = ConverterRule()
        let targets: [(String, ConverterRule.Target)] = [
            ("measurement", .measurement), ("tag", .tag), ("float", .float), ("integer", .integer),
            ("unsigned", .unsigned), ("boolean", .boolean), ("string", .string), ("timestamp", .time(.unix)),
            ("base64_ieee_float32", .base64Float),
        ]
        // A tag that stands in several lists: text is preferred, then whole numbers.
        let tagTargets = ["measurement", "string", "integer", "unsigned", "boolean", "float", "timestamp"]
        for table in tables {
            if table.name == "tags" {
                rule.tags = tagTargets.compactMap { name in
                    targets.first { $0.0 == name }.flatMap { choice(table, name, $0.1) }
                }
            } else {
                rule.fields = targets.compactMap { choice(table, $0.0, $0.1) }
            }
        }
        return .converter(rule)
    }

    private mutating func choice(
        _ table: Subtable, _ name: String, _ target: ConverterRule.Target
    ) -> ConverterRule.Choice? {
        let keys = patterns(table, name, table.options.strings(name))
        guard !keys.isEmpty else { return nil }
        guard case .time = target else { return ConverterRule.Choice(target, keys) }
        let format = table.options.string("timestamp_format")
        guard let known = TimeText(name: format) else {
            let names = TimeText.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
            complain(
                table, "timestamp_format",
                format.isEmpty
                    ? "timestamp needs it; available: \(names)" : "\"\(format)\" is not available; available: \(names)")
            return nil
        }
        return ConverterRule.Choice(.time(known), keys)
    }

    private mutating func patterns(_ table: Subtable, _ option: String, _ list: [String]) -> PatternList {
        do throws(Glob.PatternError) { return try PatternList(list) } catch {
            complain(table, option, error.description)
            return .none
        }
    }

    // MARK: regex

    private mutating func regex() -> RegexRule {
        var rule = RegexRule()
        for table in tables {
            switch table.name {
            case "tags": rule.tags += valueStep(table).map { [$0] } ?? []
            case "fields": rule.fields += valueStep(table).map { [$0] } ?? []
            case "tag_rename": rule.tagNames += nameStep(table).map { [$0] } ?? []
            case "field_rename": rule.fieldNames += nameStep(table).map { [$0] } ?? []
            default: rule.metricNames += nameStep(table).map { [$0] } ?? []
            }
        }
        return rule
    }

    private mutating func pattern(_ table: Subtable) -> RE2Pattern? {
        guard !table.options.string("pattern").isEmpty else {
            complain(table, "pattern", "the regular expression is missing")
            return nil
        }
        do throws(RE2Pattern.SyntaxError) { return try RE2Pattern(table.options.string("pattern")) } catch {
            complain(table, "pattern", error.reason)
            return nil
        }
    }

    private mutating func valueStep(_ table: Subtable) -> RegexRule.ValueStep? {
        let key = table.options.string("key")
        if key.isEmpty { complain(table, "key", "which \(table.name) to look at is missing") }
        guard let pattern = pattern(table) else { return nil }
        let template = table.options.string("replacement")
        let resultKey = table.options.string("result_key")
        let namesAll = !pattern.groupNames.isEmpty && !pattern.groupNames.contains("")
        let takesGroups = template.isEmpty && resultKey.isEmpty && namesAll
        if table.name == "fields", table.options.bool("append") {
            complain(table, "append", "is for tags only")
        }
        return RegexRule.ValueStep(
            key: patterns(table, "key", [key]), pattern: pattern,
            replacement: takesGroups ? nil : RE2Replacement(template), resultKey: resultKey,
            appends: table.options.bool("append"))
    }

    private mutating func nameStep(_ table: Subtable) -> RegexRule.NameStep? {
        guard let pattern = pattern(table) else { return nil }
        return RegexRule.NameStep(
            pattern: pattern, replacement: RE2Replacement(table.options.string("replacement")),
            overwrites: table.options.string("result_key") == "overwrite")
    }

    // MARK: strings

    /// The functions in Telegraf's order, which is not that of the file: all of one kind, then all of the next.
    private func strings() -> StringsRule {
        let order = ProcessorSpecs.strings.subtables.map(\.name)
        let sorted = order.flatMap { name in tables.filter { $0.name == name } }
        return StringsRule(
            sorted.map { table in
                var step = StringsRule.Step(ProcessorCompiler.function(table))
                step.measurement = table.options.string("measurement")
                step.tag = table.options.string("tag")
                step.tagKey = table.options.string("tag_key")
                step.field = table.options.string("field")
                step.fieldKey = table.options.string("field_key")
                step.destination = table.options.string("dest")
                return step
            })
    }

    private static func function(_ table: Subtable) -> StringsRule.Function {
        let options = table.options
        return switch table.name {
        case "lowercase": .lowercase
        case "uppercase": .uppercase
        case "titlecase": .titlecase
        case "trim": .trim(options.string("cutset"), left: true, right: true)
        case "trim_left": .trim(options.string("cutset"), left: true, right: false)
        case "trim_right": .trim(options.string("cutset"), left: false, right: true)
        case "trim_prefix": .trimPrefix(options.string("prefix"))
        case "trim_suffix": .trimSuffix(options.string("suffix"))
        case "replace": .replace(old: options.string("old"), new: options.string("new"))
        case "left": .left(Int(clamping: options.integer("width")))
        case "base64decode": .base64Decode
        default: .validUTF8(options.string("replacement"))
        }
    }
}
