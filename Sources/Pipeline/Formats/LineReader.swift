/// Walks one line of line protocol. Every access is within `bytes`.
struct LineReader {
    let bytes: UnsafeBufferPointer<UInt8>
    var at: Int
    /// Line ends inside of quoted strings.
    var newlines = 0
    /// Whether a float may be one of the words of `SpecialFloat`.
    private let takesSpecials: Bool

    init(bytes: UnsafeBufferPointer<UInt8>, at: Int, takesSpecials: Bool = false) {
        self.bytes = bytes
        self.at = at
        self.takesSpecials = takesSpecials
    }

    /// Behind the next LF, or the end.
    static func nextLine(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var at = start
        while at < bytes.count {
            at &+= 1
            if bytes[at &- 1] == UInt8(ascii: "\n") { return at }
        }
        return at
    }

    /// Moves to the first byte of the line's content; false, behind its end, for an empty line or a comment.
    mutating func skipToContent() -> Bool {
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): at &+= 1
            case UInt8(ascii: "\n"):
                at &+= 1
                return false
            case UInt8(ascii: "#"):
                at = LineReader.nextLine(bytes, from: at)
                return false
            default: return true
            }
        }
        return false
    }

    /// Measurement and tags as they are written, up to the blank behind them.
    @inline(__always)
    mutating func head(limit: Int) throws(LineIssueReason) -> UnsafeBufferPointer<UInt8> {
        let start = at
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: " ") {
                guard at - start <= limit else { throw .tooLong }
                return UnsafeBufferPointer(rebasing: bytes[start..<at])
            }
            if byte == UInt8(ascii: "\n") { break }
            if byte == UInt8(ascii: "\\"), at &+ 1 < bytes.count, bytes[at &+ 1] == UInt8(ascii: " ") { at &+= 1 }
            at &+= 1
        }
        throw .missingFields
    }

    @inline(__always)
    mutating func skipBlanks() {
        while at < bytes.count, bytes[at] == UInt8(ascii: " ") || bytes[at] == UInt8(ascii: "\t") { at &+= 1 }
    }

    /// Moves behind the key of a field of `shape`, if that is what stands here.
    @inline(__always)
    mutating func take(_ shape: FieldShape, _ field: Int) -> Bool {
        let (bytes, start) = (bytes, at)
        let length = shape.withKey(field) { key in
            guard bytes.count - start >= key.count else { return 0 }
            let here = UnsafeBufferPointer(rebasing: bytes[start..<start + key.count])
            return BytesEqual.equal(here, key) ? key.count : 0
        }
        at &+= length
        return length > 0
    }

    /// The raw key that stands here with its `=`.
    mutating func fieldKey(limit: Int) throws(LineIssueReason) -> UnsafeBufferPointer<UInt8> {
        let start = at
        let end = LineHead.end(bytes, from: at, stops: LineHead.fieldKeyEnds)
        guard end < bytes.count, bytes[end] == UInt8(ascii: "=") else {
            throw end == start ? (start == bytes.count ? .missingFields : .missingFieldKey) : .missingFieldValue
        }
        guard end > start else { throw .missingFieldKey }
        guard end - start <= limit else { throw .tooLong }
        at = end + 1
        return UnsafeBufferPointer(rebasing: bytes[start...end])
    }

    /// The value that stands here; a string goes to the set.
    @inline(__always)
    mutating func value(_ samples: inout SampleSet) throws(LineIssueReason) -> (cell: UInt64, kind: FieldKind) {
        guard at < bytes.count else { throw .missingFieldValue }
        let result: LineProtocolNumber.Result
        switch bytes[at] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            result = try LineProtocolNumber.read(bytes, at)
        case UInt8(ascii: "\""):
            return (samples.addString(try string()), .string)
        case UInt8(ascii: ","), UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"):
            throw .missingFieldValue
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
            if takesSpecials, let special = SpecialFloat.read(bytes, at) {
                result = special
            } else {
                result = try LineProtocolNumber.readBool(bytes, at)
            }
        default: throw .badNumber
        }
        at = result.end
        return (result.cell, result.kind)
    }

    /// Moves behind the value that stands here without making anything of it.
    @inline(__always)
    mutating func skipValue() throws(LineIssueReason) {
        guard at < bytes.count else { throw .missingFieldValue }
        switch bytes[at] {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
            at = try LineProtocolNumber.read(bytes, at).end
        case UInt8(ascii: "\""): _ = try rawString()
        case UInt8(ascii: ","), UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"): throw .missingFieldValue
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
            at = try LineProtocolNumber.readBool(bytes, at).end
        default: throw .badNumber
        }
    }

    private mutating func string() throws(LineIssueReason) -> String {
        let (raw, hasEscapes) = try rawString()
        return hasEscapes ? LineReader.unescaped(raw) : String(decoding: raw, as: UTF8.self)
    }

    /// The content of a quoted string as it is written, and whether it has escapes. Quotes and backslashes are escaped
    /// by a backslash; line ends stand for themselves.
    private mutating func rawString() throws(LineIssueReason) -> (UnsafeBufferPointer<UInt8>, hasEscapes: Bool) {
        at &+= 1
        let start = at
        var hasEscapes = false
        var ends = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                let raw = UnsafeBufferPointer(rebasing: bytes[start..<at])
                at &+= 1
                newlines &+= ends
                return (raw, hasEscapes)
            case UInt8(ascii: "\\"):
                guard at &+ 1 < bytes.count else { throw .openString }
                if bytes[at &+ 1] == UInt8(ascii: "\"") || bytes[at &+ 1] == UInt8(ascii: "\\") {
                    hasEscapes = true
                    at &+= 1
                }
                at &+= 1
            case UInt8(ascii: "\n"):
                ends &+= 1
                at &+= 1
            default: at &+= 1
            }
        }
        throw .openString
    }

    private static func unescaped(_ raw: UnsafeBufferPointer<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity(raw.count)
        var at = 0
        while at < raw.count {
            let isEscape =
                raw[at] == UInt8(ascii: "\\") && at + 1 < raw.count
                && (raw[at + 1] == UInt8(ascii: "\"") || raw[at + 1] == UInt8(ascii: "\\"))
            if isEscape { at += 1 }
            out.append(raw[at])
            at += 1
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// True, behind a comma, when another field must follow; false when the fields end here.
    @inline(__always)
    mutating func takeComma() throws(LineIssueReason) -> Bool {
        guard at < bytes.count else { return false }
        switch bytes[at] {
        case UInt8(ascii: ","):
            at &+= 1
            return true
        case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r"): return false
        default: throw .afterValue
        }
    }

    /// The timestamp, if there is one; moves behind the end of the line.
    @inline(__always)
    mutating func time(factor: Int64) throws(LineIssueReason) -> Timestamp? {
        skipBlanks()
        var result: Timestamp?
        if at < bytes.count, bytes[at] != UInt8(ascii: "\n"), bytes[at] != UInt8(ascii: "\r") {
            (result, at) = try LineProtocolNumber.readTime(bytes, at, factor: factor)
        }
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): at &+= 1
            case UInt8(ascii: "\n"):
                at &+= 1
                return result
            default: throw result == nil ? .badTime : .afterTime
            }
        }
        return result
    }
}

/// The measurement and tags of a line, taken apart when they are met for the first time.
enum LineHead {
    /// Which bytes end a part of a name, when no backslash stands before them.
    typealias Stops = (UInt8) -> Bool

    static func equals(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "=") }
    static func comma(_ byte: UInt8) -> Bool { byte == UInt8(ascii: ",") }
    static func tagKeyEnds(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "=") || byte == UInt8(ascii: ",") }
    static func fieldKeyEnds(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "=") || byte == UInt8(ascii: ",") || byte == UInt8(ascii: " ")
            || byte == UInt8(ascii: "\n")
    }

    /// The first unescaped byte of `stops` from `start` on, or the end.
    @inline(__always)
    static func end(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int, stops: Stops) -> Int {
        var at = start
        while at < bytes.count {
            let byte = bytes[at]
            if stops(byte) { return at }
            if byte == UInt8(ascii: "\\"), at &+ 1 < bytes.count, isSpecial(bytes[at &+ 1]) { at &+= 1 }
            at &+= 1
        }
        return at
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ",") || byte == UInt8(ascii: " ") || byte == UInt8(ascii: "=")
    }

    /// The text without the backslashes that escape.
    static func unescaped(_ raw: UnsafeBufferPointer<UInt8>, equals: Bool) -> String {
        guard raw.contains(UInt8(ascii: "\\")) else { return String(decoding: raw, as: UTF8.self) }
        var out: [UInt8] = []
        var at = 0
        while at < raw.count {
            if raw[at] == UInt8(ascii: "\\"), at + 1 < raw.count, isSpecial(raw[at + 1]),
                equals || raw[at + 1] != UInt8(ascii: "=")
            {
                at += 1
            }
            out.append(raw[at])
            at += 1
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Errors: no measurement, a tag without key or value, too many tags.
    static func series(
        _ head: UnsafeBufferPointer<UInt8>, tagsLimit: Int, _ extraTags: [Tag] = []
    ) throws(LineIssueReason) -> Series {
        var at = end(head, from: 0, stops: comma)
        guard at > 0 else { throw .missingMeasurement }
        let measurement = unescaped(UnsafeBufferPointer(rebasing: head[..<at]), equals: false)
        var tags: [Tag] = []
        while at < head.count {
            let (key, value) = try tag(head, &at)
            tags.append(
                Tag(
                    unescaped(UnsafeBufferPointer(rebasing: head[key]), equals: true),
                    unescaped(UnsafeBufferPointer(rebasing: head[value]), equals: true)))
            guard tags.count <= tagsLimit else { throw .tooManyTags }
        }
        return Series(measurement, tags: tags + extraTags)
    }

    /// Where key and value stand, as written, of the tag whose comma `at` stands at; moves to the next one's.
    @inline(__always)
    static func tag(
        _ head: UnsafeBufferPointer<UInt8>, _ at: inout Int
    ) throws(LineIssueReason) -> (key: Range<Int>, value: Range<Int>) {
        let keyStart = at + 1
        let keyEnd = end(head, from: keyStart, stops: tagKeyEnds)
        guard keyEnd > keyStart else { throw .missingTagKey }
        guard keyEnd < head.count, head[keyEnd] == UInt8(ascii: "=") else { throw .missingTagValue }
        at = end(head, from: keyEnd + 1, stops: tagKeyEnds)
        // An equals sign in a value must be escaped.
        guard at > keyEnd + 1, at == head.count || head[at] == UInt8(ascii: ",") else { throw .missingTagValue }
        return (keyStart..<keyEnd, keyEnd + 1..<at)
    }
}
