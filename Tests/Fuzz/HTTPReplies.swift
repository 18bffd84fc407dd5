import Pipeline

/// What a server may answer: status, Retry-After and body of any content; and JSON, which must read back what it wrote.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTPReplies(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let flags = input.byte()
    let now = Timestamp(nanoseconds: 1_700_000_000_000_000_000)
    let status = [200, 204, 302, 400, 401, 404, 413, 422, 429, 500, 503, 504][Int(flags % 12)]
    let retryAfter = flags & 0x40 != 0 ? input.text() : nil
    let body = input.all
    let outcome = InfluxDBReply.classify(
        status: status, retryAfter: retryAfter, body: body, skipDatabaseCreation: flags & 0x80 != 0, now: now)
    if status < 300 { precondition(outcome == .delivered, "a success must be one") }
    if case .throttled(let wait?, _) = outcome {
        precondition(wait >= .zero && wait <= ReplyDate.cap, "a wait outside of its bounds")
    }
    if case .partial(let rejected, _) = outcome { precondition(rejected > 0, "a partial write that rejects nothing") }
    if let value = try? JSONValue.parse(body) {
        let written = value.encoded()
        precondition((try? JSONValue.parse(written)) == value, "JSON does not read back")
    }
    return 0
}
