/// How a timestamp is written in foreign data.
public enum TimeFormat: Sendable, Hashable {
    /// A number of these units since 1970, with decimals or without.
    case unix(TimePrecision)
    /// `2026-01-31T09:05:00.25+01:00`.
    case rfc3339

    /// As the option `json_time_format` names it.
    public init(_ name: String) throws(FormatError) {
        switch name {
        case "unix": self = .unix(.seconds)
        case "unix_ms": self = .unix(.milliseconds)
        case "unix_us": self = .unix(.microseconds)
        case "unix_ns": self = .unix(.nanoseconds)
        case "rfc3339", "RFC3339", "RFC3339Nano", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00",
            "2006-01-02T15:04:05Z":
            self = .rfc3339
        default:
            throw FormatError(
                "json_time_format \"\(name)\" is not understood; known: unix, unix_ms, unix_us, unix_ns, RFC3339")
        }
    }

    /// The moment that `value` names; nil when it is not written so.
    public func time(_ value: JSONValue) -> Timestamp? {
        switch (self, value) {
        case (.unix(let unit), .integer(let number)):
            let (nanoseconds, overflow) = number.multipliedReportingOverflow(by: unit.factor)
            return overflow ? nil : Timestamp(nanoseconds: nanoseconds)
        case (.unix(let unit), .number(let number)):
            return Int64(exactly: (number * Double(unit.factor)).rounded()).map(Timestamp.init(nanoseconds:))
        case (.unix(let unit), .string(let text)):
            if let number = Int64(text) { return time(.integer(number)) }
            guard let number = Double(text), number.isFinite else { return nil }
            return TimeFormat.unix(unit).time(.number(number))
        case (.rfc3339, .string(let text)): return RFC3339.time(text)
        default: return nil
        }
    }
}
