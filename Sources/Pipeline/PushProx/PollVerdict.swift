/// What a client makes of the answer to its poll. The status is judged first, the body only where it can be a scrape.
public enum PollVerdict: Sendable, Hashable {
    case scrape(head: InnerHead, body: [UInt8])
    /// Nobody asked for anything: at once again.
    case again
    /// Somebody else polls under this name.
    case nameTaken
    /// A restart, or a middlebox that gave up waiting: soon again.
    case notNow(String)
    /// Somebody should look at the configuration.
    case misconfigured(String)

    /// In a poll of ours: after how many seconds without a scrape it wants to be answered. Real proxies ignore it.
    public static let waitHeader = "x-godwit-poll-seconds"
    /// The header in which a client says which of the clients of one name it is: 16 hexadecimal digits.
    public static let instanceHeader = "x-godwit-instance"
    /// In an answer of our proxy to a poll of ours: it takes a push in pieces, and one that breaks off never looks whole
    /// to the scraper. Of a real proxy that cannot be said.
    public static let streamsHeader = "x-godwit-streams"
    /// In polls and pushes: the name, for load balancers, which see headers and not bodies.
    public static let nameHeader = "X-PushProx-Fqdn"

    /// Bounds: of a body that says why, 120 bytes are told.
    public static func judge(status: Int, body: [UInt8]) -> PollVerdict {
        switch status {
        case 200:
            if let (head, body) = ScrapeInstruction.parse(body) { return .scrape(head: head, body: body) }
            if body.isEmpty { return .notNow("an empty answer") }
            return .misconfigured("the answer is no scrape: \(excerpt(body))")
        case 204: return .again
        case 408: return .nameTaken
        case 429, 500, 502, 503, 504: return .notNow("status \(status): \(excerpt(body))")
        default: return .misconfigured("status \(status): \(excerpt(body))")
        }
    }

    private static func excerpt(_ body: [UInt8]) -> String {
        let text = String(decoding: body.prefix(120).map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
        return text.split(separator: " ").joined(separator: " ")
    }
}
