import Pipeline

/// Options of a plugin from JSON, as the configuration file would give them.
enum ConfigValues {
    /// Without the fields that stock Telegraf does not have, unless `config` asks for them: the cases hold what that
    /// gives.
    static func options(_ specs: [OptionSpec], from config: JSONValue) throws -> OptionValues {
        var values: [String: OptionValue] = [:]
        if specs.contains(where: { $0.name == "rates" }) { values["rates"] = .bool(false) }
        for member in config.members ?? [] {
            guard let spec = specs.first(where: { $0.name == member.key }) else {
                throw CaseError("option \(member.key) does not exist")
            }
            guard let value = value(member.value, like: spec.fallback) else {
                throw CaseError("option \(member.key) cannot be \(member.value)")
            }
            values[member.key] = value
        }
        return OptionValues(specs, set: values)
    }

    /// `json` as a value of the same kind as `kind`; nil when it is none.
    private static func value(_ json: JSONValue, like kind: OptionValue) -> OptionValue? {
        switch kind {
        case .bool: json.bool.map { .bool($0) }
        case .integer: json.int64.map { .integer($0) }
        case .float: json.double.map { .float($0) }
        case .string: json.string.map { .string($0) }
        case .strings: strings(json).map { .strings($0) }
        case .duration: duration(json).map { .duration($0) }
        case .size: (json.int64 ?? json.string.flatMap { Quantity.size($0) }).map { .size($0) }
        default: nil
        }
    }

    static func strings(_ json: JSONValue) -> [String]? {
        guard let elements = json.array else { return nil }
        let texts = elements.compactMap(\.string)
        return texts.count == elements.count ? texts : nil
    }

    static func duration(_ json: JSONValue) -> Duration? {
        if let text = json.string { return Quantity.duration(text) }
        return json.double.flatMap { Quantity.duration(seconds: $0) }
    }

    static func tags(_ json: JSONValue?) -> [Tag] {
        (json?.members ?? []).compactMap { member in member.value.string.map { Tag(member.key, $0) } }
    }
}
