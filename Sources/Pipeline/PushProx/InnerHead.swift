/// One header line.
public struct HTTPField: Sendable, Hashable {
    public var name: String
    public var value: String

    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// Without regard to case.
    func isNamed(_ other: String) -> Bool { name.lowercased() == other }
}

extension [HTTPField] {
    /// The first value of that name, which is given in lower case.
    public func first(_ name: String) -> String? { first { $0.isNamed(name) }?.value }

    /// The last value of that name, which is given in lower case.
    public func last(_ name: String) -> String? { last { $0.isNamed(name) }?.value }
}

/// Why a message inside of a poll's answer or a push cannot be read. The text holds nothing of the message.
public struct InnerError: Error, Sendable, Hashable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// Line and headers of an HTTP message that is the body of another one.
///
/// Lenient where real peers are odd: `HTTP/0.0`, `HTTP/1.0`, lines that end with LF alone, folded lines, no reason.
/// Strict where leniency would smuggle: names that are no tokens, control characters in values, two lengths.
public struct InnerHead: Sendable, Hashable {
    public enum Start: Sendable, Hashable {
        case request(method: String, target: String)
        case response(status: Int, reason: String)
    }

    /// Bytes of line and headers, and lines of headers.
    public static let bytesLimit = 64 * 1_024
    public static let fieldsLimit = 1_000
    /// Interim responses (1xx) before the final one.
    static let interimLimit = 16

    public var start: Start
    public var fields: [HTTPField]

    public init(start: Start, fields: [HTTPField]) {
        self.start = start
        self.fields = fields
    }

    /// Whether a peer of ours can read a head that is made of these and of a line with this text: no scraper may put a
    /// client off its polls, and no target's response may come without its cause.
    public static func fits(_ fields: [HTTPField], line: String = "") -> Bool {
        // The id, the time that is left, and the host as the client spells it come on top.
        let room = bytesLimit - 2_048
        let bytes = fields.reduce(2 * line.utf8.count) {
            $0.addingSaturated($1.name.utf8.count + $1.value.utf8.count + 4)
        }
        return fields.count <= fieldsLimit - 8 && bytes <= room
    }

    /// Where the head ends: behind its empty line; nil while that has not come. Looks from `offset` on.
    static func end(of bytes: [UInt8], from offset: Int) -> Int? {
        var index = max(0, offset)
        while index < bytes.count {
            guard bytes[index] == 0x0A else {
                index += 1
                continue
            }
            if index + 1 < bytes.count, bytes[index + 1] == 0x0A { return index + 2 }
            if index + 2 < bytes.count, bytes[index + 1] == 0x0D, bytes[index + 2] == 0x0A { return index + 3 }
            index += 1
        }
        return nil
    }

    /// Reads a whole head, its empty line included.
    public static func parse(_ bytes: ArraySlice<UInt8>) throws(InnerError) -> InnerHead {
        var lines: [ArraySlice<UInt8>] = []
        for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
            lines.append(line.last == 0x0D ? line.dropLast() : line)
        }
        guard let first = lines.first, !first.isEmpty else { throw InnerError("no first line") }
        let start = try self.start(of: first)
        var fields: [HTTPField] = []
        for line in lines.dropFirst() {
            guard !line.isEmpty else { break }
            guard fields.count < fieldsLimit else { throw InnerError("more than \(fieldsLimit) headers") }
            if line.first == 0x20 || line.first == 0x09 {
                guard let last = fields.indices.last else { throw InnerError("a folded line without a header") }
                fields[last].value += " " + (try value(of: line))
            } else {
                fields.append(try field(of: line))
            }
        }
        return InnerHead(start: start, fields: fields)
    }

    private static func start(of line: ArraySlice<UInt8>) throws(InnerError) -> Start {
        let parts = line.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2 else { throw InnerError("malformed first line") }
        if isVersion(parts[0]) {
            let digits = parts[1]
            guard digits.count == 3, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
                throw InnerError("malformed status")
            }
            let status = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            guard status >= 100 else { throw InnerError("malformed status") }
            let reason = parts.count > 2 ? parts[2] : []
            return .response(status: status, reason: try value(of: reason))
        }
        guard parts.count == 3, isVersion(parts[2]), !parts[0].isEmpty, parts[0].allSatisfy(isToken) else {
            throw InnerError("malformed first line")
        }
        guard !parts[1].isEmpty, parts[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw InnerError("malformed target")
        }
        return .request(
            method: String(decoding: parts[0], as: UTF8.self), target: String(decoding: parts[1], as: UTF8.self))
    }

    /// `HTTP/`, a digit, a dot, a digit.
    private static func isVersion(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.count == 8, text.starts(with: "HTTP/".utf8) else { return false }
        let rest = Array(text.dropFirst(5))
        return (0x30...0x39).contains(rest[0]) && rest[1] == 0x2E && (0x30...0x39).contains(rest[2])
    }

    private static func field(of line: ArraySlice<UInt8>) throws(InnerError) -> HTTPField {
        guard let colon = line.firstIndex(of: 0x3A), colon > line.startIndex, line[..<colon].allSatisfy(isToken) else {
            throw InnerError("malformed header")
        }
        return HTTPField(String(decoding: line[..<colon], as: UTF8.self), try value(of: line[(colon + 1)...]))
    }

    /// Without the blanks around it.
    private static func value(of bytes: ArraySlice<UInt8>) throws(InnerError) -> String {
        guard !bytes.contains(where: { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F }) else {
            throw InnerError("a control character in a header")
        }
        var text = bytes
        while let first = text.first, first == 0x20 || first == 0x09 { text = text.dropFirst() }
        while let last = text.last, last == 0x20 || last == 0x09 { text = text.dropLast() }
        return String(decoding: text, as: UTF8.self)
    }

    /// RFC 9110, 5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

/// Collects a head that comes in pieces.
public struct InnerHeadReader: Sendable {
    private var bytes: [UInt8] = []
    private var interim = 0

    public init() {}

    /// Takes a piece. nil while the head is not complete; then the head, and what came behind it.
    ///
    /// Interim responses (1xx) are passed over. Errors: too long, too many interim ones, or not understood.
    public mutating func take(
        _ piece: some Collection<UInt8>
    ) throws(InnerError) -> (head: InnerHead, rest: ArraySlice<UInt8>)? {
        var from = bytes.count - 3
        bytes += piece
        while let end = InnerHead.end(of: bytes, from: from) {
            guard end <= InnerHead.bytesLimit else { break }
            let head = try InnerHead.parse(bytes[..<end])
            let rest = bytes[end...]
            guard case .response(let status, _) = head.start, status < 200 else { return (head, rest) }
            interim += 1
            guard interim <= InnerHead.interimLimit else { throw InnerError("interim responses without a final one") }
            bytes = Array(rest)
            from = 0
        }
        guard bytes.count <= InnerHead.bytesLimit else {
            throw InnerError("a head of more than \(InnerHead.bytesLimit) bytes")
        }
        return nil
    }

    /// Why the message ended too early; nil before its first byte.
    public var isEmpty: Bool { bytes.isEmpty }
}
