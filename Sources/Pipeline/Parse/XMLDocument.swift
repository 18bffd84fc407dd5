/// One element of an XML document: its name, the text directly inside of it, and its children in order.
public struct XMLElement: Sendable, Hashable {
    public var name: String
    /// Without white space at both ends.
    public var text: String
    public var children: [XMLElement]

    public init(_ name: String, text: String = "", children: [XMLElement] = []) {
        self.name = name
        self.text = text
        self.children = children
    }

    /// The first child of that name.
    public subscript(_ name: String) -> XMLElement? { children.first { $0.name == name } }

    /// The text at the end of a path such as `fb_memory_usage/total`; empty when there is none.
    public func text(at path: String) -> String {
        var element = self
        for name in path.split(separator: "/") {
            guard let next = element[String(name)] else { return "" }
            element = next
        }
        return element.text
    }
}

/// The XML that a program prints, read into a tree.
///
/// Shape: `<?xml …?> <!DOCTYPE root SYSTEM "x.dtd"> <root><a>text</a><b/></root>`. Attributes, comments, processing
/// instructions and what a DOCTYPE holds are passed; the five named entities and numeric ones are known, no other.
/// Bounds: `depthLimit` elements inside each other, `elementLimit` in all; the input's size is the caller's matter.
/// Errors: what is not closed, not opened, too deep, too much, or no XML at all.
public struct XMLDocument: Sendable, Hashable {
    public static let depthLimit = 32
    public static let elementLimit = 100_000

    public var root: XMLElement
    /// What stands in the DOCTYPE, without `<!DOCTYPE` and `>`; empty when there is none.
    public var documentType: String

    public static func parse(_ bytes: [UInt8], source: String) throws(ParseError) -> XMLDocument {
        var reader = XMLReader(bytes: bytes, source: source)
        return try reader.document()
    }
}

/// One reading of a document.
private struct XMLReader {
    let bytes: [UInt8]
    let source: String
    private var index = 0
    private var count = 0
    private var documentType = ""
    /// Elements that are not closed yet, the outermost first, each with the bytes of its text.
    private var open: [(element: XMLElement, text: [UInt8])] = []
    private var root: XMLElement?

    init(bytes: [UInt8], source: String) {
        self.bytes = bytes
        self.source = source
    }

    mutating func document() throws(ParseError) -> XMLDocument {
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "<") { try markup() } else { try text() }
        }
        guard open.isEmpty else { throw fail("an element is not closed") }
        guard let root else { throw fail("no element") }
        return XMLDocument(root: root, documentType: documentType)
    }

    private func fail(_ reason: String) -> ParseError {
        let line = bytes[..<min(index, bytes.count)].count { $0 == UInt8(ascii: "\n") } + 1
        return ParseError(source, line: line, reason)
    }

    // MARK: Text

    private mutating func text() throws(ParseError) {
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "<") { index += 1 }
        guard !open.isEmpty else {
            guard bytes[start..<index].allSatisfy({ $0 <= 0x20 }) || isMark(start..<index) else {
                throw fail("text outside of an element")
            }
            return
        }
        append(bytes[start..<index])
    }

    /// The byte order mark.
    private func isMark(_ range: Range<Int>) -> Bool { bytes[range].starts(with: [0xEF, 0xBB, 0xBF]) }

    /// Appends to the text of the innermost element, entities resolved.
    private mutating func append(_ piece: ArraySlice<UInt8>) {
        let last = open.count - 1
        var rest = piece
        while let start = rest.firstIndex(of: UInt8(ascii: "&")) {
            open[last].text += rest[..<start]
            // The longest is `&#x10FFFF;`.
            guard let end = rest[start...].prefix(12).firstIndex(of: UInt8(ascii: ";")),
                let value = XMLReader.entity(rest[(start + 1)..<end])
            else {
                open[last].text.append(UInt8(ascii: "&"))
                rest = rest[(start + 1)...]
                continue
            }
            open[last].text += Array(String(Character(value)).utf8)
            rest = rest[(end + 1)...]
        }
        open[last].text += rest
    }

    private static func entity(_ name: ArraySlice<UInt8>) -> Unicode.Scalar? {
        switch String(decoding: name, as: UTF8.self) {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        case let text where text.hasPrefix("#x"):
            return UInt32(text.dropFirst(2), radix: 16).flatMap(Unicode.Scalar.init)
        case let text where text.hasPrefix("#"): return UInt32(text.dropFirst(1)).flatMap(Unicode.Scalar.init)
        default: return nil
        }
    }

    // MARK: Markup

    private mutating func markup() throws(ParseError) {
        if takes("<!--") { return try skip(to: "-->") }
        if takes("<![CDATA[") {
            let start = index
            try skip(to: "]]>")
            guard !open.isEmpty else { throw fail("text outside of an element") }
            open[open.count - 1].text += bytes[start..<(index - 3)]
            return
        }
        if takes("<!DOCTYPE") { return try doctype() }
        if takes("<?") { return try skip(to: "?>") }
        if takes("</") { return try close() }
        index += 1
        try begin()
    }

    private mutating func takes(_ text: StaticString) -> Bool {
        let length = text.utf8CodeUnitCount
        guard bytes.count - index >= length else { return false }
        let isEqual = text.withUTF8Buffer { wanted in (0..<length).allSatisfy { bytes[index + $0] == wanted[$0] } }
        if isEqual { index += length }
        return isEqual
    }

    /// Moves behind `text`.
    private mutating func skip(to text: StaticString) throws(ParseError) {
        while index < bytes.count {
            if takes(text) { return }
            index += 1
        }
        throw fail("it ends inside of markup")
    }

    /// Up to the `>`; a subset in brackets is passed.
    private mutating func doctype() throws(ParseError) {
        let start = index
        var isInside = false
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "["): isInside = true
            case UInt8(ascii: "]"): isInside = false
            case UInt8(ascii: ">") where !isInside:
                documentType = Array(bytes[start..<index]).trimmedText
                index += 1
                return
            default: break
            }
            index += 1
        }
        throw fail("it ends inside of markup")
    }

    private mutating func name() -> String {
        let start = index
        while index < bytes.count, bytes[index] > 0x20, bytes[index] != UInt8(ascii: ">"),
            bytes[index] != UInt8(ascii: "/")
        {
            index += 1
        }
        return String(decoding: bytes[start..<index], as: UTF8.self)
    }

    private mutating func begin() throws(ParseError) {
        let name = name()
        guard !name.isEmpty else { throw fail("a < without a name") }
        guard open.count < XMLDocument.depthLimit else { throw fail("elements nest too deeply") }
        count += 1
        guard count <= XMLDocument.elementLimit else { throw fail("too many elements") }
        guard root == nil else { throw fail("more than one outermost element") }
        // Attributes: up to the >, which may stand in a quoted value.
        var quote: UInt8 = 0
        var isEmpty = false
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if quote != 0 {
                if byte == quote { quote = 0 }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
            } else if byte == UInt8(ascii: ">") {
                open.append((XMLElement(name), []))
                if isEmpty { finish() }
                return
            }
            isEmpty = quote == 0 && byte == UInt8(ascii: "/")
        }
        throw fail("it ends inside of markup")
    }

    private mutating func close() throws(ParseError) {
        let name = name()
        try skip(to: ">")
        guard let last = open.last, last.element.name == name else { throw fail("an end without a beginning") }
        finish()
    }

    /// Closes the innermost element.
    private mutating func finish() {
        guard let last = open.popLast() else { return }
        var element = last.element
        element.text = last.text.trimmedText
        if open.isEmpty { root = element } else { open[open.count - 1].element.children.append(element) }
    }
}
