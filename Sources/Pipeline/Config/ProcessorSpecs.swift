/// The processors and their options, under Telegraf's names.
public enum ProcessorSpecs {
    /// All processors of this version.
    public static var all: [PluginSpec] { [rename, converter, regex, defaults, strings, override, tagLimit, dedup] }

    /// What every processor takes beside its own options: `order`, and the filters.
    public static var common: [OptionSpec] {
        [
            SectionSpecs.alias,
            OptionSpec(
                "order", .integer(0),
                "Processors run in ascending order; those of one order as they stand in the files.", bounds: order),
            logLevel, SectionSpecs.labels,
        ] + SectionSpecs.filters
    }

    private static let order: ClosedRange<Double> = -1_000_000...1_000_000

    static let logLevel = OptionSpec(
        "log_level", .string(""), "Log level of this plugin.",
        choices: ["", "error", "warn", "info", "debug", "trace"],
        ignoredBecause: "processors and aggregators do not log")

    /// Series that a plugin remembers: bounded, since each costs memory.
    static let seriesLimit = OptionSpec(
        "series_limit", .integer(10_000), "Series that are remembered; points of further ones pass as they are.",
        bounds: 1...1_000_000)

    static var rename: PluginSpec {
        PluginSpec(
            name: "rename", summary: "Renames measurements, tags and fields.", options: [],
            subtables: [
                SubtableSpec(
                    "replace", "One renaming; they are applied one after the other.",
                    options: [
                        OptionSpec("measurement", .string(""), "Measurement to rename."),
                        OptionSpec("tag", .string(""), "Tag to rename."),
                        OptionSpec("field", .string(""), "Field to rename."),
                        OptionSpec("dest", .string(""), "Its new name; empty means that nothing is renamed."),
                    ])
            ])
    }

    static var converter: PluginSpec {
        PluginSpec(
            name: "converter", summary: "Converts tags to fields, fields to tags, and fields to other types.",
            options: [],
            subtables: [
                SubtableSpec(
                    "tags", "What tags become, by patterns of their keys.", form: .single,
                    options: conversions(of: "Tags") + [timeFormat]),
                SubtableSpec(
                    "fields", "What fields become, by patterns of their keys.", form: .single,
                    options: conversions(of: "Fields") + [
                        OptionSpec("tag", .strings([]), "Fields that become tags."),
                        OptionSpec(
                            "base64_ieee_float32", .strings([]),
                            "Fields with the base64 text of a 32-bit float, to become floats."),
                        timeFormat,
                    ]),
            ])
    }

    private static func conversions(of what: String) -> [OptionSpec] {
        [
            OptionSpec("measurement", .strings([]), "\(what) whose value becomes the measurement name."),
            OptionSpec("string", .strings([]), "\(what) that become text."),
            OptionSpec("integer", .strings([]), "\(what) that become whole numbers."),
            OptionSpec("unsigned", .strings([]), "\(what) that become unsigned whole numbers."),
            OptionSpec("boolean", .strings([]), "\(what) that become true or false."),
            OptionSpec("float", .strings([]), "\(what) that become floats."),
            OptionSpec("timestamp", .strings([]), "\(what) whose value becomes the time of the point."),
        ]
    }

    private static let timeFormat = OptionSpec(
        "timestamp_format", .string(""),
        "How timestamp says the time: unix, unix_ms, unix_us, unix_ns or rfc3339.")

    static var regex: PluginSpec {
        PluginSpec(
            name: "regex", summary: "Changes values and names by regular expressions in RE2's syntax.", options: [],
            subtables: [
                SubtableSpec("tags", "A change of tag values.", options: valueStep + [append]),
                SubtableSpec("fields", "A change of field values that are text.", options: valueStep + [append]),
                SubtableSpec("tag_rename", "A change of tag names.", options: nameStep),
                SubtableSpec("field_rename", "A change of field names.", options: nameStep),
                SubtableSpec("metric_rename", "A change of measurement names.", options: nameStep),
            ])
    }

    private static let valueStep = [
        OptionSpec("key", .string(""), "Pattern of the keys to look at."),
        OptionSpec("pattern", .string(""), "Regular expression that the value must match."),
        OptionSpec(
            "replacement", .string(""),
            "What each match becomes, with ${1} or ${name} for groups; without it each named group gets its own key."),
        OptionSpec("result_key", .string(""), "Where the result goes; empty means where the value came from."),
    ]
    private static let append = OptionSpec("append", .bool(false), "Append to the tag that is there; tags only.")

    private static let nameStep = [
        OptionSpec("key", .string(""), "Has no meaning here.", ignoredBecause: "names are changed by pattern alone"),
        OptionSpec("pattern", .string(""), "Regular expression that the name must match."),
        OptionSpec("replacement", .string(""), "What each match becomes, with ${1} or ${name} for groups."),
        OptionSpec(
            "result_key", .string(""), "What happens when the new name is taken; empty means keep.",
            choices: ["", "keep", "overwrite"]),
    ]

    static var defaults: PluginSpec {
        PluginSpec(
            name: "defaults", summary: "Gives fields and tags that are missing or blank a value.", options: [],
            subtables: [
                SubtableSpec("fields", "Fields and their values.", form: .values, options: []),
                SubtableSpec("tags", "Tags and their values, which are text.", form: .values, options: []),
            ])
    }

    static var strings: PluginSpec {
        PluginSpec(
            name: "strings", summary: "Changes the text of names, keys and values.", options: [],
            subtables: [
                function("lowercase", "Makes letters small."), function("uppercase", "Makes letters large."),
                function("titlecase", "Makes the first letter of each word large."),
                function("trim", "Takes characters from both ends.", [cutset]),
                function("trim_left", "Takes characters from the beginning.", [cutset]),
                function("trim_right", "Takes characters from the end.", [cutset]),
                function(
                    "trim_prefix", "Takes a beginning away.", [OptionSpec("prefix", .string(""), "The beginning.")]),
                function("trim_suffix", "Takes an end away.", [OptionSpec("suffix", .string(""), "The end.")]),
                function(
                    "replace", "Replaces a part wherever it stands.",
                    [
                        OptionSpec("old", .string(""), "The part."),
                        OptionSpec("new", .string(""), "What comes in its place."),
                    ]),
                function(
                    "left", "Takes the beginning.",
                    [OptionSpec("width", .integer(0), "Its length in bytes.", bounds: 0...1e9)]),
                function("base64decode", "Decodes base64, where the result is text."),
                function(
                    "valid_utf8", "Replaces each run of U+FFFD, which is what invalid bytes become when they are read.",
                    [OptionSpec("replacement", .string(""), "What comes in its place.")]),
            ])
    }

    private static let cutset = OptionSpec("cutset", .string(""), "The characters; empty means white space.")

    private static func function(_ name: String, _ summary: String, _ own: [OptionSpec] = []) -> SubtableSpec {
        SubtableSpec(
            name, summary,
            options: [
                OptionSpec("measurement", .string(""), "Measurement whose name is changed; * means all."),
                OptionSpec("tag", .string(""), "Tag whose value is changed; * means all."),
                OptionSpec("tag_key", .string(""), "Tag whose key is changed; * means all."),
                OptionSpec("field", .string(""), "Field whose text is changed; * means all."),
                OptionSpec("field_key", .string(""), "Field whose key is changed; * means all."),
                OptionSpec("dest", .string(""), "Tag or field for the result; empty means where it came from."),
            ] + own)
    }

    static var override: PluginSpec {
        PluginSpec(
            name: "override", summary: "Replaces names and tags.",
            options: SectionSpecs.naming + [
                OptionSpec("tags", .table([:]), "Tags that are set, also where there are some.")
            ])
    }

    static var tagLimit: PluginSpec {
        PluginSpec(
            name: "tag_limit", summary: "Leaves points at most so many tags.",
            options: [
                OptionSpec("limit", .integer(0), "Tags that a point may have.", bounds: 0...1e6),
                OptionSpec("keep", .strings([]), "Tags that stay in any case."),
            ])
    }

    static var dedup: PluginSpec {
        PluginSpec(
            name: "dedup", summary: "Leaves points out that repeat the values of their series.",
            options: [
                OptionSpec(
                    "dedup_interval", .duration(.seconds(600)), "Longest time that repetitions are left out.",
                    bounds: SectionSpecs.time),
                seriesLimit,
            ])
    }
}

/// The aggregators and their options, under Telegraf's names.
public enum AggregatorSpecs {
    /// All aggregators of this version.
    public static var all: [PluginSpec] { [basicstats, minmax, final, merge] }

    /// What every aggregator takes beside its own options.
    public static let common: [OptionSpec] =
        [
            SectionSpecs.alias,
            OptionSpec("period", .duration(.seconds(30)), "Length of a window.", bounds: SectionSpecs.positiveTime),
            OptionSpec(
                "delay", .duration(.milliseconds(100)), "How long after its end points of a window are waited for.",
                bounds: SectionSpecs.time),
            OptionSpec(
                "grace", .duration(.zero), "How much older than its window a point may be.", bounds: SectionSpecs.time),
            OptionSpec("drop_original", .bool(false), "Points that are aggregated go no further."),
            ProcessorSpecs.seriesLimit, ProcessorSpecs.logLevel, SectionSpecs.labels,
            OptionSpec("tags", .table([:]), "Tags for what this aggregator makes."),
        ] + SectionSpecs.naming + SectionSpecs.filters

    static var basicstats: PluginSpec {
        PluginSpec(
            name: "basicstats", summary: "Statistics of each field over a period.",
            options: [
                OptionSpec(
                    "stats", .strings(["count", "min", "max", "mean", "s2", "stdev"]),
                    "Statistics to give; variance is another name of s2.",
                    choices: BasicStat.allCases.map(\.rawValue) + ["variance"])
            ])
    }

    static var minmax: PluginSpec {
        PluginSpec(
            name: "minmax", summary: "Least and greatest value of each field over a period.", options: [])
    }

    static var final: PluginSpec {
        PluginSpec(
            name: "final", summary: "The last point of each series.",
            options: [
                OptionSpec(
                    "output_strategy", .string("timeout"),
                    "timeout: the last point of a series that was silent for series_timeout; periodic: that of each period.",
                    choices: ["timeout", "periodic"]),
                OptionSpec(
                    "series_timeout", .duration(.seconds(300)), "Silence after which a series has ended.",
                    bounds: SectionSpecs.time),
                OptionSpec("keep_original_field_names", .bool(false), "Do not append _final to the names of fields."),
            ])
    }

    static var merge: PluginSpec {
        PluginSpec(
            name: "merge", summary: "One point of those with equal name, tags and time.",
            options: [
                OptionSpec(
                    "round_timestamp_to", .duration(.nanoseconds(1)),
                    "Times are rounded to this before they are compared.",
                    bounds: SectionSpecs.time)
            ])
    }
}
