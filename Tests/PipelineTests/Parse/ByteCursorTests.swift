import Pipeline
import Testing

@Suite("ByteCursor")
struct ByteCursorTests {
    @Test("lines end at LF, and a last LF opens no line")
    func linesEndAtLF() {
        var cursor = ByteCursor(Array("one\n\nthree\n".utf8))
        var lines: [String] = []
        while cursor.nextLine() { lines.append(cursor.text(cursor.rest)) }
        #expect(lines == ["one", "", "three"])
        #expect(cursor.lineNumber == 3)
    }

    @Test("a file without a last LF loses nothing")
    func lastLineWithoutLF() {
        var cursor = ByteCursor(Array("one\ntwo".utf8))
        var lines: [String] = []
        while cursor.nextLine() { lines.append(cursor.text(cursor.rest)) }
        #expect(lines == ["one", "two"])
    }

    @Test("words are separated by blanks and tabs and end with the line")
    func wordsEndWithTheLine() {
        var cursor = ByteCursor(Array("  a\tbb  \nc".utf8))
        var words: [String] = []
        if cursor.nextLine() {
            while let word = cursor.word() { words.append(cursor.text(word)) }
        }
        #expect(words == ["a", "bb"])
    }

    @Test(
        "numbers are digits that fit, nothing else",
        arguments: [
            ("0", 0), ("18446744073709551615", UInt64.max), ("18446744073709551616", nil),
            ("99999999999999999999", nil),
            ("-1", nil), ("1x", nil), ("+1", nil), ("1.5", nil),
        ] as [(String, UInt64?)])
    func unsignedNumbers(_ text: String, _ value: UInt64?) {
        var cursor = ByteCursor(Array(text.utf8))
        _ = cursor.nextLine()
        let number = cursor.unsigned()
        #expect(number == value)
    }

    @Test(
        "signed numbers reach both ends",
        arguments: [
            ("-9223372036854775808", Int64.min), ("9223372036854775807", .max), ("9223372036854775808", nil),
            ("-", nil),
            ("", nil), ("+7", 7), ("--7", nil),
        ] as [(String, Int64?)])
    func signedNumbers(_ text: String, _ value: Int64?) {
        let cursor = ByteCursor(Array(text.utf8))
        #expect(cursor.signed(in: 0..<text.utf8.count) == value)
    }

    @Test(
        "decimals are the nearest double",
        arguments: [
            ("3.72", 3.72), ("0.00", 0), ("1234567890123456789", 1.2345678901234568e18), ("1e3", 1000), ("nan", nil),
            ("inf", nil), (".", nil), ("", nil), ("1.2.3", nil),
        ] as [(String, Double?)])
    func decimals(_ text: String, _ value: Double?) {
        let cursor = ByteCursor(Array(text.utf8))
        #expect(cursor.decimal(in: 0..<text.utf8.count) == value)
    }
}
