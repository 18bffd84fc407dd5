/// Turns the reply to a write into an outcome: of InfluxDB 1.x, 2.x and 3, and of those who speak like one of them.
///
/// The status decides. Only five phrases can change the verdict, and only inside the error text of a JSON body: an
/// HTML page of a proxy changes nothing. The text is the string `error` (1.x, 3), or `message` beside a string `code`
/// (2.x; a `message` alone may be anybody's, such as a gateway's). Where several phrases stand in one text the first one counts, because server
/// messages quote the refused line behind their own words.
///
/// | status | phrase | outcome |
/// |---|---|---|
/// | 2xx | | delivered |
/// | 413 | | tooBig |
/// | 400, 422, 5xx | `partial write` | partial; the number is `dropped=N`, or what `(N accepted)` leaves, or the entries of `data` |
/// | 400, 404, 5xx | `database not found` | createDatabase, or configuration where creation is switched off |
/// | 400, 404, 5xx | `retention policy not found` | server |
/// | 5xx | `unable to parse` | data |
/// | 5xx | `hinted handoff queue not empty` | delivered: the cluster has the points |
/// | 400, 422 | | data |
/// | 429, 503 | | throttled |
/// | 5xx | | server |
/// | 3xx, other 4xx | | configuration |
public enum InfluxDBReply {
    /// More of a body is never looked at.
    public static let bodyLimit = 64 * 1024

    /// The verdict on one reply.
    ///
    /// `retryAfter` is the header's text as it came, `now` the wall clock that a date in it is compared with. `points`
    /// is how many the request carried, for a server that tells how many it took.
    public static func classify(
        status: Int, retryAfter: String? = nil, body: [UInt8], skipDatabaseCreation: Bool, points: Int? = nil,
        now: Timestamp
    ) -> DeliveryOutcome {
        if (200..<300).contains(status) { return .delivered }
        let answer = errorText(body)
        let message = answer?.text
        let reason = reason(status: status, message: message, body: body)
        if let answer, let outcome = outcome(of: answer, status, skipDatabaseCreation, points, reason) {
            return outcome
        }
        switch status {
        case 400, 422: return .data(reason: reason, isExplained: message != nil)
        case 413: return .tooBig(reason: reason)
        case 429, 503:
            let wait = retryAfter.flatMap { ReplyDate.retryAfter($0, now: now) }
            return .throttled(retryAfter: wait, reason: reason)
        case 300..<500: return .configuration(reason: reason)
        case 500..<600: return .server(reason: reason)
        default: return .ambiguous(reason: reason)
        }
    }

    private enum Phrase: String, CaseIterable {
        case partialWrite = "partial write"
        case databaseNotFound = "database not found"
        case policyNotFound = "retention policy not found"
        case unableToParse = "unable to parse"
        case hintedHandoff = "hinted handoff queue not empty"
    }

    /// What the first known phrase of `message` makes of the reply; nil when the status alone decides.
    private static func outcome(
        of answer: ErrorText, _ status: Int, _ skipDatabaseCreation: Bool, _ points: Int?, _ reason: String
    ) -> DeliveryOutcome? {
        let isServerError = (500..<600).contains(status)
        guard [400, 404, 422].contains(status) || isServerError else { return nil }
        let message = answer.text
        let found = Phrase.allCases.compactMap { phrase in
            position(of: Array(phrase.rawValue.utf8), in: message).map { (phrase, $0) }
        }
        guard let first = found.min(by: { $0.1 < $1.1 })?.0 else { return nil }
        switch first {
        case .partialWrite where status != 404:
            return .partial(rejected: max(answer.lines, rejected(in: message, points)), reason: reason)
        case _ where status == 422: return nil
        case .databaseNotFound:
            return skipDatabaseCreation ? .configuration(reason: reason) : .createDatabase(reason: reason)
        case .policyNotFound: return .server(reason: reason)
        case .unableToParse where isServerError: return .data(reason: reason, isExplained: true)
        case .hintedHandoff where isServerError: return .delivered
        default: return nil
        }
    }

    /// The number behind the last `dropped=`, what `(N accepted)` leaves of the points that were sent, or the number of
    /// lines the text calls unparsable; at least 1.
    private static func rejected(in message: [UInt8], _ points: Int?) -> Int {
        let key = Array("dropped=".utf8)
        let unparsable = Array("unable to parse '".utf8)
        var dropped = 0
        var lines = 0
        var index = 0
        while index < message.count {
            if message[index...].starts(with: unparsable) { lines += 1 }
            if message[index...].starts(with: key) { dropped = number(message[(index + key.count)...]) }
            index += 1
        }
        if let points, let end = position(of: Array(" accepted)".utf8), in: message),
            let start = message[..<end].lastIndex(of: UInt8(ascii: "(")), start + 1 < end,
            message[(start + 1)..<end].allSatisfy({ (0x30...0x39).contains($0) })
        {
            dropped = max(dropped, points - min(points, number(message[(start + 1)...])))
        }
        return max(1, dropped, lines)
    }

    /// The decimal digits at the start; 0 without any.
    private static func number(_ bytes: ArraySlice<UInt8>) -> Int {
        bytes.prefix { (0x30...0x39).contains($0) }.reduce(0) {
            $0.multipliedSaturated(by: 10).addingSaturated(Int($1 - 0x30))
        }
    }

    private static func position(of phrase: [UInt8], in message: [UInt8]) -> Int? {
        guard message.count >= phrase.count else { return nil }
        return (0...(message.count - phrase.count)).first { message[$0...].starts(with: phrase) }
    }

    /// What the server itself says.
    private struct ErrorText {
        var text: [UInt8]
        /// Entries of InfluxDB 3's list of refused lines.
        var lines = 0
    }

    private static func errorText(_ body: [UInt8]) -> ErrorText? {
        guard body.count <= bodyLimit, let value = try? JSONValue.parse(body, bytesLimit: bodyLimit) else { return nil }
        var text = value["error"]?.string
        if text == nil, value["code"]?.string != nil { text = value["message"]?.string }
        guard let text else { return nil }
        return ErrorText(text: Array(text.utf8), lines: value["data"]?.array?.count ?? 0)
    }

    /// `400: the server's own words`, at most 256 bytes of them, on one line.
    private static func reason(status: Int, message: [UInt8]?, body: [UInt8]) -> String {
        let words = printable(message ?? body)
        return words.isEmpty ? "status \(status)" : "status \(status): \(words)"
    }

    /// The first 256 bytes as one line of printable text: replies are a stranger's words and end up in logs.
    static func printable(_ bytes: [UInt8]) -> String {
        var text = ""
        for scalar in String(decoding: bytes.prefix(256), as: UTF8.self).unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value)
            text.unicodeScalars.append(isControl || scalar == "\u{FFFD}" ? " " : scalar)
        }
        return text
    }
}
