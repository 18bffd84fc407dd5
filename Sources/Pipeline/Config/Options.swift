/// A checked value of a configuration option.
public enum OptionValue: Sendable, Hashable {
    case bool(Bool)
    case integer(Int64)
    case float(Double)
    case string(String)
    case strings([String])
    /// `"10s"`, `"1m30s"`, `"500ms"`, or a number of seconds.
    case duration(Duration)
    /// Bytes: a number, or `"64KiB"`, `"10MB"`.
    case size(Int64)
    /// A table of strings.
    case table([String: String])
    /// A table of lists of strings.
    case listTable([String: [String]])
    case numbers([Double])
    /// A list of programs with their arguments, each a list of strings or one string cut as a shell would.
    case commands([[String]])
    /// A password or token: prints as `***`.
    case secret(Secret)
}

/// The declaration of one option: the single place that knows its name, kind, default and meaning. `godwit check`,
/// `config.toml`'s test and the documentation are derived from it.
public struct OptionSpec: Sendable, Hashable {
    public var name: String
    /// The default; its case is the option's kind.
    public var fallback: OptionValue
    /// One sentence for people, without the default.
    public var summary: String
    /// What a string or each of a list of strings may be; empty = anything.
    public var choices: [String]
    /// Accepted so that existing files load, but without effect; the text says why.
    public var ignoredBecause: String?
    /// Known, but any value other than the default is an error; the text says why.
    public var refusedBecause: String?
    /// What a number may be: a count, seconds of a duration, or bytes of a size. nil = anything that the kind holds.
    public var bounds: ClosedRange<Double>?

    public init(
        _ name: String, _ fallback: OptionValue, _ summary: String, choices: [String] = [],
        ignoredBecause: String? = nil, refusedBecause: String? = nil, bounds: ClosedRange<Double>? = nil
    ) {
        self.name = name
        self.fallback = fallback
        self.summary = summary
        self.choices = choices
        self.ignoredBecause = ignoredBecause
        self.refusedBecause = refusedBecause
        self.bounds = bounds
    }
}

/// A plugin as the configuration sees it: its name and its own options (the common ones are added by the decoder).
public struct PluginSpec: Sendable, Hashable {
    public var name: String
    public var summary: String
    public var options: [OptionSpec]
    /// What an input emits; empty for other plugins.
    public var metrics: [MetricSpec]
    /// Whether an input emits when data come, and keeps the times that they bring.
    public var isService: Bool
    /// Tables inside of the plugin's own; outputs and aggregators have none.
    public var subtables: [SubtableSpec]

    public init(
        name: String, summary: String, options: [OptionSpec], metrics: [MetricSpec] = [], isService: Bool = false,
        subtables: [SubtableSpec] = []
    ) {
        self.name = name
        self.summary = summary
        self.options = options
        self.metrics = metrics
        self.isService = isService
        self.subtables = subtables
    }
}

/// A table inside of a plugin's table, such as `[[processors.rename.replace]]`.
public struct SubtableSpec: Sendable, Hashable {
    /// How often it may stand, and what it holds.
    public enum Form: Sendable, Hashable {
        /// `[[…]]`, any number of times.
        case list
        /// `[…]`, once.
        case single
        /// `[…]`, once, with keys of the user's and values that are text, numbers or truth.
        case values
    }

    public var name: String
    public var summary: String
    public var form: Form
    public var options: [OptionSpec]

    public init(_ name: String, _ summary: String, form: Form = .list, options: [OptionSpec]) {
        self.name = name
        self.summary = summary
        self.form = form
        self.options = options
    }
}

/// The values of one plugin's options: what the file sets, defaults for the rest. Reading an option that the plugin
/// does not declare, or as another kind, is a bug of ours and traps.
public struct OptionValues: Sendable, Hashable {
    /// A table inside of the plugin's, `[[inputs.x.name]]`.
    public struct Table: Sendable, Hashable {
        public var name: String
        public var options: OptionValues

        public init(name: String, options: OptionValues) {
            self.name = name
            self.options = options
        }
    }

    private var values: [String: OptionValue]
    /// The inner tables of an input, in the order of the file.
    public var tables: [Table] = []

    /// All defaults of `specs`, overridden by `set`.
    public init(_ specs: [OptionSpec], set: [String: OptionValue] = [:]) {
        values = Dictionary(specs.map { ($0.name, $0.fallback) }, uniquingKeysWith: { first, _ in first })
        values.merge(set) { _, new in new }
    }

    /// The same values but for one option, which must be declared.
    public func setting(_ name: String, to value: OptionValue) -> OptionValues {
        var changed = self
        precondition(changed.values.updateValue(value, forKey: name) != nil, "BUG: option \(name) is not declared")
        return changed
    }

    /// Every option as a line `name = value`, sorted by name; secrets are not shown.
    public var lines: [String] {
        values.map { "\($0.key) = \($0.value.text)" }.sorted() + tables.flatMap { ["[\($0.name)]"] + $0.options.lines }
    }

    /// Whether the plugin declares such an option: for what several plugins share.
    public func has(_ name: String) -> Bool { values[name] != nil }

    /// Whether the plugin declares such a switch and it is on.
    public func isOn(_ name: String) -> Bool { has(name) && bool(name) }

    public subscript(_ name: String) -> OptionValue {
        guard let value = values[name] else { preconditionFailure("BUG: option \(name) is not declared") }
        return value
    }

    public func bool(_ name: String) -> Bool {
        guard case .bool(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no bool") }
        return value
    }

    public func integer(_ name: String) -> Int64 {
        guard case .integer(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no integer") }
        return value
    }

    public func float(_ name: String) -> Double {
        guard case .float(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no float") }
        return value
    }

    public func string(_ name: String) -> String {
        guard case .string(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no string") }
        return value
    }

    public func strings(_ name: String) -> [String] {
        guard case .strings(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no list") }
        return value
    }

    public func duration(_ name: String) -> Duration {
        guard case .duration(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no duration") }
        return value
    }

    public func size(_ name: String) -> Int64 {
        guard case .size(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no size") }
        return value
    }

    public func table(_ name: String) -> [String: String] {
        guard case .table(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no table") }
        return value
    }

    public func listTable(_ name: String) -> [String: [String]] {
        guard case .listTable(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no table") }
        return value
    }

    public func numbers(_ name: String) -> [Double] {
        guard case .numbers(let value) = self[name] else { preconditionFailure("BUG: option \(name) has no numbers") }
        return value
    }

    public func commands(_ name: String) -> [[String]] {
        guard case .commands(let value) = self[name] else { preconditionFailure("BUG: option \(name) has no commands") }
        return value
    }

    public func secret(_ name: String) -> Secret {
        guard case .secret(let value) = self[name] else { preconditionFailure("BUG: option \(name) is no secret") }
        return value
    }
}
