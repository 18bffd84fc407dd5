/// Labels as they stand on a page, without their braces: `a="1",b="x\"y"`.
///
/// A quote within a value has a backslash before it, so `,name="` is found nowhere but at the beginning of a label.
enum LabelText {
    /// With one more label; one of its name goes, since none may stand there twice.
    static func adding(_ label: String, to labels: String) -> String {
        guard !labels.isEmpty else { return label }
        let name = String(label.prefix { $0 != "=" })
        return (removing(name, from: labels).map { $0.isEmpty ? label : $0 + "," + label }) ?? labels + "," + label
    }

    /// Without the label of a name; nil where there is none.
    static func removing(_ name: String, from labels: String) -> String? {
        let bytes = Array(labels.utf8)
        guard let place = place(name, bytes) else { return nil }
        var kept = bytes[..<max(0, place.lowerBound - 1)] + bytes[min(bytes.count, place.upperBound)...]
        if kept.first == UInt8(ascii: ",") { kept = kept.dropFirst() }
        return String(decoding: kept, as: UTF8.self)
    }

    /// What a label that must be a number says, such as `le`.
    enum Number: Hashable {
        case missing
        case value(Double)
        case noNumber
    }

    static func number(_ name: String, in labels: String) -> Number {
        let bytes = Array(labels.utf8)
        guard let place = place(name, bytes) else { return .missing }
        let text = String(decoding: bytes[place].dropFirst(name.utf8.count + 2).dropLast(), as: UTF8.self)
        if text == "+Inf" { return .value(.infinity) }
        // No more than all readers of pages take: no hexadecimal ones, no words.
        guard text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }), let value = Double(text) else {
            return .noNumber
        }
        return .value(value)
    }

    /// Where a label stands, from its name up to behind its value.
    private static func place(_ name: String, _ bytes: [UInt8]) -> Range<Int>? {
        let wanted = Array(name.utf8) + Array("=\"".utf8)
        var start = 0
        while start + wanted.count < bytes.count {
            if bytes[start] == wanted[0], start == 0 || bytes[start - 1] == UInt8(ascii: ","),
                bytes[start..<(start + wanted.count)].elementsEqual(wanted)
            {
                var end = start + wanted.count
                while end < bytes.count, bytes[end] != UInt8(ascii: "\"") {
                    end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1
                }
                return start..<min(bytes.count, end + 1)
            }
            start += 1
        }
        return nil
    }
}
