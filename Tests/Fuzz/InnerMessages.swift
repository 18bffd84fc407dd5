import Pipeline

/// What a client pushes and a proxy hands out: any bytes in any pieces are the same message, or the same error.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzInnerMessages(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let size = Int(input.byte() % 64) + 1
    let bytes = input.all
    let whole = read(bytes, size: max(1, bytes.count))
    let pieces = read(bytes, size: size)
    precondition(whole == pieces, "pieces make another message")
    if let (head, body) = ScrapeInstruction.parse(bytes), case .request(let method, let url) = head.start {
        _ = PollVerdict.judge(status: 200, body: bytes)
        if let target = ProxiedTarget(absolute: url) {
            let again = ScrapeInstruction(method: method, target: target, fields: head.fields, body: body, id: "1")
                .encoded(host: target.name.description, remaining: .seconds(1))
            precondition(ScrapeInstruction.parse(again)?.body == body, "an instruction does not read back")
            _ = TargetRules.request(of: target)
        }
    }
    passOn(bytes, size: size)
    _ = DiscoveryList.labels(String(decoding: bytes, as: UTF8.self))
    _ = ScrapeTimeout.parse(String(decoding: bytes, as: UTF8.self), fallback: .seconds(1), limit: .seconds(2))
    return 0
}

/// A page that goes through a buffer in pieces comes out as it went in.
private func passOn(_ page: [UInt8], size: Int) {
    var buffer = PageBuffer(heldLimit: 64, pageLimit: 1 << 20, streamsUnknownLength: true)
    buffer.take(PageBuffer.Head(status: 200, fields: []))
    buffer.begin(Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8), isChunked: true)
    var rest = page[...]
    var out: [UInt8] = []
    var room = [UInt8](repeating: 0, count: size + 20)
    while true {
        let part = Array(rest.prefix(size))
        if part.isEmpty {
            buffer.finish(isWhole: true)
        } else if part.withUnsafeBytes({ buffer.take($0) }) == .taken {
            rest = rest.dropFirst(part.count)
        }
        let piece = room.withUnsafeMutableBytes { buffer.read(into: $0) }
        precondition(piece != .broken, "a whole page breaks")
        if piece == .end { break }
        if case .bytes(let count) = piece { out += room.prefix(count) }
    }
    let message = read(out, size: out.count)
    precondition(page.count > 10_000 || message.isComplete && message.payload == page, "another page")
}

private struct Message: Equatable {
    var head: InnerHead?
    var payload: [UInt8] = []
    var isComplete = false
    var hasFailed = false
}

private func read(_ bytes: [UInt8], size: Int) -> Message {
    var message = Message()
    var reader = InnerHeadReader()
    var body: InnerBody?
    do throws(InnerError) {
        for start in stride(from: 0, to: bytes.count, by: size) {
            var piece = Array(bytes[start..<min(start + size, bytes.count)])
            if body == nil {
                guard let (head, rest) = try reader.take(piece) else { continue }
                message.head = head
                body = try InnerBody(of: head, isHead: false, limit: 10_000)
                piece = Array(rest)
            }
            try piece.withUnsafeBufferPointer { pointer throws(InnerError) in
                try body?.take(pointer) { message.payload += pointer[$0] }
            }
        }
        message.isComplete = body?.isComplete ?? false
    } catch {
        // How much came before it depends on the pieces.
        message = Message(hasFailed: true)
    }
    return message
}
