/// Numbers as people like them.
public enum Readable {
    /// `340 ms`, `12 s`, `5 min 3 s`, `2 h 4 min`, `3 d 1 h`.
    public static func duration(_ duration: Duration) -> String {
        let milliseconds = duration.wholeNanoseconds / 1_000_000
        let seconds = milliseconds / 1_000
        switch seconds {
        case ..<0: return "0 s"
        case 0: return milliseconds == 0 ? "0 s" : "\(milliseconds) ms"
        case ..<60: return "\(seconds) s"
        case ..<3_600: return pair(seconds / 60, "min", seconds % 60, "s")
        case ..<86_400: return pair(seconds / 3_600, "h", seconds / 60 % 60, "min")
        default: return pair(seconds / 86_400, "d", seconds / 3_600 % 24, "h")
        }
    }

    /// `17 B`, `1.5 KiB`, `20.0 MiB`.
    public static func bytes(_ bytes: UInt64) -> String {
        guard bytes >= 1_024 else { return "\(bytes) B" }
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        while value >= 1_023.95, unit < units.count - 1 {
            value /= 1_024
            unit += 1
        }
        return "\(decimal(value, places: 1)) \(units[unit])"
    }

    /// `1,234,567`.
    public static func count(_ count: UInt64) -> String {
        var text = ""
        for (index, digit) in String(count).reversed().enumerated() {
            if index > 0, index.isMultiple(of: 3) { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// A number with at most `places` (0 to 6) places, rounded half away from zero; `-` when it is not finite.
    public static func decimal(_ value: Double, places: Int) -> String {
        guard value.isFinite else { return "-" }
        guard abs(value) < 1e15 else { return value.description }
        let scale = [1.0, 10, 100, 1_000, 10_000, 100_000, 1_000_000][min(max(places, 0), 6)]
        let scaled = (abs(value) * scale).rounded()
        let whole = Int64((scaled / scale).rounded(.down))
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard places > 0 else { return "\(sign)\(whole)" }
        let fraction = String(Int64(scaled) - whole * Int64(scale))
        return "\(sign)\(whole)." + String(repeating: "0", count: max(0, places - fraction.count)) + fraction
    }

    private static func pair(_ major: Int64, _ unit: String, _ minor: Int64, _ subunit: String) -> String {
        minor == 0 ? "\(major) \(unit)" : "\(major) \(unit) \(minor) \(subunit)"
    }

    /// Text of the outside world made fit for a terminal: no control characters, one line, at most `limit` characters.
    public static func line(_ text: String, limit: Int = 200) -> String {
        var result = ""
        for scalar in text.unicodeScalars.prefix(limit) {
            let isControl = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
            result.unicodeScalars.append(isControl ? " " : scalar)
        }
        return text.unicodeScalars.count > limit ? result + "…" : result
    }
}
