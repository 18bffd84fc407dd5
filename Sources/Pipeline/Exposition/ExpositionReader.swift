/// The two text formats of a page.
public enum ExpositionFormat: Sendable, Hashable {
    /// Prometheus text 0.0.4 (and 1.0.0, whose names may stand in quotes).
    case text
    /// OpenMetrics 1.0.
    case openMetrics

    /// What a scraper says that it takes.
    public static let accept =
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
        + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

    /// By the header `Content-Type`: text where there is none or another kind of text; nil for what is neither.
    public init?(contentType: String) {
        let kind = contentType.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        switch kind {
        case "application/openmetrics-text": self = .openMetrics
        case "", "text/plain", "application/octet-stream": self = .text
        default:
            guard kind.hasPrefix("text/"), kind != "text/html" else { return nil }
            self = .text
        }
    }
}

/// Reads a page of metrics family by family.
///
/// Shape: `# HELP name text`, `# TYPE name kind`, `name{label="value",…} number [time]`, one a line, LF or CRLF; in
/// OpenMetrics `# UNIT`, exemplars and, at the end, `# EOF`.
/// A line that is not understood costs its family, or the lines around it where it names none; the others are given.
/// Source: Prometheus, "Exposition formats"; OpenMetrics 1.0.
/// Bounds: `familiesLimit` names, 128 labels a line. Cost: no text but the names of families and their help.
public struct ExpositionReader: Sendable {
    private static let familiesLimit = 100_000
    private static let helpLimit = 1_024
    private static let unitLimit = 64

    private struct Declaration {
        var kind = ExpositionKind.untyped
        var help = ""
        var unit = ""
        var isBroken = false
    }

    private let bytes: [UInt8]
    private let format: ExpositionFormat
    private var position = 0
    private var lineNumber = 0
    private var declared: [String: Declaration] = [:]
    private var current: ExpositionFamily?
    /// The current family's name, to compare with.
    private var currentName: [UInt8] = []
    /// Families that wait to be given.
    private var finished: ExpositionFamily?
    private var hasEnded = false
    /// Room for a line.
    private var names: [Range<Int>] = []
    /// The lines that were not taken; the first few, and how many there were.
    public private(set) var issues: [ExpositionIssue] = []
    public private(set) var issueCount = 0

    public init(_ bytes: [UInt8], format: ExpositionFormat) {
        self.bytes = bytes
        self.format = format
    }

    /// Whether the page came to its end: OpenMetrics says so itself. Only after `next` gave nil.
    public var isComplete: Bool { format == .text || hasEnded }

    /// One text a named line, and one for the rest.
    public var complaints: [String] {
        issues.map(\.description) + (issueCount > issues.count ? ["\(issueCount - issues.count) more lines"] : [])
    }

    /// The next samples that belong together; nil at the end.
    public mutating func next() -> ExpositionFamily? {
        while finished == nil, position < bytes.count { readLine() }
        if finished == nil { close() }
        defer { finished = nil }
        return finished
    }

    private mutating func readLine() {
        var end = position
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end &+= 1 }
        lineNumber &+= 1
        let start = position
        position = end &+ 1
        if end > start, bytes[end &- 1] == UInt8(ascii: "\r") { end &-= 1 }
        var line = ExpositionLine(bytes, from: start, to: end)
        swap(&line.names, &names)
        defer { swap(&line.names, &names) }
        line.skipBlanks()
        guard !line.isAtEnd else { return }
        if hasEnded { return complain(.afterEnd) }
        if bytes[line.at] == UInt8(ascii: "#") {
            line.at &+= 1
            readComment(&line)
            return
        }
        let begin = line.at
        do throws(ExpositionIssue.Reason) {
            let sample = try line.sample(format)
            enter(sample.name)
            current?.samples.append(sample)
        } catch {
            complain(error)
            // The family of the line, where so much of it can be read.
            var name = begin
            while name < end, ExpositionLine.isName(bytes[name], isFirst: name == begin, colon: true) { name &+= 1 }
            if name > begin { enter(begin..<name) }
            spoil()
        }
    }

    private mutating func complain(_ reason: ExpositionIssue.Reason) {
        issueCount &+= 1
        if issues.count < LineIssues.namedLimit { issues.append(ExpositionIssue(line: lineNumber, reason: reason)) }
    }

    private mutating func spoil() {
        guard let name = current?.name else { return }
        declared[name, default: Declaration()].isBroken = true
        current?.samples.removeAll()
    }

    // MARK: Comments

    private mutating func readComment(_ line: inout ExpositionLine) {
        let cursor = ByteCursor(bytes)
        let keyword = line.word()
        if format == .openMetrics, cursor.equals(keyword, Array("EOF".utf8)) {
            hasEnded = true
            return
        }
        let isType = cursor.equals(keyword, Array("TYPE".utf8))
        let isUnit = format == .openMetrics && cursor.equals(keyword, Array("UNIT".utf8))
        guard isType || isUnit || cursor.equals(keyword, Array("HELP".utf8)) else { return }
        var name = line.word()
        if name.count >= 2, bytes[name.lowerBound] == UInt8(ascii: "\""),
            bytes[name.upperBound - 1] == UInt8(ascii: "\"")
        {
            name = (name.lowerBound + 1)..<(name.upperBound - 1)
        }
        guard !name.isEmpty, let text = ExpositionReader.text(bytes[name]) else { return complain(.badName) }
        guard declared[text] != nil || declared.count < Self.familiesLimit else { return }
        line.skipBlanks()
        let rest = line.at..<line.end
        if isType {
            // In text a declaration that says nothing is none.
            if format == .text, rest.isEmpty { return }
            begin(text)
            guard let kind = ExpositionKind(word: cursor.text(cursor.trimmed(rest))) else {
                complain(.badType)
                return spoil()
            }
            // What has samples already keeps what it is.
            if current?.samples.isEmpty ?? false {
                declared[text]?.kind = kind
                current?.kind = kind
            }
        } else if isUnit {
            begin(text)
            let unit = ExpositionReader.text(bytes[cursor.trimmed(rest)].prefix(Self.unitLimit)) ?? ""
            declared[text]?.unit = unit
            current?.unit = unit
        } else {
            begin(text)
            let help = ExpositionReader.text(bytes[rest].prefix(Self.helpLimit)) ?? ""
            declared[text]?.help = help
            current?.help = help
        }
    }

    /// `\\`, `\n` and `\"` are read back; nil for what is no UTF-8.
    static func text(_ raw: ArraySlice<UInt8>) -> String? {
        guard raw.contains(UInt8(ascii: "\\")) else { return String(validating: raw, as: UTF8.self) }
        var plain: [UInt8] = []
        plain.reserveCapacity(raw.count)
        var isEscaped = false
        for byte in raw {
            if isEscaped {
                plain.append(byte == UInt8(ascii: "n") ? UInt8(ascii: "\n") : byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                plain.append(byte)
            }
        }
        return String(validating: plain, as: UTF8.self)
    }

    // MARK: Families

    /// Makes the family of a sample of that name the current one.
    private mutating func enter(_ name: Range<Int>) {
        if let kind = current?.kind, belongs(name, to: kind) { return }
        let text = ExpositionReader.text(bytes[name]) ?? ""
        if declared[text] != nil { return begin(text) }
        for kind in [ExpositionKind.histogram, .summary, .counter, .gaugeHistogram, .info] {
            for suffix in kind.suffixes where text.utf8.count > suffix.utf8CodeUnitCount {
                guard text.hasSuffix("\(suffix)") else { continue }
                let base = String(text.dropLast(suffix.utf8CodeUnitCount))
                if declared[base]?.kind == kind { return begin(base) }
            }
        }
        begin(text)
    }

    /// Whether a sample of that name is one of the current family.
    private func belongs(_ name: Range<Int>, to kind: ExpositionKind) -> Bool {
        let length = currentName.count
        guard name.count >= length else { return false }
        for offset in 0..<length where bytes[name.lowerBound &+ offset] != currentName[offset] { return false }
        if name.count == length { return true }
        let rest = (name.lowerBound &+ length)..<name.upperBound
        return kind.suffixes.contains { suffix in
            guard suffix.utf8CodeUnitCount == rest.count else { return false }
            return suffix.withUTF8Buffer { text in
                for offset in 0..<rest.count where bytes[rest.lowerBound &+ offset] != text[offset] { return false }
                return true
            }
        }
    }

    private mutating func begin(_ name: String) {
        if current?.name == name { return }
        close()
        let known = declared[name]
        if known == nil, declared.count < Self.familiesLimit { declared[name] = Declaration() }
        current = ExpositionFamily(name: name, kind: known?.kind ?? .untyped, help: known?.help ?? "")
        current?.unit = known?.unit ?? ""
        currentName = Array(name.utf8)
    }

    private mutating func close() {
        defer { current = nil }
        guard let family = current, !family.samples.isEmpty, declared[family.name]?.isBroken != true else { return }
        finished = family
    }
}
