/// A timestamp as a civil date and time in UTC.
///
/// Source: the proleptic Gregorian calendar; days are counted in eras of 400 years that begin on 1 March.
public struct UTCTime: Sendable, Hashable {
    public let year: Int
    public let month: Int
    public let day: Int
    public let hour: Int
    public let minute: Int
    public let second: Int
    public let millisecond: Int

    public init(_ time: Timestamp) {
        let perDay: Int64 = 86_400_000_000_000
        var days = time.nanoseconds / perDay
        var rest = time.nanoseconds % perDay
        if rest < 0 {
            rest += perDay
            days -= 1
        }
        let shifted = Int(days) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let seconds = Int(rest / 1_000_000_000)
        hour = seconds / 3_600
        minute = seconds / 60 % 60
        second = seconds % 60
        millisecond = Int(rest / 1_000_000 % 1_000)
    }

    /// RFC 3339 with milliseconds: `2026-01-31T09:05:00.250Z`.
    public var text: String {
        "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(hour, 2)):\(padded(minute, 2))"
            + ":\(padded(second, 2)).\(padded(millisecond, 3))Z"
    }

    /// For file names, sortable: `20260131T090500Z`.
    public var stamp: String {
        "\(padded(year, 4))\(padded(month, 2))\(padded(day, 2))T\(padded(hour, 2))\(padded(minute, 2))\(padded(second, 2))Z"
    }

    private func padded(_ number: Int, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
