/// Walks one line of a page. Every access is within the line, which is within the bytes.
struct ExpositionLine {
    typealias Reason = ExpositionIssue.Reason

    private static let labelsLimit = 128

    let bytes: [UInt8]
    /// The next byte to read.
    var at: Int
    /// Where the line ends, without its LF.
    let end: Int
    /// Places of label names on this line; the room for them goes from line to line.
    var names: [Range<Int>] = []

    init(_ bytes: [UInt8], from start: Int, to end: Int) {
        self.bytes = bytes
        at = start
        self.end = end
    }

    @inline(__always)
    var isAtEnd: Bool { at >= end }

    @inline(__always)
    mutating func skipBlanks() {
        while at < end, bytes[at] == UInt8(ascii: " ") || bytes[at] == UInt8(ascii: "\t") { at &+= 1 }
    }

    /// What stands here up to a blank or the end.
    mutating func word() -> Range<Int> {
        skipBlanks()
        let start = at
        while at < end, bytes[at] != UInt8(ascii: " "), bytes[at] != UInt8(ascii: "\t") { at &+= 1 }
        return start..<at
    }

    // MARK: Samples

    /// Name, labels, value and time of a sample.
    mutating func sample(_ format: ExpositionFormat) throws(Reason) -> ExpositionSample {
        let start = at
        var name = at..<at
        if bytes[at] != UInt8(ascii: "{") {
            name = try metricName()
            skipBlanksBeforeLabels()
        }
        var labels = at..<at
        if at < end, bytes[at] == UInt8(ascii: "{") {
            at &+= 1
            let inside = at
            let quoted = try readLabels(named: !name.isEmpty)
            if name.isEmpty { name = quoted ?? name }
            labels = inside..<(at &- 1)
        }
        guard !name.isEmpty else { throw .badName }
        let seriesEnd = at
        skipBlanks()
        guard at < end else { throw .noValue }
        let value = try number(.badValue)
        guard isAtEnd || bytes[at] == UInt8(ascii: " ") || bytes[at] == UInt8(ascii: "\t") else { throw .badValue }
        skipBlanks()
        var time: Timestamp?
        if at < end, bytes[at] != UInt8(ascii: "#") {
            time = try timestamp(format)
            skipBlanks()
        }
        if at < end, bytes[at] == UInt8(ascii: "#") { try exemplar(format) }
        guard isAtEnd else { throw .afterSample }
        return ExpositionSample(series: start..<seriesEnd, name: name, labels: labels, value: value, time: time)
    }

    /// Blanks belong to the series only where labels follow.
    private mutating func skipBlanksBeforeLabels() {
        let before = at
        skipBlanks()
        if isAtEnd || bytes[at] != UInt8(ascii: "{") { at = before }
    }

    private mutating func metricName() throws(Reason) -> Range<Int> {
        let start = at
        while at < end, ExpositionLine.isName(bytes[at], isFirst: at == start, colon: true) { at &+= 1 }
        guard at > start else { throw .badName }
        return start..<at
    }

    /// Reads up to behind the closing brace, and checks everything on the way. Returns the place of a quoted name.
    private mutating func readLabels(named: Bool) throws(Reason) -> Range<Int>? {
        names.removeAll(keepingCapacity: true)
        var quoted: Range<Int>?
        while true {
            skipBlanks()
            guard at < end else { throw .openLabels }
            if bytes[at] == UInt8(ascii: "}") {
                at &+= 1
                return quoted
            }
            let isQuoted = bytes[at] == UInt8(ascii: "\"")
            let name = try labelName()
            skipBlanks()
            if at < end, bytes[at] == UInt8(ascii: "=") {
                at &+= 1
                skipBlanks()
                guard at < end, bytes[at] == UInt8(ascii: "\"") else { throw .noLabelValue }
                _ = try quotedText()
                guard names.count < ExpositionLine.labelsLimit else { throw .tooManyLabels }
                guard !names.contains(where: { isSame($0, name) }) else { throw .sameLabel }
                names.append(name)
            } else {
                // A name of the metric that needs quotes stands first among the labels.
                guard isQuoted, !named, quoted == nil, names.isEmpty, !name.isEmpty else { throw .noLabelValue }
                quoted = name
            }
            skipBlanks()
            guard at < end else { throw .openLabels }
            if bytes[at] == UInt8(ascii: ",") {
                at &+= 1
            } else if bytes[at] != UInt8(ascii: "}") {
                throw .afterLabel
            }
        }
    }

    private mutating func labelName() throws(Reason) -> Range<Int> {
        if bytes[at] == UInt8(ascii: "\"") { return try quotedText() }
        let start = at
        while at < end, ExpositionLine.isName(bytes[at], isFirst: at == start, colon: false) { at &+= 1 }
        guard at > start else { throw .badLabel }
        return start..<at
    }

    /// What is between quotes; moves behind the closing one.
    private mutating func quotedText() throws(Reason) -> Range<Int> {
        at &+= 1
        let start = at
        var isPlain = true
        while at < end {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                let text = start..<at
                at &+= 1
                if !isPlain, String(validating: bytes[text], as: UTF8.self) == nil { throw .noText }
                return text
            case UInt8(ascii: "\\"):
                at &+= 1
                guard at < end else { throw .openLabels }
                switch bytes[at] {
                case UInt8(ascii: "\\"), UInt8(ascii: "\""), UInt8(ascii: "n"): break
                default: throw .badEscape
                }
            case 0x80...: isPlain = false
            default: break
            }
            at &+= 1
        }
        throw .openLabels
    }

    private func isSame(_ one: Range<Int>, _ other: Range<Int>) -> Bool {
        guard one.count == other.count else { return false }
        for offset in 0..<one.count where bytes[one.lowerBound &+ offset] != bytes[other.lowerBound &+ offset] {
            return false
        }
        return true
    }

    @inline(__always)
    static func isName(_ byte: UInt8, isFirst: Bool, colon: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): !isFirst
        case UInt8(ascii: ":"): colon
        default: false
        }
    }

    // MARK: Numbers

    private mutating func number(_ reason: Reason) throws(Reason) -> Double {
        guard at < end else { throw reason }
        let first = bytes[at]
        let hasSign = first == UInt8(ascii: "-") || first == UInt8(ascii: "+")
        let letter = hasSign ? at &+ 1 : at
        if letter < end, bytes[letter] | 0x20 >= UInt8(ascii: "a") {
            guard let special = ExpositionLine.special(bytes[letter..<min(end, letter &+ 9)]) else { throw reason }
            at = letter &+ special.length
            return first == UInt8(ascii: "-") ? -special.value : special.value
        }
        let result: LineProtocolNumber.Result
        do throws(LineIssueReason) {
            result = try bytes.withUnsafeBufferPointer { all throws(LineIssueReason) in
                try LineProtocolNumber.read(UnsafeBufferPointer(rebasing: all[..<end]), at)
            }
        } catch { throw reason }
        guard result.kind == .float else { throw reason }
        at = result.end
        return Double(bitPattern: result.cell)
    }

    /// `Inf`, `Infinity` and `NaN` in any case, as Go reads them.
    private static func special(_ bytes: ArraySlice<UInt8>) -> (value: Double, length: Int)? {
        let word = bytes.prefix { $0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z") }.map { $0 | 0x20 }
        switch word.count {
        case 3 where word == Array("nan".utf8): return (.nan, 3)
        case 3 where word == Array("inf".utf8): return (.infinity, 3)
        case 8 where word == Array("infinity".utf8): return (.infinity, 8)
        default: return nil
        }
    }

    /// Milliseconds in text, seconds with decimals in OpenMetrics.
    private mutating func timestamp(_ format: ExpositionFormat) throws(Reason) -> Timestamp {
        let word = word()
        guard format == .openMetrics else {
            let cursor = ByteCursor(bytes)
            guard let milliseconds = cursor.signed(in: word) else { throw .badTime }
            let (nanoseconds, overflow) = milliseconds.multipliedReportingOverflow(by: 1_000_000)
            guard !overflow else { throw .badTime }
            return Timestamp(nanoseconds: nanoseconds)
        }
        if let exact = ExpositionLine.nanoseconds(bytes[word]) { return Timestamp(nanoseconds: exact) }
        var line = ExpositionLine(bytes, from: word.lowerBound, to: word.upperBound)
        let seconds = try line.number(.badTime)
        guard line.isAtEnd, let nanoseconds = Int64(exactly: (seconds * 1e9).rounded()) else { throw .badTime }
        return Timestamp(nanoseconds: nanoseconds)
    }

    /// Seconds with up to nine decimals, exactly; nil for another form.
    private static func nanoseconds(_ text: ArraySlice<UInt8>) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        var value: Int64 = 0
        var decimals = -1
        var digits = 0
        for byte in isNegative ? text.dropFirst() : text {
            if byte == UInt8(ascii: "."), decimals < 0 {
                decimals = 0
                continue
            }
            guard byte &- 48 < 10, decimals < 9 else { return nil }
            value = value.multipliedSaturated(by: 10).addingSaturated(Int64(byte &- 48))
            digits += 1
            if decimals >= 0 { decimals += 1 }
        }
        guard digits > 0 else { return nil }
        for _ in max(0, decimals)..<9 { value = value.multipliedSaturated(by: 10) }
        guard value < .max else { return nil }
        return isNegative ? -value : value
    }

    /// `# {labels} value [seconds]`, which is checked and passed over.
    private mutating func exemplar(_ format: ExpositionFormat) throws(Reason) {
        guard format == .openMetrics else { throw .afterSample }
        at &+= 1
        skipBlanks()
        guard at < end, bytes[at] == UInt8(ascii: "{") else { throw .badExemplar }
        at &+= 1
        guard try readLabels(named: true) == nil else { throw .badExemplar }
        skipBlanks()
        _ = try number(.badExemplar)
        skipBlanks()
        if !isAtEnd { _ = try timestamp(.openMetrics) }
        skipBlanks()
    }
}
