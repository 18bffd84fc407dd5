/// What the program `sensors -A -u` prints: the values of each feature of each chip.
///
/// Shape, a paragraph a chip:
///
///     coretemp-isa-0000
///     Package id 0:
///       temp1_input: 45.000
///       temp1_max: 100.000
///
/// Lines with a value that is no number, and values before any feature, are passed.
public struct SensorsReport: Sendable, Hashable {
    public var chip: String
    /// In small letters, with `_` for blanks.
    public var feature: String
    public var values: [(name: String, value: Double)]

    public static func == (left: SensorsReport, right: SensorsReport) -> Bool {
        left.chip == right.chip && left.feature == right.feature
            && left.values.elementsEqual(right.values) { $0.name == $1.name && $0.value == $1.value }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(chip)
        hasher.combine(feature)
    }

    /// Features with at least one value. `removesNumbers`: temp1_input becomes temp_input; of several values that get
    /// one name the last counts.
    public static func parse(_ bytes: [UInt8], removesNumbers: Bool) -> [SensorsReport] {
        var cursor = ByteCursor(bytes)
        var reports: [SensorsReport] = []
        var chip: String?
        var feature: SensorsReport?
        func close() {
            if let done = feature, !done.values.isEmpty { reports.append(done) }
            feature = nil
        }
        while cursor.nextLine() {
            let line = cursor.rest
            let text = cursor.trimmed(line)
            if text.isEmpty {
                close()
                chip = nil
            } else if chip == nil {
                chip = cursor.text(text)
            } else if cursor.hasPrefix(line, "  ") {
                guard let colon = cursor.last(UInt8(ascii: ":"), in: text),
                    let value = NumberFile.decimal(Array(bytes[(colon + 1)..<text.upperBound]))
                else { continue }
                let name = bytes[text.lowerBound..<colon].filter { !removesNumbers || $0 &- UInt8(ascii: "0") >= 10 }
                feature?.set(String(decoding: name, as: UTF8.self), value)
            } else {
                close()
                var end = text.upperBound
                while end > text.lowerBound, bytes[end - 1] == UInt8(ascii: ":") { end -= 1 }
                let name = cursor.text(text.lowerBound..<end).lowercased().replacing(" ", with: "_")
                feature = SensorsReport(chip: chip ?? "", feature: name, values: [])
            }
        }
        close()
        return reports
    }

    private mutating func set(_ name: String, _ value: Double) {
        if let index = values.firstIndex(where: { $0.name == name }) {
            values[index].value = value
        } else {
            values.append((name, value))
        }
    }
}
