/// Date and time as RFC 3339 writes them: `2024-05-05T10:00:00.5+02:00`; a blank or `t` in place of `T` is taken, too.
///
/// Source: RFC 3339, 5.6.
enum RFC3339 {
    /// nil for a text of another shape, a date that does not exist, or a time that nanoseconds cannot count.
    static func time(_ text: String) -> Timestamp? {
        let bytes = Array(text.utf8)
        let separators = [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " ")]
        guard bytes.count >= 20, bytes.count <= 40, let year = number(bytes[0..<4]), bytes[4] == 45,
            let month = number(bytes[5..<7]), bytes[7] == 45, let day = number(bytes[8..<10]),
            separators.contains(bytes[10]), let hour = number(bytes[11..<13]),
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
