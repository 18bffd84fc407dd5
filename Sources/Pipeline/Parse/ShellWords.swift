/// A line of arguments as a shell would cut it: blanks separate, quotes of both kinds and backslashes hold together.
/// Nothing is expanded.
public enum ShellWords {
    /// nil when a quote is not closed, or a backslash is the last byte.
    public static func split(_ line: String) -> [String]? {
        var words: [String] = []
        var word: [UInt8]?
        var quote: UInt8?
        var isEscaped = false
        for byte in line.utf8 {
            if isEscaped {
                // Inside double quotes a backslash escapes only these.
                if quote != nil, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                    word?.append(UInt8(ascii: "\\"))
                }
                word?.append(byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "'") {
                word = word ?? []
                isEscaped = true
            } else if let open = quote {
                if byte == open { quote = nil } else { word?.append(byte) }
            } else if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                word = word ?? []
                quote = byte
            } else if byte == 0x20 || byte == 0x09 || byte == 0x0A {
                if let whole = word { words.append(String(decoding: whole, as: UTF8.self)) }
                word = nil
            } else {
                word = (word ?? []) + [byte]
            }
        }
        guard quote == nil, !isEscaped else { return nil }
        if let whole = word { words.append(String(decoding: whole, as: UTF8.self)) }
        return words
    }
}
