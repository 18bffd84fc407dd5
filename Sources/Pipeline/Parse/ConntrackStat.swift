/// `/proc/net/stat/nf_conntrack`: what the connection tracker did on each CPU.
///
/// Shape: a heading, then a line of 17 hexadecimal numbers for each CPU; their order is fixed, while the names in the
/// heading changed (`searched` is clashres today, `delete_list` chainlength). Other lines are passed.
/// Errors: a line of 17 words of which one is no hexadecimal number.
public enum ConntrackStat {
    /// What the columns are called, in their order.
    public static let names = [
        "entries", "searched", "found", "new", "invalid", "ignore", "delete", "delete_list", "insert", "insert_failed",
        "drop", "early_drop", "icmp_error", "expect_new", "expect_create", "expect_delete", "search_restart",
    ]

    /// A list of 17 numbers for each CPU.
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> [[UInt64]] {
        var cursor = ByteCursor(bytes)
        var rows: [[UInt64]] = []
        while cursor.nextLine() {
            var words: [Range<Int>] = []
            while let word = cursor.word() { words.append(word) }
            guard words.count == names.count, !cursor.equals(words[0], entriesName) else { continue }
            var row: [UInt64] = []
            for word in words {
                guard let value = hexadecimal(bytes[word]) else {
                    throw ParseError("net/stat/nf_conntrack", line: cursor.lineNumber, "is no hexadecimal number")
                }
                row.append(value)
            }
            rows.append(row)
        }
        return rows
    }

    private static let entriesName = Array("entries".utf8)

    private static func hexadecimal(_ word: ArraySlice<UInt8>) -> UInt64? {
        guard !word.isEmpty, word.count <= 16 else { return nil }
        var value: UInt64 = 0
        for byte in word {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt64(byte &- UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt64(byte &- UInt8(ascii: "a") &+ 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt64(byte &- UInt8(ascii: "A") &+ 10)
            default: return nil
            }
        }
        return value
    }
}
