import Pipeline

/// What guests are told. Nothing of the database, its address or the relay's own credentials is in it.
enum RelayReplies {
    /// Nobody knows that address, yet: a guest that has just moved here must keep its data.
    static var stranger: ServedReply {
        wait(InfluxDBReplies.refused(503, "this address belongs to no guest of this host"), .seconds(10))
    }

    /// The database does not answer.
    static var away: ServedReply {
        wait(InfluxDBReplies.refused(503, "the database does not answer"), .seconds(5))
    }

    static func wrong(_ refusal: RelayTarget.Refusal) -> ServedReply {
        switch refusal {
        case .path: return .text("there is no such page\n", status: 404)
        case .method(let allowed):
            var reply = ServedReply.text("this method is not for this page\n", status: 405)
            reply.headers.append(("Allow", allowed))
            return reply
        case .parameter(let text): return InfluxDBReplies.refused(400, text)
        }
    }

    static func refused(_ reason: RelayLedger.Refusal) -> ServedReply {
        switch reason {
        case .statement: InfluxDBReplies.refused(404, "queries are not answered here")
        case .encoding: InfluxDBReplies.refused(415, "content encodings are identity and gzip")
        case .gzip: InfluxDBReplies.refused(400, "the body is no gzip")
        default: InfluxDBReplies.refused(400, "not accepted: \(reason.rawValue)")
        }
    }

    static func tooLarge(_ limit: Int) -> ServedReply {
        InfluxDBReplies.refused(413, "the body is larger than \(limit) bytes, as it is or inflated")
    }

    static func busy(_ reason: RelayLedger.Refusal, _ wait: Duration) -> ServedReply {
        let text =
            switch reason {
            case .overload: "too much is under way"
            case .guestRequests: "too many requests of this guest are under way"
            case .guestRate: "this guest asks too often"
            default: "this guest sends too much"
            }
        return self.wait(InfluxDBReplies.refused(503, text), wait)
    }

    /// Lines that were not taken, among others that were. The words are those of a database, so that agents count the
    /// points and go on.
    static func data(_ issues: LineIssues, _ complaint: String?, taken: Int, rejected: Int) -> ServedReply {
        let reasons = (issues.texts + [complaint].compactMap { $0 }).joined(separator: "; ")
        let kind = taken > 0 ? "partial write" : "unable to parse"
        return InfluxDBReplies.refused(400, "\(kind): \(reasons) dropped=\(rejected)")
    }

    /// The database did not decide.
    static func failed(_ outcome: DeliveryOutcome) -> ServedReply {
        switch outcome {
        case .tooBig: InfluxDBReplies.refused(413, "the database wants smaller writes")
        case .throttled(let wait, _):
            self.wait(InfluxDBReplies.refused(503, "the database is busy or away"), wait ?? .seconds(1))
        case .ambiguous: InfluxDBReplies.refused(504, "the database did not answer in time")
        default: InfluxDBReplies.refused(502, "the database does not take it")
        }
    }

    private static func wait(_ reply: ServedReply, _ wait: Duration) -> ServedReply {
        var reply = reply
        let seconds = wait.components.seconds + (wait.components.attoseconds > 0 ? 1 : 0)
        reply.headers.append(("Retry-After", String(min(max(1, seconds), 600))))
        return reply
    }
}
