extension JSONValue {
    /// The deepest nesting that is read: `[[…]]` with 64 brackets is, with 65 is not.
    public static let depthLimit = 64

    /// Reads one JSON text, strictly by RFC 8259: no comments, no trailing commas, no NaN, no duplicate keys, nothing
    /// behind the value.
    ///
    /// Bounds: `bytesLimit` bytes (16 MiB unless told), 64 levels; memory is at most about 30 times the text's size.
    /// Errors: `JSONError` with code and byte offset; no input traps.
    public static func parse(_ bytes: [UInt8], bytesLimit: Int = 16 << 20) throws(JSONError) -> JSONValue {
        guard bytes.count <= bytesLimit else { throw JSONError(.tooLong, at: bytesLimit) }
        var parser = JSONParser(bytes: bytes)
        return try parser.text()
    }

    /// The same for text that is a `String` already.
    public static func parse(_ text: String, bytesLimit: Int = 16 << 20) throws(JSONError) -> JSONValue {
        try parse(Array(text.utf8), bytesLimit: bytesLimit)
    }
}

/// A recursive-descent reader over bytes. Its recursion is bounded by `JSONValue.depthLimit`.
struct JSONParser {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// The whole text: one value between white space.
    mutating func text() throws(JSONError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw JSONError(.trailing, at: at) }
        return value
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        switch try peek() {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try array(depth: depth + 1)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw JSONError(.syntax, at: at)
        }
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= JSONValue.depthLimit else { throw JSONError(.tooDeep, at: at) }
        at += 1
        var members: [JSONMember] = []
        var known: Set<String> = []
        skipSpace()
        if try take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipSpace()
            let start = at
            guard try peek() == UInt8(ascii: "\"") else { throw JSONError(.syntax, at: at) }
            let key = try string()
            guard known.insert(key).inserted else { throw JSONError(.duplicateKey, at: start) }
            skipSpace()
            guard try take(UInt8(ascii: ":")) else { throw JSONError(.syntax, at: at) }
            members.append(JSONMember(key, try value(depth: depth)))
            skipSpace()
            if try take(UInt8(ascii: "}")) { return .object(members) }
            guard try take(UInt8(ascii: ",")) else { throw JSONError(.syntax, at: at) }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        guard depth <= JSONValue.depthLimit else { throw JSONError(.tooDeep, at: at) }
        at += 1
        var elements: [JSONValue] = []
        skipSpace()
        if try take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value(depth: depth))
            skipSpace()
            if try take(UInt8(ascii: "]")) { return .array(elements) }
            guard try take(UInt8(ascii: ",")) else { throw JSONError(.syntax, at: at) }
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        for index in 0..<word.utf8CodeUnitCount {
            guard try take(word.utf8Start[index]) else { throw JSONError(.syntax, at: at) }
        }
        return value
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = at
        let negative = try take(UInt8(ascii: "-"))
        var isInteger = true
        if try !take(UInt8(ascii: "0")) { try digits() }
        if at < bytes.count, bytes[at] == UInt8(ascii: ".") {
            isInteger = false
            at += 1
            try digits()
        }
        if at < bytes.count, bytes[at] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            at += 1
            if at < bytes.count, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isInteger {
            // `-0` is a Double: an integer has no negative zero.
            if let value = Int64(text), !(negative && value == 0) { return .integer(value) }
            if !negative, let value = UInt64(text) { return .unsigned(value) }
        }
        guard let value = Double(text), value.isFinite else { throw JSONError(.badNumber, at: start) }
        return .number(value)
    }

    /// At least one digit.
    private mutating func digits() throws(JSONError) {
        guard Self.isDigit(try peek()) else { throw JSONError(.syntax, at: at) }
        while at < bytes.count, Self.isDigit(bytes[at]) { at += 1 }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[at]) { at += 1 }
    }

    func peek() throws(JSONError) -> UInt8 {
        guard at < bytes.count else { throw JSONError(.truncated, at: at) }
        return bytes[at]
    }

    mutating func take(_ byte: UInt8) throws(JSONError) -> Bool {
        guard try peek() == byte else { return false }
        at += 1
        return true
    }
}

extension JSONParser {
    /// A string, from its opening to behind its closing quote.
    mutating func string() throws(JSONError) -> String {
        let start = at
        at += 1
        var content: [UInt8] = []
        while true {
            // Runs without escapes are copied whole.
            let run = at
            while at < bytes.count, bytes[at] >= 0x20, bytes[at] != 0x22, bytes[at] != 0x5C { at += 1 }
            content.append(contentsOf: bytes[run..<at])
            switch try peek() {
            case UInt8(ascii: "\""):
                at += 1
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw JSONError(.badString, at: start)
                }
                return text
            case UInt8(ascii: "\\"):
                at += 1
                try escape(into: &content)
            default:
                throw JSONError(.badString, at: at)
            }
        }
    }

    /// What stands behind a backslash.
    private mutating func escape(into content: inout [UInt8]) throws(JSONError) {
        let letter = try peek()
        at += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(letter)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"): content.append(contentsOf: Array(Character(try unicodeEscape()).utf8))
        default: throw JSONError(.badString, at: at - 1)
        }
    }

    /// `hhhh`, or `hhhh\uhhhh` where the first is a high surrogate.
    private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let start = at
        var code = try fourHexDigits()
        if (0xD800..<0xDC00).contains(code) {
            guard try take(UInt8(ascii: "\\")), try take(UInt8(ascii: "u")) else {
                throw JSONError(.badString, at: start)
            }
            let low = try fourHexDigits()
            guard (0xDC00..<0xE000).contains(low) else { throw JSONError(.badString, at: start) }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw JSONError(.badString, at: start) }
        return scalar
    }

    private mutating func fourHexDigits() throws(JSONError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            let byte = try peek()
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw JSONError(.badString, at: at)
            }
            code = code << 4 | UInt32(digit)
            at += 1
        }
        return code
    }
}
