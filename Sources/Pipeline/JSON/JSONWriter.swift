/// Writes JSON text piece by piece, for replies too large or too regular to build as a `JSONValue` first.
///
/// Shape: `{"a":1,"b":[true,null]}` compact, or with `indent` two spaces a level and one member a line.
/// Commas and colons are the writer's; the caller pairs begin and end and gives a key before each member's value.
public struct JSONWriter: Sendable {
    public private(set) var bytes: [UInt8] = []
    private let indent: Bool
    /// One entry an open object or array: whether it has something in it already.
    private var hasElements: [Bool] = []
    private var afterKey = false

    public init(indent: Bool = false) { self.indent = indent }

    /// What has been written, as text.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    public mutating func beginObject() { begin(UInt8(ascii: "{")) }
    public mutating func endObject() { end(UInt8(ascii: "}")) }
    public mutating func beginArray() { begin(UInt8(ascii: "[")) }
    public mutating func endArray() { end(UInt8(ascii: "]")) }

    /// The name of the next value.
    public mutating func key(_ key: String) {
        separate()
        quote(key)
        bytes.append(UInt8(ascii: ":"))
        if indent { bytes.append(0x20) }
        afterKey = true
    }

    /// One value with everything in it.
    public mutating func value(_ value: JSONValue) {
        switch value {
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members { self.member(member.key, member.value) }
            endObject()
        default:
            separate()
            scalar(value)
        }
    }

    /// A key and its value.
    public mutating func member(_ key: String, _ value: JSONValue) {
        self.key(key)
        self.value(value)
    }

    private mutating func scalar(_ value: JSONValue) {
        switch value {
        case .bool(let value): append(value ? "true" : "false")
        case .integer(let value): append(String(value))
        case .unsigned(let value): append(String(value))
        // JSON has no NaN and no infinity.
        case .number(let value): append(value.isFinite ? value.description : "null")
        case .string(let value): quote(value)
        case .null, .array, .object: append("null")
        }
    }

    private mutating func begin(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        hasElements.append(false)
    }

    private mutating func end(_ bracket: UInt8) {
        if hasElements.popLast() == true { newLine() }
        bytes.append(bracket)
    }

    /// The comma and line break due before a key or an element.
    private mutating func separate() {
        if afterKey {
            afterKey = false
            return
        }
        guard let last = hasElements.indices.last else { return }
        if hasElements[last] { bytes.append(UInt8(ascii: ",")) }
        hasElements[last] = true
        newLine()
    }

    private mutating func newLine() {
        guard indent else { return }
        bytes.append(0x0A)
        bytes.append(contentsOf: repeatElement(0x20, count: 2 * hasElements.count))
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func quote(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): append("\\\"")
            case UInt8(ascii: "\\"): append("\\\\")
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20, 0x7F:
                append(byte < 16 ? "\\u000" : "\\u00")
                append(String(byte, radix: 16))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension JSONValue {
    /// This value as JSON text.
    public func encoded(indent: Bool = false) -> [UInt8] {
        var writer = JSONWriter(indent: indent)
        writer.value(self)
        return writer.bytes
    }
}

extension JSONValue: CustomStringConvertible {
    public var description: String { String(decoding: encoded(), as: UTF8.self) }
}
