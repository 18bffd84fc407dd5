extension TOMLParser {
    /// Reads one value.
    mutating func value(depth: Int) throws(SyntaxError) -> ConfigNode {
        guard depth < TOMLParser.depthLimit else { throw error("values are nested too deeply") }
        let place = origin
        switch current {
        case UInt8(ascii: "\""):
            let isLong = at(1) == UInt8(ascii: "\"") && at(2) == UInt8(ascii: "\"")
            return ConfigNode(
                .string(isLong ? try longString(quote: UInt8(ascii: "\"")) : try basicString()), at: place)
        case UInt8(ascii: "'"):
            let isLong = at(1) == UInt8(ascii: "'") && at(2) == UInt8(ascii: "'")
            return ConfigNode(
                .string(isLong ? try longString(quote: UInt8(ascii: "'")) : try literalString()), at: place)
        case UInt8(ascii: "["): return ConfigNode(.array(try array(depth: depth)), at: place)
        case UInt8(ascii: "{"): return try inlineTable(depth: depth)
        default: return ConfigNode(try scalar(), at: place)
        }
    }

    private mutating func array(depth: Int) throws(SyntaxError) -> [ConfigNode] {
        position += 1
        var nodes: [ConfigNode] = []
        while true {
            try skipLines()
            if current == UInt8(ascii: "]") { break }
            nodes.append(try value(depth: depth + 1))
            try skipLines()
            if current == UInt8(ascii: "]") { break }
            guard current == UInt8(ascii: ",") else { throw error("expected , or ] in a list") }
            position += 1
        }
        position += 1
        return nodes
    }

    private mutating func inlineTable(depth: Int) throws(SyntaxError) -> ConfigNode {
        let table = TOMLTable(origin: origin)
        position += 1
        skipBlanks()
        if current == UInt8(ascii: "}") {
            position += 1
            return table.node
        }
        while true {
            skipBlanks()
            try assignment(in: table, depth: depth + 1)
            skipBlanks()
            let byte = current
            guard byte == UInt8(ascii: ",") || byte == UInt8(ascii: "}") else {
                throw error("expected , or } in a table on one line")
            }
            position += 1
            if byte == UInt8(ascii: "}") { return table.node }
        }
    }

    // MARK: Strings

    /// Reads `"…"` on one line.
    mutating func basicString() throws(SyntaxError) -> String {
        position += 1
        var out: [UInt8] = []
        while let byte = current, byte != UInt8(ascii: "\n") {
            position += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: out, as: UTF8.self)
            case UInt8(ascii: "\\"): out += try escape()
            default: out.append(try plain(byte))
            }
        }
        throw error("a string is not closed on its line")
    }

    /// Reads `'…'` on one line.
    mutating func literalString() throws(SyntaxError) -> String {
        position += 1
        var out: [UInt8] = []
        while let byte = current, byte != UInt8(ascii: "\n") {
            position += 1
            if byte == UInt8(ascii: "'") { return String(decoding: out, as: UTF8.self) }
            out.append(try plain(byte))
        }
        throw error("a string is not closed on its line")
    }

    /// Reads `"""…"""` or `'''…'''`.
    private mutating func longString(quote: UInt8) throws(SyntaxError) -> String {
        let startLine = line
        position += 3
        if current == UInt8(ascii: "\r"), at(1) == UInt8(ascii: "\n") { position += 1 }
        if current == UInt8(ascii: "\n") {
            position += 1
            line += 1
        }
        var out: [UInt8] = []
        while let byte = current {
            if byte == quote, at(1) == quote, at(2) == quote {
                position += 3
                // Up to two quotes may stand directly before the closing three.
                for _ in 0..<2 where current == quote {
                    out.append(quote)
                    position += 1
                }
                return String(decoding: out, as: UTF8.self)
            }
            position += 1
            switch byte {
            case UInt8(ascii: "\n"):
                line += 1
                out.append(byte)
            case UInt8(ascii: "\r") where current == UInt8(ascii: "\n"): out.append(byte)
            case UInt8(ascii: "\\") where quote == UInt8(ascii: "\""):
                if !(try skipFoldedLines()) { out += try escape() }
            default: out.append(try plain(byte))
            }
        }
        throw SyntaxError(line: startLine, message: "a string of several lines is not closed")
    }

    /// After a `\` at the end of a line: skips to the next text. False when the line does not end here.
    private mutating func skipFoldedLines() throws(SyntaxError) -> Bool {
        var ahead = position
        while ahead < bytes.count, [0x20, 0x09, 0x0D].contains(bytes[ahead]) { ahead += 1 }
        guard ahead < bytes.count, bytes[ahead] == UInt8(ascii: "\n") else { return false }
        while let byte = current, [0x20, 0x09, 0x0D, 0x0A].contains(byte) {
            if byte == UInt8(ascii: "\n") { line += 1 }
            position += 1
        }
        return true
    }

    private func plain(_ byte: UInt8) throws(SyntaxError) -> UInt8 {
        guard byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t") else {
            throw error("a control character stands in a string")
        }
        return byte
    }

    /// What an escape stands for, its `\` already read.
    private mutating func escape() throws(SyntaxError) -> [UInt8] {
        guard let byte = current else { throw error("a string is not closed") }
        position += 1
        switch byte {
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [byte]
        case UInt8(ascii: "u"): return try codePoint(digits: 4)
        case UInt8(ascii: "U"): return try codePoint(digits: 8)
        default: throw error("\\\(Character(Unicode.Scalar(byte))) is no escape; a backslash is written \\\\")
        }
    }

    private mutating func codePoint(digits: Int) throws(SyntaxError) -> [UInt8] {
        let end = min(position + digits, bytes.count)
        let text = bytes[position..<end]
        guard text.count == digits, text.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let number = UInt32(String(decoding: text, as: UTF8.self), radix: 16), let scalar = Unicode.Scalar(number)
        else { throw error("\\u needs 4 and \\U 8 hexadecimal digits of a character") }
        position = end
        return Array(String(Character(scalar)).utf8)
    }

    // MARK: Numbers, booleans, dates

    private mutating func scalar() throws(SyntaxError) -> ConfigNode.Kind {
        var text = token()
        if TOMLParser.isDate(text), text.count == 10, current == UInt8(ascii: " "), let next = at(1), isDigit(next) {
            // A date and a time with a blank between them.
            position += 1
            text += [UInt8(ascii: " ")] + token()
        }
        let word = String(decoding: text, as: UTF8.self)
        switch word {
        case "": throw error("a value is missing")
        case "true": return .bool(true)
        case "false": return .bool(false)
        case "inf", "+inf": return .float(.infinity)
        case "-inf": return .float(-.infinity)
        case "nan", "+nan", "-nan": return .float(.nan)
        default: break
        }
        if TOMLParser.isDate(text) || TOMLParser.isTime(text) { return .moment(word) }
        if let number = TOMLNumber.parse(text) { return number }
        let isNumeric = text.first.map { isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") } ?? false
        throw error(isNumeric ? "\(word) is no valid number" : "\(word) is no value; text stands in \"quotes\"")
    }

    private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private mutating func token() -> [UInt8] {
        let start = position
        while let byte = current, byte > 0x20, !",]}#".utf8.contains(byte) { position += 1 }
        return Array(bytes[start..<position])
    }

    private static func isDate(_ text: [UInt8]) -> Bool { hasShape("dddd-dd-dd", text) }
    private static func isTime(_ text: [UInt8]) -> Bool { hasShape("dd:dd:dd", text) }

    /// Whether `text` begins with digits where `shape` has `d`, and with the shape's other characters.
    private static func hasShape(_ shape: String, _ text: [UInt8]) -> Bool {
        guard text.count >= shape.utf8.count else { return false }
        return zip(shape.utf8, text).allSatisfy { want, byte in
            want == UInt8(ascii: "d") ? (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) : want == byte
        }
    }
}

/// Whole and decimal numbers as TOML writes them.
enum TOMLNumber {
    /// nil for anything else, and for whole numbers that do not fit 64 bits.
    static func parse(_ text: [UInt8]) -> ConfigNode.Kind? {
        guard let first = text.first, let last = text.last, !isUnderscore(first), !isUnderscore(last) else {
            return nil
        }
        for (index, byte) in text.enumerated() where isUnderscore(byte) {
            // An underscore stands between two digits.
            guard isHexDigit(text[index - 1]), isHexDigit(text[index + 1]) else { return nil }
        }
        let plain = text.filter { !isUnderscore($0) }
        let word = String(decoding: plain, as: UTF8.self)
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] where word.hasPrefix(prefix) {
            let digits = word.utf8.dropFirst(2)
            guard !digits.isEmpty, digits.allSatisfy(isHexDigit), text.count < 3 || !isUnderscore(text[2]) else {
                return nil
            }
            return Int64(word.dropFirst(2), radix: radix).map { .integer($0) }
        }
        return decimal(plain, word)
    }

    private static func decimal(_ plain: [UInt8], _ word: String) -> ConfigNode.Kind? {
        var rest = plain[...]
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let whole = takeDigits(&rest)
        guard !whole.isEmpty, whole.count == 1 || whole.first != UInt8(ascii: "0") else { return nil }
        if rest.isEmpty { return Int64(word).map { .integer($0) } }
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard !takeDigits(&rest).isEmpty else { return nil }
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
            guard !takeDigits(&rest).isEmpty else { return nil }
        }
        guard rest.isEmpty else { return nil }
        return Double(word).map { .float($0) }
    }

    private static func takeDigits(_ text: inout ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let digits = text.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        text = text.dropFirst(digits.count)
        return digits
    }

    private static func isUnderscore(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "_") }
    private static func isHexDigit(_ byte: UInt8) -> Bool { Character(Unicode.Scalar(byte)).isHexDigit }
}
