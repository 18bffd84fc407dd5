/// Files of sysfs and of `/proc/sys` that hold a few numbers.
///
/// Shape: `1234\n`, or numbers with blanks or tabs between them.
public enum NumberFile {
    /// The numbers of the first line, `limit` at most.
    /// Errors: a word that is no number, or no word at all.
    public static func list(
        _ bytes: [UInt8], limit: Int, source: String
    ) throws(ParseError) -> [UInt64] {
        var cursor = ByteCursor(bytes)
        var values: [UInt64] = []
        _ = cursor.nextLine()
        while values.count < limit, let word = cursor.word() {
            guard let value = cursor.unsigned(in: cursor.trimmed(word)) else {
                throw ParseError(source, "is no number")
            }
            values.append(value)
        }
        guard !values.isEmpty else { throw ParseError(source, "is empty") }
        return values
    }

    /// The whole file as a number with decimals and a sign; nil when it is none.
    public static func decimal(_ bytes: [UInt8]) -> Double? {
        let cursor = ByteCursor(bytes)
        var word = cursor.trimmed(0..<bytes.count)
        guard let first = word.first else { return nil }
        let isNegative = bytes[first] == UInt8(ascii: "-")
        if isNegative || bytes[first] == UInt8(ascii: "+") { word = (first + 1)..<word.upperBound }
        guard let second = word.first, bytes[second] != UInt8(ascii: "-"), bytes[second] != UInt8(ascii: "+") else {
            return nil
        }
        return cursor.decimal(in: word).map { isNegative ? -$0 : $0 }
    }
}
