/// Durations and sizes as people write them.
public enum Quantity {
    /// Shape: `10s`, `1m30s`, `500ms`, `1.5h`, `-2s`, `7d`; units ns, us, µs, ms, s, m, h, d (24 h). A number without
    /// unit is seconds. nil for anything else, and for what does not fit ±292 years.
    public static func duration(_ text: String) -> Duration? {
        var scanner = QuantityScanner(text)
        let isNegative = scanner.sign()
        var total: Int64 = 0
        var parts = 0
        while !scanner.isAtEnd {
            guard let number = scanner.number() else { return nil }
            let unit = scanner.word()
            guard let scale = nanoseconds(in: unit, isAlone: parts == 0 && scanner.isAtEnd) else { return nil }
            guard let value = number.scaled(by: scale) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(value)
            guard !overflow else { return nil }
            total = sum
            parts += 1
        }
        return parts == 0 ? nil : .nanoseconds(isNegative ? -total : total)
    }

    private static func nanoseconds(in unit: String, isAlone: Bool) -> Int64? {
        switch unit {
        case "ns": 1
        case "us", "µs", "μs": 1_000
        case "ms": 1_000_000
        case "s": 1_000_000_000
        case "m": 60_000_000_000
        case "h": 3_600_000_000_000
        case "d": 86_400_000_000_000
        case "" where isAlone: 1_000_000_000
        default: nil
        }
    }

    /// A number of seconds as a duration; nil where it does not fit.
    public static func duration(seconds: Double) -> Duration? {
        let nanoseconds = (seconds * 1e9).rounded()
        guard nanoseconds.magnitude < 9.2e18 else { return nil }
        return .nanoseconds(Int64(nanoseconds))
    }

    /// Shape: `64KiB`, `10MB`, `1.5GiB`, `4096`; units B, KB, MB, GB, TB, PB (powers of 1000) and KiB … PiB (powers of
    /// 1024) in any case. nil for anything else, negative ones, and what does not fit 63 bits.
    public static func size(_ text: String) -> Int64? {
        var scanner = QuantityScanner(text)
        guard let number = scanner.number() else { return nil }
        scanner.skipBlanks()
        let unit = scanner.word().lowercased()
        guard scanner.isAtEnd else { return nil }
        let scale: Int64
        switch unit {
        case "", "b": scale = 1
        case "kb": scale = 1_000
        case "mb": scale = 1_000_000
        case "gb": scale = 1_000_000_000
        case "tb": scale = 1_000_000_000_000
        case "pb": scale = 1_000_000_000_000_000
        case "kib": scale = 1 << 10
        case "mib": scale = 1 << 20
        case "gib": scale = 1 << 30
        case "tib": scale = 1 << 40
        case "pib": scale = 1 << 50
        default: return nil
        }
        return number.scaled(by: scale)
    }

    /// The duration as it would be written in a file: `1m30s`, `500ms`, `168h`, `0s`.
    public static func text(_ duration: Duration) -> String {
        let nanoseconds = duration.wholeNanoseconds
        var rest = nanoseconds.magnitude
        guard rest != 0 else { return "0s" }
        var text = nanoseconds < 0 ? "-" : ""
        let units: [(UInt64, String)] = [
            (3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"),
            (1, "ns"),
        ]
        for (scale, unit) in units where rest >= scale {
            text += "\(rest / scale)\(unit)"
            rest %= scale
        }
        return text
    }

    /// The size as it would be written in a file, in the largest unit that holds it exactly: `512MiB`, `1000B`.
    public static func text(size: Int64) -> String {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] where size != 0 {
            if size % (1 << Int64(shift)) == 0 { return "\(size >> Int64(shift))\(unit)" }
        }
        return "\(size)B"
    }
}

/// A decimal number as written, exact: `digits / 10^decimals`.
private struct WrittenNumber {
    var digits: Int64
    var decimals: Int

    /// The number times `scale`, rounded to the nearest whole; nil where it does not fit.
    func scaled(by scale: Int64) -> Int64? {
        // At most nine decimals: the divisor stays below 2^30.
        var divisor: UInt64 = 1
        for _ in 0..<decimals { divisor *= 10 }
        let (high, low) = digits.magnitude.multipliedFullWidth(by: scale.magnitude)
        guard high < divisor else { return nil }
        let (quotient, remainder) = divisor.dividingFullWidth((high, low))
        let rounded = quotient.addingSaturated(remainder >= divisor - remainder ? 1 : 0)
        return Int64(exactly: rounded)
    }
}

private struct QuantityScanner {
    private let text: [Unicode.Scalar]
    private var position = 0

    init(_ text: String) {
        // No quantity needs more; the limit bounds the work on hostile text.
        self.text = Array(text.unicodeScalars.prefix(65))
        if self.text.count == 65 { position = 65 }
    }

    var isAtEnd: Bool { position >= text.count }

    /// Reads a sign; true for a minus.
    mutating func sign() -> Bool {
        guard !isAtEnd, text[position] == "-" || text[position] == "+" else { return false }
        position += 1
        return text[position - 1] == "-"
    }

    mutating func skipBlanks() {
        while !isAtEnd, text[position] == " " { position += 1 }
    }

    /// Reads digits with an optional fraction; fraction digits beyond the ninth are dropped.
    mutating func number() -> WrittenNumber? {
        var number = WrittenNumber(digits: 0, decimals: 0)
        var seenDigit = false
        var seenPoint = false
        while !isAtEnd {
            let scalar = text[position]
            if scalar == ".", !seenPoint {
                seenPoint = true
            } else if ("0"..."9").contains(scalar) {
                seenDigit = true
                if number.decimals < 9 {
                    let (shifted, first) = number.digits.multipliedReportingOverflow(by: 10)
                    let (sum, second) = shifted.addingReportingOverflow(Int64(scalar.value - 48))
                    guard !first, !second else { return nil }
                    number.digits = sum
                    if seenPoint { number.decimals += 1 }
                }
            } else {
                break
            }
            position += 1
        }
        return seenDigit ? number : nil
    }

    /// Reads letters.
    mutating func word() -> String {
        var word = String.UnicodeScalarView()
        while !isAtEnd, text[position].properties.isAlphabetic {
            word.append(text[position])
            position += 1
        }
        return String(word)
    }
}
