import Testing

@testable import Pipeline

/// A page between a writer and a reader of other paces.
@Suite("Pages on their way")
struct PageBufferTests {
    private static let page = Array(String(repeating: "some_metric{a=\"b\"} 12345\n", count: 3_000).utf8)

    private func buffer(
        held: Int = 8_192, limit: Int = 1 << 20, streams: Bool = true, fields: [HTTPField] = [], status: Int = 200
    ) -> PageBuffer {
        var made = PageBuffer(heldLimit: held, pageLimit: limit, streamsUnknownLength: streams)
        made.take(PageBuffer.Head(status: status, fields: fields))
        return made
    }

    private func write(_ bytes: some Collection<UInt8>, to buffer: inout PageBuffer) -> PageBuffer.Verdict {
        Array(bytes).withUnsafeBytes { buffer.take($0) }
    }

    private func read(_ buffer: inout PageBuffer, _ size: Int = 1_000) -> (PageBuffer.Piece, [UInt8]) {
        var room = [UInt8](repeating: 0, count: size)
        let piece = room.withUnsafeMutableBytes { buffer.read(into: $0) }
        guard case .bytes(let count) = piece else { return (piece, []) }
        return (piece, Array(room.prefix(count)))
    }

    /// Writes and reads by turns in pieces of these sizes; gives what came out, and how it ended.
    private func passOn(
        _ buffer: inout PageBuffer, _ bytes: [UInt8], by sizes: (Int, Int)
    ) -> ([UInt8], PageBuffer.Piece) {
        var rest = bytes[...]
        var out: [UInt8] = []
        while true {
            let part = rest.prefix(sizes.0)
            if !part.isEmpty {
                if write(part, to: &buffer) == .taken { rest = rest.dropFirst(part.count) }
                if rest.isEmpty { buffer.finish(isWhole: true) }
            }
            let (piece, got) = read(&buffer, sizes.1)
            out += got
            if piece == .end || piece == .broken { return (out, piece) }
        }
    }

    @Test("what goes in comes out, with a length or in chunks that read back", arguments: [100, 1_000, 5_000, 16_384])
    func passesOn(size: Int) throws {
        for other in [64, 1_000, 16_372] {
            var known = buffer(fields: [HTTPField("Content-Length", "\(Self.page.count)")])
            known.begin(Array("head".utf8), isChunked: false)
            let (out, end) = passOn(&known, Self.page, by: (size, other))
            #expect(end == .end && out == Array("head".utf8) + Self.page)

            var unknown = buffer()
            unknown.begin([], isChunked: true)
            let (chunks, last) = passOn(&unknown, Self.page, by: (size, other))
            #expect(last == .end)
            let head = InnerHead(
                start: .response(status: 200, reason: ""), fields: [HTTPField("Transfer-Encoding", "chunked")])
            var body = try InnerBody(of: head, isHead: false, limit: 1 << 20)
            var payload: [UInt8] = []
            try chunks.withUnsafeBufferPointer { bytes in try body.take(bytes) { payload += bytes[$0] } }
            #expect(body.isComplete && payload == Self.page)
        }
    }

    @Test("a writer waits while enough is held, and comes again when half of it is gone")
    func paces() {
        var buffer = buffer(held: 8_192)
        buffer.begin([], isChunked: false)
        #expect(write(Self.page.prefix(8_000), to: &buffer) == .taken)
        #expect(write(Self.page.prefix(8_000), to: &buffer) == .taken)
        #expect(write(Self.page.prefix(1), to: &buffer) == .wait)
        #expect(!buffer.hasRoom)
        for _ in 0..<11 { _ = read(&buffer) }
        #expect(!buffer.hasRoom)
        _ = read(&buffer)
        #expect(buffer.hasRoom)
        #expect(buffer.footprint <= 32 * 1_024)
    }

    @Test("a page begins to go out when enough is held, or at its end; without a length only where that is safe")
    func opens() {
        let told = [HTTPField("Content-Length", "\(Self.page.count)")]
        var streaming = buffer(streams: false, fields: told)
        #expect(streaming.opening == nil)
        _ = write(Self.page.prefix(9_000), to: &streaming)
        #expect(streaming.opening == .stream(PageBuffer.Head(status: 200, fields: told), length: Self.page.count))
        var spooled = buffer(streams: false)
        for start in stride(from: 0, to: Self.page.count, by: 1_000) {
            #expect(write(Self.page[start..<min(start + 1_000, Self.page.count)], to: &spooled) == .taken)
        }
        #expect(spooled.opening == nil)
        spooled.finish(isWhole: true)
        #expect(spooled.opening == .whole(PageBuffer.Head(status: 200, fields: []), bytes: Self.page.count))
        #expect(spooled.drain() == Self.page)
        // Two lengths, or chunks, are no length.
        for fields in [told + [HTTPField("content-length", "1")], told + [HTTPField("Transfer-Encoding", "chunked")]] {
            var buffer = buffer(streams: false, fields: fields)
            _ = write(Self.page.prefix(9_000), to: &buffer)
            #expect(buffer.opening == nil)
        }
    }

    @Test("a page that broke off never ends like a whole one, wherever it is cut")
    func breaks() {
        let short = Array(Self.page.prefix(200))
        for cut in 0..<short.count {
            for isKnown in [true, false] {
                var buffer = buffer(fields: isKnown ? [HTTPField("Content-Length", "\(short.count)")] : [])
                buffer.begin([], isChunked: !isKnown)
                _ = write(short.prefix(cut), to: &buffer)
                if cut > 100 { _ = read(&buffer, 90) }
                // One with a length is judged by it, whatever the writer says.
                buffer.finish(isWhole: isKnown)
                #expect(buffer.opening == .broken)
                #expect(read(&buffer).0 == .broken)
            }
        }
        var long = buffer(fields: [HTTPField("Content-Length", "10")])
        #expect(write(short.prefix(11), to: &long) == .stop)
        long.finish(isWhole: true)
        #expect(long.opening == .broken)
        var headless = PageBuffer(heldLimit: 100, pageLimit: 100, streamsUnknownLength: true)
        headless.finish(isWhole: true)
        #expect(headless.opening == .broken)
    }

    @Test("a page above the limit is refused by its length, or where it passes the limit")
    func limits() {
        let told = buffer(limit: 100, fields: [HTTPField("Content-Length", "101")])
        #expect(told.stop == .tooLarge && told.opening == .broken)
        var untold = buffer(limit: 100)
        #expect(write(Self.page.prefix(100), to: &untold) == .taken)
        #expect(write(Self.page.prefix(1), to: &untold) == .stop)
        #expect(untold.stop == .tooLarge && untold.opening == .broken)
        #expect(write(Self.page.prefix(1), to: &untold) == .stop)
    }

    @Test("a response without a body is whole, whatever length it tells")
    func noBody() {
        var head = PageBuffer(heldLimit: 100, pageLimit: 100, streamsUnknownLength: false, isHead: true)
        let fields = [HTTPField("Content-Length", "77")]
        head.take(PageBuffer.Head(status: 200, fields: fields))
        head.finish(isWhole: true)
        #expect(head.opening == .whole(PageBuffer.Head(status: 200, fields: fields), bytes: 0))
        var none = buffer(fields: fields, status: 304)
        none.finish(isWhole: true)
        #expect(none.opening == .whole(PageBuffer.Head(status: 304, fields: fields), bytes: 0))
    }

    @Test("a page that is there already is read like one that comes")
    func whole() {
        var buffer = PageBuffer(whole: Self.page, PageBuffer.Head(status: 200, fields: []))
        #expect(buffer.footprint == Self.page.count)
        buffer.begin(Array("h".utf8), isChunked: false)
        var out: [UInt8] = []
        while case (.bytes, let got) = read(&buffer, 7_000) { out += got }
        #expect(out == Array("h".utf8) + Self.page)
        #expect(read(&buffer).0 == .end)
    }
}
