/// How a text or number says a time.
public enum TimeText: String, Sendable, Hashable, CaseIterable {
    case unix
    case unixMilliseconds = "unix_ms"
    case unixMicroseconds = "unix_us"
    case unixNanoseconds = "unix_ns"
    case rfc3339
    case rfc3339nano

    /// The names of a configuration: those above, and Go's way to write RFC 3339.
    public init?(name: String) {
        switch name {
        case "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00": self = .rfc3339
        default:
            guard let format = TimeText(rawValue: name) ?? TimeText(rawValue: name.lowercased()) else { return nil }
            self = format
        }
    }

    /// Nanoseconds of one unit; nil for text.
    private var unit: Int64? {
        switch self {
        case .unix: 1_000_000_000
        case .unixMilliseconds: 1_000_000
        case .unixMicroseconds: 1_000
        case .unixNanoseconds: 1
        case .rfc3339, .rfc3339nano: nil
        }
    }

    /// The time that a value says; nil for none.
    func time(_ value: FieldValue) -> Timestamp? {
        switch value {
        case .bool: return nil
        case .int(let number): return unit.flatMap { TimeText.time(number, $0) }
        case .uint(let number):
            guard let unit, let number = Int64(exactly: number) else { return nil }
            return TimeText.time(number, unit)
        case .float(let number):
            guard let unit else { return nil }
            let whole = number.rounded(.down)
            guard let seconds = Int64(exactly: whole), let start = TimeText.time(seconds, unit) else { return nil }
            return start + .nanoseconds(Int64((number - whole) * Double(unit)))
        case .string(let text):
            guard let unit else { return RFC3339.time(text) }
            return TimeText.time(decimal: text, unit)
        }
    }

    private static func time(_ number: Int64, _ unit: Int64) -> Timestamp? {
        let (product, overflow) = number.multipliedReportingOverflow(by: unit)
        return overflow ? nil : Timestamp(nanoseconds: product)
    }

    /// A decimal number of units, to the nanosecond: as text it is exact where a float would not be.
    private static func time(decimal text: String, _ unit: Int64) -> Timestamp? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = Int64(parts[0]), let start = time(whole, unit) else { return nil }
        guard parts.count == 2 else { return start }
        guard parts[1].utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        var (rest, step) = (Int64(0), unit)
        for digit in parts[1].utf8.prefix(9) {
            step /= 10
            rest += Int64(digit - 48) * step
        }
        return text.utf8.first == UInt8(ascii: "-") ? start + .nanoseconds(-rest) : start + .nanoseconds(rest)
    }
}

/// Date and time as RFC 3339 writes them: `2024-05-05T10:00:00.5+02:00`.
enum RFC3339 {
    /// nil for a text of another shape, a date that does not exist, or a time that nanoseconds cannot count.
    static func time(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.count <= 40, let year = number(bytes[0..<4]), bytes[4] == 45,
            let month = number(bytes[5..<7]), bytes[7] == 45, let day = number(bytes[8..<10]),
            bytes[10] == UInt8(ascii: "T") || bytes[10] == UInt8(ascii: "t"), let hour = number(bytes[11..<13]),
            bytes[13] == 58, let minute = number(bytes[14..<16]), bytes[16] == 58,
            let second = number(bytes[17..<19]), (1...12).contains(month), hour < 24, minute < 60, second < 61,
            (1...days(year, month)).contains(day)
        else { return nil }
        var rest = bytes[19...]
        var nanoseconds: Int64 = 0
        if rest.first == 46 {
            let digits = rest.dropFirst().prefix { (48...57).contains($0) }
            guard !digits.isEmpty else { return nil }
            var step: Int64 = 1_000_000_000
            for digit in digits.prefix(9) {
                step /= 10
                nanoseconds += Int64(digit - 48) * step
            }
            rest = rest.dropFirst(digits.count + 1)
        }
        guard let offset = offset(rest) else { return nil }
        let seconds = (daysSince1970(year, month, day) * 24 + hour) * 3_600 + minute * 60 + second - offset
        let (scaled, overflow) = Int64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? nil : Timestamp(nanoseconds: scaled.addingSaturated(nanoseconds))
    }

    /// Seconds east of Greenwich: `Z`, `+02:00`.
    private static func offset(_ zone: ArraySlice<UInt8>) -> Int? {
        let zone = Array(zone)
        if zone == [UInt8(ascii: "Z")] || zone == [UInt8(ascii: "z")] { return 0 }
        guard zone.count == 6, zone[0] == 43 || zone[0] == 45, zone[3] == 58, let hours = number(zone[1..<3]),
            let minutes = number(zone[4..<6]), hours < 24, minutes < 60
        else { return nil }
        return (zone[0] == 45 ? -1 : 1) * (hours * 3_600 + minutes * 60)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        digits.allSatisfy { (48...57).contains($0) } ? digits.reduce(0) { $0 * 10 + Int($1 - 48) } : nil
    }

    private static func days(_ year: Int, _ month: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return switch month {
        case 2: isLeap ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days of the Gregorian calendar, with years that begin in March.
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
