/// What the program `ntpq -p` prints: the peers of a time server.
///
/// Shape: a heading whose words name the columns, a rule, then a line a peer:
/// `*ntp.example 10.1.2.3  2 u  101  256  377  51.016  233.010  17.462`. The first letter is the tally: what the server
/// thinks of the peer. Lines of another number of words than the heading are passed; columns that are not known too.
/// Why one letter only: a remote that begins with a letter of the tally set would lose it (the reference cuts all).
public struct NtpqPeer: Sendable, Hashable {
    /// remote, refid, stratum, type, state_prefix, where they are there.
    public var tags: [Tag] = []
    /// Units: seconds.
    public var when: Int64?
    public var poll: Int64?
    /// Of the last eight answers, as `NtpqReach` shows them.
    public var reach: NtpqReach.Value?
    /// Units: ms.
    public var delay: Double?
    public var offset: Double?
    public var jitter: Double?

    public var hasFields: Bool {
        when != nil || poll != nil || reach != nil || delay != nil || offset != nil || jitter != nil
    }

    /// The peers with at least one field, and what could not be read, for people.
    public static func parse(_ bytes: [UInt8], reach: NtpqReach) -> (peers: [NtpqPeer], errors: [String]) {
        var cursor = ByteCursor(bytes)
        var columns: [String] = []
        var peers: [NtpqPeer] = []
        var errors: [String] = []
        while cursor.nextLine() {
            let line = Array(bytes[cursor.trimmedEnd(cursor.rest)])
            guard !line.isEmpty else { continue }
            if columns.isEmpty {
                let words = words(line)
                if words.count >= 2 { columns = words }
                continue
            }
            let tally = line[0]
            let hasTally = "*#o+x.-".utf8.contains(tally)
            let words = words(withoutBrackets(hasTally ? Array(line.dropFirst()) : line))
            guard words.count == columns.count else { continue }
            var peer = NtpqPeer()
            if hasTally { peer.tags.append(Tag("state_prefix", String(decoding: [tally], as: UTF8.self))) }
            for (column, word) in zip(columns, words) {
                if !peer.set(column, word, reach) {
                    errors.append("line \(cursor.lineNumber): \(column) is no number")
                }
            }
            if peer.hasFields { peers.append(peer) }
        }
        return (peers, errors)
    }

    /// Returns false when the word is not what the column holds.
    private mutating func set(_ column: String, _ word: String, _ format: NtpqReach) -> Bool {
        switch column {
        case "remote", "refid": tags.append(Tag(column, word))
        case "st": tags.append(Tag("stratum", word))
        case "t": tags.append(Tag("type", word))
        case "when":
            when = NtpqPeer.seconds(word)
            return when != nil || word == "-"
        case "poll":
            poll = NtpqPeer.seconds(word)
            return poll != nil || word == "-"
        case "reach":
            reach = format.value(word)
            return reach != nil
        case "delay":
            delay = NtpqPeer.decimal(word)
            return delay != nil
        case "offset":
            offset = NtpqPeer.decimal(word)
            return offset != nil
        case "jitter":
            jitter = NtpqPeer.decimal(word)
            return jitter != nil
        default: break
        }
        return true
    }

    /// `64`, `12m`, `3h`, `2d`.
    private static func seconds(_ word: String) -> Int64? {
        let unit: Int64
        switch word.utf8.last {
        case UInt8(ascii: "d"): unit = 86_400
        case UInt8(ascii: "h"): unit = 3600
        case UInt8(ascii: "m"): unit = 60
        default: return Int64(word)
        }
        return Int64(word.dropLast()).map { $0.multipliedSaturated(by: unit) }
    }

    private static func decimal(_ word: String) -> Double? {
        let isNegative = word.hasPrefix("-")
        let digits = Array(word.utf8.dropFirst(isNegative || word.hasPrefix("+") ? 1 : 0))
        guard let first = digits.first, first != UInt8(ascii: "-"), first != UInt8(ascii: "+") else { return nil }
        return ByteCursor(digits).decimal(in: 0..<digits.count).map { isNegative ? -$0 : $0 }
    }

    private static func words(_ line: [UInt8]) -> [String] {
        line.split { isBlank($0) }.map { String(decoding: $0, as: UTF8.self) }
    }

    /// Without ` (word`: names that ntpq has cut off in the middle of a remark.
    private static func withoutBrackets(_ line: [UInt8]) -> [UInt8] {
        var out: [UInt8] = []
        var isSkipping = false
        for byte in line {
            if isBlank(byte) { isSkipping = false }
            if byte == UInt8(ascii: "("), let last = out.last, isBlank(last) { isSkipping = true }
            if !isSkipping { out.append(byte) }
        }
        return out
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }
}

/// How the column `reach` is shown: eight bits, the newest answer lowest, which ntpq prints in octal.
public enum NtpqReach: String, Sendable, Hashable, CaseIterable {
    /// The digits as they stand: 377.
    case octal
    /// The number: 255.
    case decimal
    /// The bits that are set: 8.
    case count
    /// The part of the eight bits that is set: 1.0.
    case ratio

    public enum Value: Sendable, Hashable {
        case int(Int64)
        case float(Double)
    }

    /// nil when `word` is no such number.
    func value(_ word: String) -> Value? {
        if self == .octal { return Int64(word).map { .int($0) } }
        guard let bits = Int64(word, radix: 8) else { return nil }
        switch self {
        case .octal, .decimal: return .int(bits)
        case .count: return .int(Int64(bits.nonzeroBitCount))
        case .ratio: return .float(Double(bits.nonzeroBitCount) / 8)
        }
    }
}

extension ByteCursor {
    /// `range` without white space at its end.
    fileprivate func trimmedEnd(_ range: Range<Int>) -> Range<Int> {
        let trimmed = trimmed(range)
        return trimmed.isEmpty ? trimmed : range.lowerBound..<trimmed.upperBound
    }
}
