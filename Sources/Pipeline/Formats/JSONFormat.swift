/// Telegraf's data format `json`: an object is a point, an array of objects is as many.
///
/// Shape: nested keys are joined by `_`, elements of arrays by their number: `{"a":{"b":[5]}}` has the field `a_b_0`.
/// Numbers are fields, as floats; strings and booleans are left out unless `json_string_fields` names them; a key that
/// `tag_keys` names is a tag. `json_name_key` names the measurement, `json_time_key` the time.
/// Bounds: those of the JSON parser, and `fieldsLimit` fields a point.
/// Source: the page of the parser in Telegraf's documentation.
public struct JSONFormat: Sendable {
    public struct Settings: Sendable {
        public var measurement: String
        public var query = ""
        public var tagKeys: [String] = []
        public var stringFields: [String] = []
        public var nameKey = ""
        public var timeKey = ""
        public var timeFormat = ""
        /// Whether one bad element of an array costs the whole array.
        public var isStrict = true
        /// Tags that every point gets; they replace what the data say.
        public var extraTags: [Tag] = []

        public init(measurement: String) { self.measurement = measurement }
    }

    public static let fieldsLimit = 4_096

    private let settings: Settings
    private let query: JSONPath
    private let tagKeys: PatternList
    private let stringFields: PatternList
    private let timeFormat: TimeFormat?

    /// Errors: a query, a pattern or a time format that is not understood.
    public init(_ settings: Settings) throws(FormatError) {
        self.settings = settings
        query = try JSONPath(settings.query)
        do throws(Glob.PatternError) {
            tagKeys = try PatternList(settings.tagKeys)
            stringFields = try PatternList(settings.stringFields)
        } catch {
            throw FormatError("\(error)")
        }
        guard !settings.timeKey.isEmpty else {
            timeFormat = nil
            return
        }
        guard !settings.timeFormat.isEmpty else {
            throw FormatError("json_time_key needs json_time_format")
        }
        timeFormat = try TimeFormat(settings.timeFormat)
    }

    /// A leaf of the document: its flattened key and value.
    private typealias Leaf = (key: String, value: JSONValue)

    /// The points of one document. Points without a time of their own get `time`.
    /// Errors: what is no JSON, no object, or has no time where one is asked for. With `isStrict` none of the document is
    /// taken then.
    func read(
        _ document: [UInt8], at time: Timestamp, _ cache: inout ForeignSeries, into samples: inout SampleSet,
        _ errors: inout [String]
    ) {
        let root: JSONValue
        do throws(JSONError) { root = try JSONValue.parse(document) } catch {
            errors.append("\(error)")
            return
        }
        guard let part = query.find(in: root) else {
            errors.append("json_query finds nothing")
            return
        }
        var found = SampleSet()
        var complaints: [String] = []
        switch part {
        case .object: add(part, time, &cache, &found, &complaints)
        case .array(let elements):
            for element in elements { add(element, time, &cache, &found, &complaints) }
        default: complaints.append("neither an object nor an array of objects")
        }
        if let first = complaints.first {
            errors.append(complaints.count > 1 ? "\(first); \(complaints.count - 1) more elements" : first)
            if settings.isStrict { return }
        }
        if samples.isEmpty { samples = found } else { samples.append(found) }
    }

    private func add(
        _ object: JSONValue, _ time: Timestamp, _ cache: inout ForeignSeries, _ samples: inout SampleSet,
        _ complaints: inout [String]
    ) {
        guard case .object = object else { return complaints.append("an element is no object") }
        var leaves: [Leaf] = []
        guard JSONFormat.flatten(object, "", &leaves) else {
            return complaints.append("an object has more than \(JSONFormat.fieldsLimit) values")
        }
        var time = time
        if let timeFormat {
            guard let index = leaves.firstIndex(where: { $0.key == settings.timeKey }) else {
                return complaints.append("an object without its json_time_key")
            }
            guard let own = timeFormat.time(leaves[index].value) else {
                return complaints.append("a time that is not written as json_time_format says")
            }
            time = own
            leaves.remove(at: index)
        }
        var measurement = settings.measurement
        if !settings.nameKey.isEmpty,
            case .string(let name)? = leaves.first(where: { $0.key == settings.nameKey })?.value
        {
            measurement = name
        }
        append(leaves, measurement, time, &cache, &samples)
    }

    private func append(
        _ leaves: [Leaf], _ measurement: String, _ time: Timestamp, _ cache: inout ForeignSeries,
        _ samples: inout SampleSet
    ) {
        var tags: [Tag] = []
        var fields: [Schema.Field] = []
        var cells: [UInt64] = []
        for (key, value) in leaves {
            if tagKeys.matches(key) {
                if let text = JSONFormat.tagText(value) { tags.append(Tag(key, text)) }
                continue
            }
            switch value {
            case .integer, .unsigned, .number:
                fields.append(.float(key))
                cells.append((value.double ?? .nan).bitPattern)
            case .string(let text) where stringFields.matches(key):
                fields.append(.string(key))
                cells.append(samples.addString(text))
            case .bool(let flag) where stringFields.matches(key):
                fields.append(.bool(key))
                cells.append(flag ? 1 : 0)
            default: break
            }
        }
        guard !fields.isEmpty else { return }
        samples.append(
            cache.series(measurement, tags + settings.extraTags), cache.schema(fields), at: time, cells: cells)
    }

    private static func tagText(_ value: JSONValue) -> String? {
        switch value {
        case .string(let text): return text
        case .bool(let flag): return flag ? "true" : "false"
        case .integer, .unsigned, .number:
            var writer = ByteWriter(capacity: 64)
            writer.append(decimal: value.double ?? 0)
            return String(decoding: writer.bytes, as: UTF8.self)
        default: return nil
        }
    }

    /// Appends the leaves of a value under their joined keys; false when they are too many. Of two leaves whose joined
    /// keys are equal the later counts.
    private static func flatten(_ value: JSONValue, _ prefix: String, _ leaves: inout [Leaf]) -> Bool {
        var isComplete = collect(value, prefix, &leaves)
        var places: [String: Int] = [:]
        var unique: [Leaf] = []
        for leaf in leaves {
            if let place = places[leaf.key] {
                unique[place] = leaf
            } else {
                places[leaf.key] = unique.count
                unique.append(leaf)
            }
        }
        leaves = unique
        isComplete = isComplete && leaves.count <= fieldsLimit
        return isComplete
    }

    private static func collect(_ value: JSONValue, _ prefix: String, _ leaves: inout [Leaf]) -> Bool {
        switch value {
        case .object(let members):
            for member in members {
                let key = prefix.isEmpty ? member.key : prefix + "_" + member.key
                guard collect(member.value, key, &leaves) else { return false }
            }
        case .array(let elements):
            for (index, element) in elements.enumerated() {
                let key = prefix.isEmpty ? String(index) : prefix + "_" + String(index)
                guard collect(element, key, &leaves) else { return false }
            }
        case .null: break
        default:
            leaves.append((trimmed(prefix), value))
            guard leaves.count <= fieldsLimit else { return false }
        }
        return true
    }

    /// Without underscores at both ends, as Telegraf names fields.
    private static func trimmed(_ key: String) -> String {
        guard key.utf8.first == UInt8(ascii: "_") || key.utf8.last == UInt8(ascii: "_") else { return key }
        var rest = Substring(key)
        while rest.first == "_" { rest.removeFirst() }
        while rest.last == "_" { rest.removeLast() }
        return String(rest)
    }
}
