import Pipeline

/// Compares points in line protocol: the same points, each as often, in any order; floats within a tolerance.
enum LineComparison {
    /// One point, as it is spelled, without its timestamp.
    struct Line: CustomStringConvertible {
        /// Name and tags.
        var header: [UInt8] = []
        var fields: [(key: [UInt8], value: [UInt8])] = []

        var description: String {
            let fields = fields.map { $0.key + [UInt8(ascii: "=")] + $0.value }
            let joined = Array(fields.joined(separator: [UInt8(ascii: ",")]))
            return String(decoding: header + [UInt8(ascii: " ")] + joined, as: UTF8.self)
        }

        /// Whether both are the same point.
        func matches(_ actual: Line) -> Bool {
            guard header == actual.header, fields.count == actual.fields.count else { return false }
            let ours = fields.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            let theirs = actual.fields.sorted { $0.key.lexicographicallyPrecedes($1.key) }
            return zip(ours, theirs).allSatisfy { $0.key == $1.key && LineComparison.matches($0.value, $1.value) }
        }
    }

    /// The points of `samples`, encoded by the program's own encoder.
    static func lines(of samples: SampleSet) throws -> [UInt8] {
        var out = ByteWriter()
        for row in samples.rows {
            guard let header = LineProtocol.header(row.series.measurement, row.series.tags) else { continue }
            do throws(LineProtocol.EncodingError) {
                try LineProtocol.append(
                    header: header, schema: row.schema, columns: row.schema.lineOrder, set: samples,
                    firstCell: row.firstCell, time: row.time, options: .init(omitTimestamp: true), to: &out)
            } catch .noFields {
                continue
            }
        }
        return out.bytes
    }

    static func differences(expected: [UInt8], actual: [UInt8]) throws -> [String] {
        var rest = try parse(actual)
        var differences: [String] = []
        for line in try parse(expected) {
            if let index = rest.firstIndex(where: { line.matches($0) }) {
                rest.remove(at: index)
            } else {
                differences.append("missing  \(line)")
            }
        }
        return differences + rest.map { "too much \($0)" }
    }

    /// A float may differ in its last digits; anything else is compared as it is spelled.
    private static func matches(_ expected: [UInt8], _ actual: [UInt8]) -> Bool {
        guard let wanted = float(expected) else { return expected == actual }
        guard let given = float(actual) else { return false }
        return (wanted - given).magnitude <= 1e-9 * max(1, wanted.magnitude)
    }

    private static func float(_ value: [UInt8]) -> Double? {
        guard let first = value.first, first == UInt8(ascii: "-") || (0x30...0x39).contains(first) else { return nil }
        return Double(String(decoding: value, as: UTF8.self))
    }

    /// Splits `text` into points. Quotes matter in field values only, where LF may stand too.
    static func parse(_ text: [UInt8]) throws -> [Line] {
        var lines: [Line] = []
        var index = 0
        while index < text.count {
            if text[index] == UInt8(ascii: "\n") || text[index] == UInt8(ascii: "\r") {
                index += 1
                continue
            }
            var line = Line()
            line.header = take(text, &index, until: " \n")
            guard index < text.count, text[index] == UInt8(ascii: " ") else { throw CaseError("a line without fields") }
            index += 1
            while true {
                let key = take(text, &index, until: "=\n")
                guard index < text.count, text[index] == UInt8(ascii: "=") else {
                    throw CaseError("a field without value")
                }
                index += 1
                line.fields.append((key, takeValue(text, &index)))
                guard index < text.count, text[index] == UInt8(ascii: ",") else { break }
                index += 1
            }
            // What follows is a timestamp, which is not compared.
            while index < text.count, text[index] != UInt8(ascii: "\n") { index += 1 }
            lines.append(line)
        }
        return lines
    }

    /// The bytes up to the first of `stops` that no backslash precedes.
    private static func take(_ text: [UInt8], _ index: inout Int, until stops: String) -> [UInt8] {
        let start = index
        while index < text.count, !stops.utf8.contains(text[index]) {
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        index = min(index, text.count)
        return Array(text[start..<index])
    }

    private static func takeValue(_ text: [UInt8], _ index: inout Int) -> [UInt8] {
        guard index < text.count, text[index] == UInt8(ascii: "\"") else { return take(text, &index, until: ", \n\r") }
        let start = index
        index += 1
        while index < text.count, text[index] != UInt8(ascii: "\"") {
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        index = min(index + 1, text.count)
        return Array(text[start..<index])
    }
}
