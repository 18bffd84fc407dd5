/// Reading base64, as key files have it.
extension Base64 {
    /// nil for any other character, for padding in the middle, and for a length that no encoder makes.
    public static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
        var out: [UInt8] = []
        var buffer: UInt32 = 0
        var digits = 0
        var padding = 0
        for byte in text {
            if byte == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = value(of: byte) else { return nil }
            buffer = buffer << 6 | UInt32(value)
            digits += 1
            if digits & 3 == 0 {
                out.append(UInt8(truncatingIfNeeded: buffer >> 16))
                out.append(UInt8(truncatingIfNeeded: buffer >> 8))
                out.append(UInt8(truncatingIfNeeded: buffer))
                buffer = 0
            }
        }
        switch digits & 3 {
        case 0: return padding == 0 ? out : nil
        case 2:
            guard padding == 2 else { return nil }
            out.append(UInt8(truncatingIfNeeded: buffer >> 4))
        case 3:
            guard padding == 1 else { return nil }
            out.append(UInt8(truncatingIfNeeded: buffer >> 10))
            out.append(UInt8(truncatingIfNeeded: buffer >> 2))
        default: return nil
        }
        return out
    }

    /// As fingerprints have it: without padding.
    static func unpadded(_ bytes: [UInt8]) -> String {
        String(decoding: encoded(bytes).filter { $0 != UInt8(ascii: "=") }, as: UTF8.self)
    }

    private static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte &- UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte &- UInt8(ascii: "a") &+ 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte &- UInt8(ascii: "0") &+ 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
