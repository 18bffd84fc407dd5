/// Reads what programs, files and senders give, in the data format that the input's options name.
///
/// One value an input instance: it remembers series and schemas from one text to the next.
public struct ForeignData {
    private enum Format {
        case influx
        case json(JSONFormat)
    }

    /// What was read: the points, and one text an incident.
    public struct Result: Sendable {
        public var samples = SampleSet()
        public var errors: [String] = []
    }

    private let format: Format
    private let precision: TimePrecision
    private var lines: LineProtocolParser
    private var cache = ForeignSeries()

    /// The options that every input with a data format has.
    public static func options(fallback: String) -> [OptionSpec] {
        [
            OptionSpec("data_format", .string(fallback), "How the data are written.", choices: ["influx", "json"]),
            OptionSpec("tag_keys", .strings([]), "json: keys that become tags; patterns."),
            OptionSpec("json_string_fields", .strings([]), "json: keys whose strings and booleans are kept; patterns."),
            OptionSpec("json_name_key", .string(""), "json: key that names the measurement."),
            OptionSpec("json_query", .string(""), "json: the part to read, keys and indexes parted by dots."),
            OptionSpec("json_time_key", .string(""), "json: key of the timestamp."),
            OptionSpec(
                "json_time_format", .string(""), "json: how it is written: unix, unix_ms, unix_us, unix_ns or RFC3339."),
            OptionSpec(
                "json_timezone", .string(""), "json: time zone of times without one.",
                refusedBecause: "times without a zone are not understood"),
            OptionSpec("json_strict", .bool(true), "json: one bad element of an array costs the whole array."),
            OptionSpec(
                "influx_timestamp_precision", .duration(.nanoseconds(1)), "influx: unit of the timestamps."),
            OptionSpec(
                "influx_parser_type", .string(""), "Which of Telegraf's parsers.",
                ignoredBecause: "there is one parser"),
        ]
    }

    /// Reads by the options above; points without a name of their own are called `measurement`, and all get `extraTags`.
    /// Errors: an option that is not understood.
    public init(options: OptionValues, measurement: String, extraTags: [Tag] = []) throws(FormatError) {
        guard let unit = TimePrecision(unit: options.duration("influx_timestamp_precision")) else {
            throw FormatError("influx_timestamp_precision must be 1ns, 1us, 1ms, 1s, 1m or 1h")
        }
        precision = unit
        lines = LineProtocolParser(extraTags: extraTags)
        guard options.string("data_format") == "json" else {
            format = .influx
            return
        }
        var settings = JSONFormat.Settings(measurement: measurement)
        settings.extraTags = extraTags
        settings.query = options.string("json_query")
        settings.tagKeys = options.strings("tag_keys")
        settings.stringFields = options.strings("json_string_fields")
        settings.nameKey = options.string("json_name_key")
        settings.timeKey = options.string("json_time_key")
        settings.timeFormat = options.string("json_time_format")
        settings.isStrict = options.bool("json_strict")
        format = .json(try JSONFormat(settings))
    }

    /// Reads a whole text: all its lines, or one document.
    public mutating func read(_ text: [UInt8], at time: Timestamp) -> Result {
        var result = Result()
        switch format {
        case .influx:
            let (samples, issues) = lines.parse(all: text, at: time, precision: precision)
            result.samples = samples
            result.errors = issues.texts
        case .json(let json):
            json.read(text, at: time, &cache, into: &result.samples, &result.errors)
        }
        return result
    }

    /// Reads whole lines that belong together or not: for JSON, each line is a document of its own; for line protocol
    /// they are read as one text, so that a string may hold a line end.
    public mutating func read(lines text: [UInt8], at time: Timestamp) -> Result {
        guard case .json(let json) = format else { return read(text, at: time) }
        var result = Result()
        var cursor = ByteCursor(text)
        var failures = 0
        while cursor.nextLine() {
            let line = cursor.trimmed(cursor.rest)
            guard !line.isEmpty else { continue }
            var errors: [String] = []
            json.read(Array(text[line]), at: time, &cache, into: &result.samples, &errors)
            for error in errors {
                failures += 1
                if failures <= LineIssues.namedLimit { result.errors.append("line \(cursor.lineNumber): \(error)") }
            }
        }
        if failures > LineIssues.namedLimit {
            result.errors.append("\(failures - LineIssues.namedLimit) more lines not understood")
        }
        return result
    }
}
