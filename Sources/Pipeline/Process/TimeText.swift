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
