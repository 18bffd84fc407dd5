/// Values of one kind made of another, by the rules of Telegraf's converter.
///
/// Whole numbers may be written `0x…`; a number that is too large or too small becomes the nearest that the kind holds; a
/// fraction is rounded, halves away from zero. nil: the value cannot be converted.
enum FieldConversion {
    static func integer(_ value: FieldValue) -> Int64? {
        switch value {
        case .int(let value): return value
        case .uint(let value): return Int64(clamping: value)
        case .bool(let value): return value ? 1 : 0
        case .float(let value): return integer(value)
        case .string(let text):
            if let digits = hexadecimal(text) { return Int64(digits, radix: 16) }
            return Int64(text) ?? number(text).flatMap(integer)
        }
    }

    static func unsigned(_ value: FieldValue) -> UInt64? {
        switch value {
        case .int(let value): return UInt64(clamping: value)
        case .uint(let value): return value
        case .bool(let value): return value ? 1 : 0
        case .float(let value): return unsigned(value)
        case .string(let text):
            if let digits = hexadecimal(text) { return UInt64(digits, radix: 16) }
            return UInt64(text) ?? number(text).flatMap(unsigned)
        }
    }

    static func float(_ value: FieldValue) -> Double? {
        switch value {
        case .int(let value): return Double(value)
        case .uint(let value): return Double(value)
        case .bool(let value): return value ? 1 : 0
        case .float(let value): return value
        case .string(let text):
            guard let digits = hexadecimal(text) else { return number(text) }
            guard !digits.isEmpty, digits.unicodeScalars.allSatisfy({ $0.properties.isASCIIHexDigit }) else {
                return nil
            }
            let sum = digits.utf8.reduce(0.0) { $0 * 16 + Double(hexDigit($1)) }
            return sum.isFinite ? sum : nil
        }
    }

    static func bool(_ value: FieldValue) -> Bool? {
        switch value {
        case .int(let value): value > 0
        case .uint(let value): value > 0
        case .bool(let value): value
        case .float(let value): value > 0
        case .string(let text):
            switch text {
            case "1", "t", "T", "TRUE", "true", "True": true
            case "0", "f", "F", "FALSE", "false", "False": false
            default: nil
            }
        }
    }

    static func string(_ value: FieldValue) -> String {
        switch value {
        case .int(let value): return "\(value)"
        case .uint(let value): return "\(value)"
        case .bool(let value): return "\(value)"
        case .string(let value): return value
        case .float(let value):
            guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Inf" : "+Inf" }
            var out = ByteWriter(capacity: 32)
            out.append(decimal: value)
            return out.withBytes { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// A floating-point number in base64 of its four bytes, the highest first.
    static func base64Float(_ text: String) -> Double? {
        guard let bytes = Base64.decode(text), bytes.count == 4 else { return nil }
        let bits = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return Double(Float(bitPattern: bits))
    }

    // MARK: Parts

    private static func hexadecimal(_ text: String) -> Substring? {
        text.utf8.starts(with: "0x".utf8) ? text.dropFirst(2) : nil
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8 { byte < 58 ? byte & 15 : (byte & 15) + 9 }

    /// A decimal number; nil for one that is out of range.
    private static func number(_ text: String) -> Double? {
        guard let value = Double(text) else { return nil }
        // The largest numbers are infinite only when they are written so.
        if value.isInfinite, text.utf8.contains(where: { (48...57).contains($0) }) { return nil }
        return value
    }

    private static func integer(_ value: Double) -> Int64? {
        guard !value.isNaN else { return nil }
        let rounded = value.rounded()
        return Int64(exactly: rounded) ?? (rounded < 0 ? .min : .max)
    }

    private static func unsigned(_ value: Double) -> UInt64? {
        guard !value.isNaN else { return nil }
        let rounded = value.rounded()
        return UInt64(exactly: rounded) ?? (rounded < 0 ? 0 : .max)
    }
}

extension Base64 {
    /// The bytes of `text`, in which line ends do not count; nil when it is no base64.
    static func decode(_ text: String) -> [UInt8]? {
        let digits = text.utf8.filter { $0 != 10 && $0 != 13 }
        guard digits.count % 4 == 0 else { return nil }
        let padding = digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var out: [UInt8] = []
        var (bits, count) = (UInt32(0), 0)
        for digit in digits.dropLast(padding) {
            guard let value = value(digit) else { return nil }
            bits = bits << 6 | value
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
        return out
    }

    private static func value(_ digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit) + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
