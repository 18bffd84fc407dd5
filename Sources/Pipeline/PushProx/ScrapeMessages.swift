/// A scrape on its way to a client: the body of a poll's answer.
public struct ScrapeInstruction: Sendable, Hashable {
    public var method: String
    public var target: ProxiedTarget
    public var fields: [HTTPField]
    public var body: [UInt8]
    public var id: String

    public init(method: String, target: ProxiedTarget, fields: [HTTPField], body: [UInt8] = [], id: String) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
        self.id = id
    }

    /// GET and HEAD change nothing: they can be handed out again.
    public var isRepeatable: Bool { method == "GET" || method == "HEAD" }

    /// One HTTP/1.1 request in absolute form, with the host spelt as the client spells it and exactly one `Id`.
    public func encoded(host: String, remaining: Duration) -> [UInt8] {
        var text = "\(method) \(target.absolute(host: host)) HTTP/1.1\r\nHost: \(target.authority(host: host))\r\n"
        if !body.isEmpty || !isRepeatable { text += "Content-Length: \(body.count)\r\n" }
        for field in HeaderRules.request(fields) { text += "\(field.name): \(field.value)\r\n" }
        text += "Id: \(id)\r\n\(ScrapeTimeout.header): \(ScrapeTimeout.text(remaining))\r\n\r\n"
        return Array(text.utf8) + body
    }

    /// What a proxy sent: nil when it is no complete request.
    public static func parse(_ bytes: [UInt8]) -> (head: InnerHead, body: [UInt8])? {
        var reader = InnerHeadReader()
        guard let (head, rest) = try? reader.take(bytes), case .request = head.start else { return nil }
        var body: [UInt8] = []
        let framing: InnerBody
        do throws(InnerError) {
            framing = try InnerBody(of: head, isHead: false, limit: 1 << 20)
            // A request without a length has no body.
            guard framing.framing != .untilEnd else { return rest.isEmpty ? (head, []) : nil }
            var left = framing
            let bytes = Array(rest)
            try bytes.withUnsafeBufferPointer { pointer throws(InnerError) in
                try left.take(pointer) { body += pointer[$0] }
            }
            return left.isComplete ? (head, body) : nil
        } catch {
            return nil
        }
    }
}

/// The response to a scrape on its way to the proxy: the body of a push.
public struct ScrapeAnswer: Sendable, Hashable {
    public var status: Int
    public var fields: [HTTPField]
    public var body: [UInt8]

    public init(status: Int, fields: [HTTPField] = [], body: [UInt8]) {
        self.status = status
        self.fields = fields
        self.body = body
    }

    /// A failure of ours, in one line.
    public static func failure(_ status: Int, _ text: String) -> ScrapeAnswer {
        ScrapeAnswer(
            status: status, fields: [HTTPField("Content-Type", "text/plain; charset=utf-8")],
            body: Array("\(text)\n".utf8))
    }

    /// One HTTP/1.1 response. `length` is given for HEAD, whose response tells a length that its body has not.
    public func encoded(id: String, remaining: Duration, length: Int? = nil) -> [UInt8] {
        let head = PageBuffer.Head(status: status, fields: fields)
        return ScrapeAnswer.encoded(head, id: id, remaining: remaining, length: length ?? body.count) + body
    }

    /// Line and headers of a response; without a length its body comes in chunks.
    public static func encoded(_ head: PageBuffer.Head, id: String, remaining: Duration, length: Int?) -> [UInt8] {
        var text = "HTTP/1.1 \(head.status) \(reason(head.status))\r\n"
        if head.status != 204, head.status != 304 {
            text += length.map { "Content-Length: \($0)\r\n" } ?? "Transfer-Encoding: chunked\r\n"
        }
        for field in HeaderRules.response(head.fields) { text += "\(field.name): \(field.value)\r\n" }
        text += "Id: \(id)\r\n\(ScrapeTimeout.header): \(ScrapeTimeout.text(remaining))\r\n\r\n"
        return Array(text.utf8)
    }

    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 204: "No Content"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 413: "Content Too Large"
        case 500: "Internal Server Error"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: "Status"
        }
    }
}
