/// `/proc/interrupts` and `/proc/softirqs`: how often each CPU served each interrupt.
///
/// Shape: a heading with the CPUs that are online, then a row an interrupt:
///
///                CPU0       CPU1
///      24:          1          0  IO-APIC   5-edge      ACPI:Ged
///     ERR:          0
///     NMI:          0          0   Non-maskable interrupts
///
/// A row may have fewer counts than there are CPUs. Lines whose first word has no colon at its end, and rows with a
/// count that is no number, are passed. Behind the counts of a numbered interrupt stand its type and the device, behind
/// those of a named one its description, which is called type.
/// Errors: a heading that does not begin with CPU0, or none.
public struct ProcInterrupts: Sendable, Hashable {
    public struct Row: Sendable, Hashable {
        /// Without the colon, in the bytes of the file.
        public var name: Range<Int>
        /// Where its counts stand in `counts`.
        public var counts: Range<Int>
        /// What stands behind the counts.
        public var rest: Range<Int>
        public var isNumbered: Bool
    }

    /// Names of the CPUs as they stand in the heading: CPU0.
    public private(set) var cpus: [Range<Int>] = []
    public private(set) var rows: [Row] = []
    public private(set) var counts: [Int64] = []

    /// `source` names the file in errors.
    public static func parse(_ bytes: [UInt8], source: String) throws(ParseError) -> ProcInterrupts {
        var cursor = ByteCursor(bytes)
        var table = ProcInterrupts()
        guard cursor.nextLine() else { throw ParseError(source, "is empty") }
        while let word = cursor.word() { table.cpus.append(word) }
        guard let first = table.cpus.first, cursor.equals(first, Array("CPU0".utf8)) else {
            throw ParseError(source, line: 1, "the heading does not begin with CPU0")
        }
        while cursor.nextLine() {
            guard let word = cursor.word(), bytes[word.upperBound - 1] == UInt8(ascii: ":") else { continue }
            var end = word.upperBound
            while end > word.lowerBound, bytes[end - 1] == UInt8(ascii: ":") { end -= 1 }
            table.addRow(word.lowerBound..<end, &cursor)
        }
        return table
    }

    private mutating func addRow(_ name: Range<Int>, _ cursor: inout ByteCursor) {
        let start = counts.count
        while counts.count - start < cpus.count, let word = cursor.word() {
            guard let value = cursor.signed(in: word) else {
                counts.removeLast(counts.count - start)
                return
            }
            counts.append(value)
        }
        let isNumbered = cursor.signed(in: name) != nil
        rows.append(
            Row(name: name, counts: start..<counts.count, rest: cursor.trimmed(cursor.rest), isNumbered: isNumbered))
    }

    /// The tags irq, type and device of a row; what is empty is left out. Runs of blanks become one.
    public static func tags(_ row: Row, _ bytes: [UInt8]) -> [Tag] {
        var words = bytes[row.rest].split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
        var tags = [Tag("irq", String(decoding: bytes[row.name], as: UTF8.self))]
        if row.isNumbered, words.count > 1 {
            tags.append(Tag("device", words.dropFirst().joined(separator: " ")))
            words.removeLast(words.count - 1)
        }
        if !words.isEmpty { tags.append(Tag("type", words.joined(separator: " "))) }
        return tags
    }
}
