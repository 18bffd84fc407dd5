import Testing

@testable import Pipeline

/// Messages inside of messages: heads of odd peers, bodies of every framing, and none that is cut taken for whole.
@Suite("Inner messages")
struct InnerMessageTests {
    private func head(_ text: String) throws -> InnerHead {
        var reader = InnerHeadReader()
        return try #require(try reader.take(Array(text.utf8))).head
    }

    /// The payload of a body that comes in pieces of `size` bytes; nil when it is not whole.
    private func body(_ framing: String, _ bytes: String, size: Int, isHead: Bool = false) throws -> String? {
        let head = try head("HTTP/1.1 200 OK\r\n\(framing)\r\n")
        var body = try InnerBody(of: head, isHead: isHead, limit: 1_000)
        var payload: [UInt8] = []
        let all = Array(bytes.utf8)
        for start in stride(from: 0, to: all.count, by: size) {
            let piece = Array(all[start..<min(start + size, all.count)])
            try piece.withUnsafeBufferPointer { pointer throws(InnerError) in
                try body.take(pointer) { payload += pointer[$0] }
            }
        }
        return body.isComplete ? String(decoding: payload, as: UTF8.self) : nil
    }

    @Test("what real clients push is understood")
    func realHeads() throws {
        let own = try head(
            "HTTP/0.0 500 Internal Server Error\r\nId: 8\r\nX-Prometheus-Scrape-Timeout: -9223372036.8\r\n\r\n")
        #expect(own.start == .response(status: 500, reason: "Internal Server Error"))
        #expect(own.fields.first("id") == "8")
        #expect(try head("HTTP/1.0 200 OK\nA: 1\n\n").fields == [HTTPField("A", "1")])
        #expect(try head("HTTP/1.1 204\r\n\r\n").start == .response(status: 204, reason: ""))
        #expect(
            try head("HTTP/1.1 103 Hints\r\nA: 1\r\n\r\nHTTP/1.1 200 OK\r\nB: 2\r\n\r\n").fields == [
                HTTPField("B", "2")
            ])
        #expect(try head("HTTP/1.1 200 OK\r\nA: 1\r\n  2\r\n\r\n").fields == [HTTPField("A", "1 2")])
        let request = try head("GET http://a:1/m?x HTTP/1.1\r\nHost: a:1\r\n\r\n")
        #expect(request.start == .request(method: "GET", target: "http://a:1/m?x"))
    }

    @Test(
        "what is no message is refused",
        arguments: [
            "hello\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA B: 1\r\n\r\n", "HTTP/1.1 200 OK\r\n: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: \u{0}\r\n\r\n",
            "HTTP/1.1 200 OK\r\n A: 1\r\n\r\n", "GET  HTTP/1.1\r\n\r\n", "GET /\u{7F} HTTP/1.1\r\n\r\n",
            "G@T / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 O\u{0}K\r\n\r\n", "HTTP/1.1 200 OK\r\nA\u{0}: 1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : 1\r\n\r\n", "HTTP/11 200 OK\r\n\r\n",
            String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 40) + "HTTP/1.1 200 OK\r\n\r\n",
        ])
    func badHeads(_ text: String) {
        var reader = InnerHeadReader()
        #expect(throws: InnerError.self) { _ = try reader.take(Array(text.utf8)) }
    }

    @Test("a head is bounded in bytes and lines")
    func bounds() {
        var reader = InnerHeadReader()
        #expect(throws: InnerError.self) {
            for _ in 0..<100 { _ = try reader.take([UInt8](repeating: 0x61, count: 1_000)) }
        }
        let many = "HTTP/1.1 200 OK\r\n" + String(repeating: "a: b\r\n", count: 5_000) + "\r\n"
        var other = InnerHeadReader()
        #expect(throws: InnerError.self) { _ = try other.take(Array(many.utf8)) }
    }

    @Test("a message cut at any byte is a value or an error, and in any pieces the same")
    func cuts() throws {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: 1\r\n\r\n"
        let bytes = Array(text.utf8)
        for cut in bytes.indices {
            var reader = InnerHeadReader()
            #expect(try reader.take(bytes[..<cut]) == nil, "cut at \(cut)")
            let whole = try reader.take(bytes[cut...])
            #expect(whole?.head.fields.count == 2)
        }
        let chunks = "5;x=1\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\n"
        for size in 1...chunks.utf8.count {
            #expect(try body("Transfer-Encoding: chunked\r\n", chunks, size: size) == "hello world")
        }
        for cut in 0..<chunks.utf8.count {
            #expect(
                try body(
                    "Transfer-Encoding: chunked\r\n", String(decoding: chunks.utf8.prefix(cut), as: UTF8.self), size: 3)
                    == nil, "cut at \(cut)")
        }
    }

    @Test("the length of a body decides whether it is whole")
    func lengths() throws {
        #expect(try body("Content-Length: 5\r\n", "hello", size: 2) == "hello")
        #expect(try body("Content-Length: 5\r\n", "hell", size: 2) == nil)
        #expect(try body("", "hell", size: 2) == "hell")
        #expect(try body("Content-Length: 77\r\n", "", size: 1, isHead: true) == "")
        #expect(throws: InnerError.self) { try body("Content-Length: 1\r\n", "x", size: 1, isHead: true) }
        for status in ["204 No Content", "304 Not Modified"] {
            let head = try head("HTTP/1.1 \(status)\r\nContent-Length: 9\r\n\r\n")
            let bodyless = try InnerBody(of: head, isHead: false, limit: 10)
            #expect(bodyless.isComplete && bodyless.framing == .none)
        }
        #expect(throws: InnerError.self) { try body("Content-Length: 4\r\n", "hello", size: 2) }
        #expect(throws: InnerError.self) { try body("Content-Length: 4\r\nContent-Length: 5\r\n", "hell", size: 2) }
        #expect(throws: InnerError.self) { try body("Content-Length: +4\r\n", "hell", size: 2) }
        #expect(throws: InnerError.self) { try body("Content-Length: 1001\r\n", "", size: 2) }
        #expect(throws: InnerError.self) { try body("", String(repeating: "x", count: 1_001), size: 100) }
        #expect(throws: InnerError.self) { try body("Transfer-Encoding: gzip\r\n", "", size: 2) }
        for bad in ["zz\r\n", "5\r\nhelloX\r\n", "\r\n", "ffffffffffffffff\r\n", "0\r\n\r\nmore"] {
            #expect(throws: InnerError.self) { try body("Transfer-Encoding: chunked\r\n", bad, size: 4) }
        }
    }

    @Test("an instruction and an answer are read back as they were written")
    func roundTrip() throws {
        let target = try #require(ProxiedTarget(absolute: "http://A.example.:9100/m?x=1"))
        let fields = [HTTPField("Id", "theirs"), HTTPField("Proxy-Authorization", "x"), HTTPField("Accept", "a")]
        let instruction = ScrapeInstruction(method: "GET", target: target, fields: fields, id: "ours")
        let bytes = instruction.encoded(host: "a.Example", remaining: .milliseconds(1_234))
        let (read, _) = try #require(ScrapeInstruction.parse(bytes))
        #expect(read.start == .request(method: "GET", target: "http://a.Example:9100/m?x=1"))
        #expect(read.fields.filter { $0.name == "Id" }.map(\.value) == ["ours"])
        #expect(read.fields.first("proxy-authorization") == nil)
        #expect(read.fields.first("x-prometheus-scrape-timeout-seconds") == "1.234")
        for cut in bytes.indices { #expect(ScrapeInstruction.parse(Array(bytes[..<cut])) == nil, "cut at \(cut)") }
        let answer = ScrapeAnswer(status: 200, fields: [HTTPField("Connection", "close")], body: [0x31])
        let text = String(decoding: answer.encoded(id: "7", remaining: .seconds(2)), as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nId: 7\r\n"))
        #expect(!text.contains("Connection"))
    }

    @Test("a poll's answer is judged by its status first")
    func verdicts() {
        let scrape = Array("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
        guard case .scrape = PollVerdict.judge(status: 200, body: scrape) else {
            Issue.record("no scrape")
            return
        }
        #expect(PollVerdict.judge(status: 204, body: []) == .again)
        #expect(PollVerdict.judge(status: 408, body: scrape) == .nameTaken)
        #expect(PollVerdict.judge(status: 504, body: scrape) == .notNow("status 504: GET http://a/ HTTP/1.1 Host: a"))
        guard case .misconfigured = PollVerdict.judge(status: 200, body: Array("<html>".utf8)) else {
            Issue.record("HTML is no scrape")
            return
        }
    }
}
