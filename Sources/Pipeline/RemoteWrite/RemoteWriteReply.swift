/// Turns the reply to a remote write into an outcome.
///
/// | status | outcome |
/// |---|---|
/// | 2xx | delivered; for 2.0 only if the server says how many samples it wrote |
/// | 400, 422 | data, or partial where the server says that it wrote nothing of it |
/// | 413 | tooBig |
/// | 429, 503 | throttled |
/// | other 5xx | server |
/// | 3xx, 415, other 4xx | configuration |
///
/// Why 2.0 wants a count: a server that knows only 1.0 may answer 2xx to a message of which it understood nothing.
/// Source: the Remote-Write specifications 1.0 and 2.0 of Prometheus.
public enum RemoteWriteReply {
    /// Where a server of 2.0 says how many samples it wrote.
    public static let writtenHeader = "x-prometheus-remote-write-samples-written"

    /// The verdict on one reply to `points` points with `samples` samples. `written` is the header's text as it came.
    public static func classify(
        status: Int, retryAfter: String? = nil, body: [UInt8], version: RemoteWriteEncoder.Version, written: String?,
        points: Int, samples: Int, now: Timestamp
    ) -> DeliveryOutcome {
        let words = InfluxDBReply.printable(body)
        let reason = words.isEmpty ? "status \(status)" : "status \(status): \(words)"
        let count = written.flatMap { Int($0) }
        switch status {
        case 200..<300:
            guard version == .second, samples > 0 else { return .delivered }
            guard count != nil else {
                return .configuration(reason: "the server does not confirm samples of protocol 2.0; use 1.0")
            }
            return .delivered
        case 400, 422:
            if version == .second, count == 0 { return .partial(rejected: max(1, points), reason: reason) }
            return .data(reason: reason, isExplained: isExplained(body))
        case 413: return .tooBig(reason: reason)
        case 429, 503:
            return .throttled(
                retryAfter: retryAfter.flatMap { ReplyDate.retryAfter($0, now: now) }, reason: reason)
        case 300..<500: return .configuration(reason: reason)
        case 500..<600: return .server(reason: reason)
        default: return .ambiguous(reason: reason)
        }
    }

    /// Servers of this protocol explain themselves in a line of text; a page of HTML comes from somebody on the way.
    private static func isExplained(_ body: [UInt8]) -> Bool {
        guard let first = body.first(where: { $0 > 0x20 }) else { return false }
        return first != UInt8(ascii: "<")
    }
}
