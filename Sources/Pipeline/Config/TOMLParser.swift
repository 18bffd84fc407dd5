/// Reads TOML 1.0 into a `ConfigNode`, every key and value with its line.
///
/// What it promises: no trap, no unbounded recursion and no quadratic time on any input; after an error it goes on with
/// the next statement, so that one run shows all of them. What it refuses: bytes that are not UTF-8, and nesting beyond
/// `depthLimit`.
/// Why our own: positions of values are what configuration errors are about, and the wrapped C++ parser gives none,
/// never frees a document (a reload must cost nothing) and traps on a NUL in a key.
/// Source: TOML 1.0.0; differential tests against toml++.
public struct TOMLParser {
    /// Longest file, in bytes.
    public static let sizeLimit = 4 << 20
    /// Deepest nesting of values and longest dotted key.
    static let depthLimit = 32
    /// After so many syntax errors the rest of the file is not looked at.
    static let errorLimit = 20

    struct SyntaxError: Error {
        var line: Int
        var message: String
    }

    let file: String
    let bytes: [UInt8]
    var position = 0
    var line = 1

    /// Parses `bytes`, the content of `file` (a name for messages). The tree holds what could be read; it is complete
    /// when there are no issues.
    public static func parse(_ bytes: [UInt8], file: String) -> (tree: ConfigNode, issues: [ConfigIssue]) {
        let empty = ConfigNode(.table([]), at: ConfigOrigin(file: file, line: 1))
        guard bytes.count <= sizeLimit else {
            let message = "the file is larger than \(Quantity.text(size: Int64(sizeLimit)))"
            return (empty, [ConfigIssue(.error, ConfigOrigin(file: file, line: 0), "", message)])
        }
        if let line = firstInvalidLine(bytes) {
            return (empty, [ConfigIssue(.error, ConfigOrigin(file: file, line: line), "", "this line is not UTF-8")])
        }
        var parser = TOMLParser(file: file, bytes: bytes)
        return parser.document()
    }

    /// The line of the first byte that is not UTF-8.
    private static func firstInvalidLine(_ bytes: [UInt8]) -> Int? {
        guard String(validating: bytes, as: UTF8.self) == nil else { return nil }
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        return lines.firstIndex { String(validating: $0, as: UTF8.self) == nil }.map { $0 + 1 } ?? 1
    }

    private init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
    }

    var origin: ConfigOrigin { ConfigOrigin(file: file, line: line) }
    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    func at(_ offset: Int) -> UInt8? { position + offset < bytes.count ? bytes[position + offset] : nil }

    func error(_ message: String) -> SyntaxError { SyntaxError(line: line, message: message) }

    // MARK: Statements

    private mutating func document() -> (tree: ConfigNode, issues: [ConfigIssue]) {
        let root = TOMLTable(origin: origin)
        var table = root
        var issues: [ConfigIssue] = []
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        while position < bytes.count, issues.count < TOMLParser.errorLimit {
            let startLine = line
            do throws(SyntaxError) {
                try statement(root, &table)
            } catch {
                issues.append(ConfigIssue(.error, ConfigOrigin(file: file, line: error.line), "", error.message))
                // Within a value of several lines nobody knows where the next statement begins.
                guard line == startLine else { break }
                while let byte = current, byte != UInt8(ascii: "\n") { position += 1 }
            }
        }
        return (root.node, issues)
    }

    /// Reads one header or `key = value` with the rest of its line, or an empty line.
    private mutating func statement(_ root: TOMLTable, _ table: inout TOMLTable) throws(SyntaxError) {
        skipBlanks()
        switch current {
        case nil: return
        case UInt8(ascii: "#"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): break
        case UInt8(ascii: "["): try header(root, &table)
        default: try assignment(in: table, depth: 0)
        }
        try endOfLine()
    }

    private mutating func header(_ root: TOMLTable, _ table: inout TOMLTable) throws(SyntaxError) {
        let place = origin
        position += 1
        let isArray = current == UInt8(ascii: "[")
        if isArray { position += 1 }
        skipBlanks()
        // Keys after a broken header must not land in the section before it.
        table = TOMLTable(origin: place)
        let path = try keyPath()
        for _ in 0..<(isArray ? 2 : 1) {
            guard current == UInt8(ascii: "]") else {
                throw error("a section header must end with \(isArray ? "]]" : "]")")
            }
            position += 1
        }
        guard let section = isArray ? root.append(path, at: place) : root.define(path, at: place) else {
            throw error("[\(path.joined(separator: "."))] is already defined as something else")
        }
        table = section
    }

    /// Reads `key = value` into `table`.
    mutating func assignment(in table: TOMLTable, depth: Int) throws(SyntaxError) {
        let place = origin
        let path = try keyPath()
        guard current == UInt8(ascii: "=") else {
            throw error("expected = after the key \(path.joined(separator: "."))")
        }
        position += 1
        skipBlanks()
        let value = try value(depth: depth)
        guard table.set(path, value, at: place) else {
            throw SyntaxError(line: place.line, message: "\(path.joined(separator: ".")) is set twice")
        }
    }

    /// Reads a key with its dots and the blanks behind it.
    private mutating func keyPath() throws(SyntaxError) -> [String] {
        var path: [String] = []
        while true {
            path.append(try key())
            guard path.count <= TOMLParser.depthLimit else { throw error("the key has too many parts") }
            skipBlanks()
            guard current == UInt8(ascii: ".") else { return path }
            position += 1
            skipBlanks()
        }
    }

    private mutating func key() throws(SyntaxError) -> String {
        switch current {
        case UInt8(ascii: "\""): return try basicString()
        case UInt8(ascii: "'"): return try literalString()
        default:
            let start = position
            while let byte = current, TOMLParser.isBare(byte) { position += 1 }
            guard position > start else { throw error("expected a key or a section") }
            return String(decoding: bytes[start..<position], as: UTF8.self)
        }
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    // MARK: Blanks

    mutating func skipBlanks() {
        while let byte = current, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { position += 1 }
    }

    /// Reads blanks, a comment, and the end of the line.
    private mutating func endOfLine() throws(SyntaxError) {
        skipBlanks()
        try skipComment()
        guard let byte = current else { return }
        if byte == UInt8(ascii: "\r"), at(1) == UInt8(ascii: "\n") { position += 1 }
        guard current == UInt8(ascii: "\n") else { throw error("unexpected text after the value") }
        position += 1
        line += 1
    }

    private mutating func skipComment() throws(SyntaxError) {
        guard current == UInt8(ascii: "#") else { return }
        while let byte = current, byte != UInt8(ascii: "\n") {
            if byte == UInt8(ascii: "\r"), at(1) == UInt8(ascii: "\n") { return }
            guard byte >= 0x20 && byte != 0x7F || byte == UInt8(ascii: "\t") else {
                throw error("a control character stands in a comment")
            }
            position += 1
        }
    }

    /// Skips blanks, comments and line ends inside a list.
    mutating func skipLines() throws(SyntaxError) {
        while true {
            skipBlanks()
            try skipComment()
            if current == UInt8(ascii: "\r"), at(1) == UInt8(ascii: "\n") { position += 1 }
            guard current == UInt8(ascii: "\n") else { return }
            position += 1
            line += 1
        }
    }
}
