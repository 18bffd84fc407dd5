import Testing

@testable import Pipeline

@Suite("Replies to remote write")
struct RemoteWriteReplyTests {
    private func verdict(
        _ status: Int, _ body: String = "", version: RemoteWriteEncoder.Version = .first, written: String? = nil,
        retryAfter: String? = nil
    ) -> DeliveryOutcome {
        RemoteWriteReply.classify(
            status: status, retryAfter: retryAfter, body: Array(body.utf8), version: version, written: written,
            points: 5, samples: 50, now: .zero)
    }

    @Test("a yes is a yes; that of 2.0 must name a number")
    func accepted() {
        #expect(verdict(204) == .delivered)
        #expect(verdict(200, version: .second, written: "50") == .delivered)
        guard case .configuration = verdict(204, version: .second) else {
            Issue.record("a server that knows only 1.0 is not told apart")
            return
        }
    }

    @Test("refused samples are data, explained where a server of this protocol speaks")
    func refused() {
        #expect(
            verdict(400, "out of order sample\n")
                == .data(reason: "status 400: out of order sample ", isExplained: true))
        #expect(verdict(400, "<html>") == .data(reason: "status 400: <html>", isExplained: false))
        #expect(verdict(400) == .data(reason: "status 400", isExplained: false))
        #expect(
            verdict(400, "too old", version: .second, written: "0")
                == .partial(rejected: 5, reason: "status 400: too old"))
        #expect(
            verdict(400, "too old", version: .second, written: "3")
                == .data(reason: "status 400: too old", isExplained: true))
    }

    @Test("other answers say who is to wait and who is to be set right")
    func others() {
        #expect(verdict(413) == .tooBig(reason: "status 413"))
        #expect(verdict(429, retryAfter: "7") == .throttled(retryAfter: .seconds(7), reason: "status 429"))
        #expect(verdict(503) == .throttled(retryAfter: nil, reason: "status 503"))
        #expect(verdict(500, "boom") == .server(reason: "status 500: boom"))
        #expect(verdict(415) == .configuration(reason: "status 415"))
        #expect(verdict(401) == .configuration(reason: "status 401"))
        #expect(verdict(302) == .configuration(reason: "status 302"))
    }
}
