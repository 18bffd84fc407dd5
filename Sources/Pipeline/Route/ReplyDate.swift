/// Reads the `Retry-After` header (RFC 9110, 10.2.3).
///
/// Shape: `120`, or an IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT`. Anything else is garbage: nil.
/// Bounds: at most 600 s, at least 0; a date in the past is 0.
public enum ReplyDate {
    public static let cap = Duration.seconds(600)

    /// How long the server asks us to wait, seen at `now`.
    public static func retryAfter(_ text: String, now: Timestamp) -> Duration? {
        let bytes = trimmed(Array(text.utf8.prefix(64)))
        if let seconds = decimal(bytes[...]) { return .seconds(min(seconds, 600)) }
        guard let date = imfFixdate(bytes) else { return nil }
        return min(max(date - now, .zero), cap)
    }

    /// The moment that an IMF-fixdate names; nil for anything else. The name of the weekday is not compared.
    public static func imfFixdate(_ bytes: [UInt8]) -> Timestamp? {
        // "Sun, 06 Nov 1994 08:49:37 GMT": every part has its fixed place.
        guard bytes.count == 29, bytes[3] == 0x2C, bytes[16] == 0x20, bytes[19] == 0x3A, bytes[22] == 0x3A,
            [4, 7, 11, 25].allSatisfy({ bytes[$0] == 0x20 }),
            String(decoding: bytes[26..<29], as: UTF8.self) == "GMT",
            days.contains(String(decoding: bytes[0..<3], as: UTF8.self)),
            let month = months.firstIndex(of: String(decoding: bytes[8..<11], as: UTF8.self)),
            let day = decimal(bytes[5..<7]), let year = decimal(bytes[12..<16]), let hour = decimal(bytes[17..<19]),
            let minute = decimal(bytes[20..<22]), let second = decimal(bytes[23..<25]),
            (1...31).contains(day), year >= 1970, hour < 24, minute < 60, second <= 60
        else { return nil }
        let total = daysSinceEpoch(year: year, month: Int64(month) + 1, day: day) * 86_400
        let seconds = total + hour * 3600 + minute * 60 + second
        return Timestamp(nanoseconds: seconds.multipliedSaturated(by: 1_000_000_000))
    }

    private static let days: Set<String> = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Digits only; values beyond nine digits are held at 999,999,999.
    private static func decimal(_ bytes: ArraySlice<UInt8>) -> Int64? {
        guard !bytes.isEmpty else { return nil }
        var value: Int64 = 0
        for byte in bytes {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            value = min(value * 10 + Int64(byte - 0x30), 999_999_999)
        }
        return value
    }

    private static func trimmed(_ bytes: [UInt8]) -> [UInt8] {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
        return Array(bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
    }

    /// Days from 1970-01-01 to a date of the Gregorian calendar; years from March, so that the leap day comes last.
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
