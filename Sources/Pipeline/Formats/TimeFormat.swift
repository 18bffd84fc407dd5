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
        case (.rfc3339, .string(let text)): return TimeFormat.readRFC3339(Array(text.utf8))
        default: return nil
        }
    }

    /// Shape: `YYYY-MM-DDThh:mm:ss[.digits](Z|±hh:mm)`; a blank or `t` in place of `T` is taken, too.
    static func readRFC3339(_ text: [UInt8]) -> Timestamp? {
        let cursor = ByteCursor(text)
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= text.count else { return nil }
            return cursor.unsigned(in: range).flatMap { Int(exactly: $0) }
        }
        guard text.count >= 20, text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
            [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " ")].contains(text[10]),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        var at = 19
        var nanoseconds: Int64 = 0
        if text[at] == UInt8(ascii: ".") {
            at += 1
            var unit: Int64 = 100_000_000
            let start = at
            while at < text.count, text[at] &- 48 < 10 {
                nanoseconds += unit * Int64(text[at] &- 48)
                unit /= 10
                at += 1
            }
            guard at > start else { return nil }
        }
        guard let offset = zone(text, at, number) else { return nil }
        let days = TimeFormat.days(year, month, day)
        let seconds = Int64(days * 86_400 + hour * 3_600 + minute * 60 + second - offset)
        return Timestamp(
            nanoseconds: seconds.multipliedSaturated(by: 1_000_000_000).addingSaturated(nanoseconds))
    }

    /// Seconds east of Greenwich, from the rest of the text.
    private static func zone(_ text: [UInt8], _ at: Int, _ number: (Range<Int>) -> Int?) -> Int? {
        guard at < text.count else { return nil }
        if text[at] | 0x20 == UInt8(ascii: "z") { return text.count == at + 1 ? 0 : nil }
        guard text.count == at + 6, text[at + 3] == UInt8(ascii: ":"), let hours = number(at + 1..<at + 3),
            let minutes = number(at + 4..<at + 6), hours < 24, minutes < 60
        else { return nil }
        switch text[at] {
        case UInt8(ascii: "+"): return hours * 3_600 + minutes * 60
        case UInt8(ascii: "-"): return -(hours * 3_600 + minutes * 60)
        default: return nil
        }
    }

    /// Days since 1970-01-01 of a date of the Gregorian calendar; the year has at most four digits.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
