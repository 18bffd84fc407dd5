/// What has come of a page and has not been passed on, between the one who sends it and the one who takes it.
///
/// Of a page in a stream so much is held that its reader has always something; its writer waits while there is more. A
/// page whose end must be known before its first byte goes out is held whole. Promise: a page that broke off never
/// ends like one that is whole. Bounds: `heldLimit` and a piece in a stream, `pageLimit` otherwise; pieces of 16 KiB, so
/// that what is held costs what it is.
public struct PageBuffer: Sendable {
    /// Status and headers of the page.
    public struct Head: Sendable, Hashable {
        public var status: Int
        public var fields: [HTTPField]

        public init(status: Int, fields: [HTTPField]) {
            self.status = status
            self.fields = fields
        }
    }

    /// What becomes of bytes that a writer brings.
    public enum Verdict: Sendable, Hashable {
        case taken
        /// Not now: the same bytes again when the reader has gone on.
        case wait
        /// Never: nobody wants them.
        case stop
    }

    /// What a reader gets.
    public enum Piece: Sendable, Hashable {
        case bytes(Int)
        case wait
        case end
        /// The page is not whole: the reader must see to it that nobody takes it for whole.
        case broken
    }

    /// How passing on can begin.
    public enum Opening: Sendable, Hashable {
        /// The page has come to its end; so many bytes are held.
        case whole(Head, bytes: Int)
        /// More is to come; `length` is that of all, where it was told.
        case stream(Head, length: Int?)
        case broken
    }

    /// Why the buffer takes no more.
    public enum Stop: Sendable, Hashable {
        /// More than `pageLimit`.
        case tooLarge
        /// A head that the proxy could not read.
        case headTooLarge
        /// What all may hold together is held.
        case noRoom
    }

    private enum End: Sendable {
        case open
        case whole
        case broken
    }

    private static let pieceBytes = 16 * 1_024
    /// Room for the line of a chunk and the ends of line around it.
    private static let chunkFrame = 16
    private static let lastChunk = Array("0\r\n\r\n".utf8)

    private let heldLimit: Int
    private let pageLimit: Int
    /// Whether a page without a length may go out before its end is known.
    private let streamsUnknownLength: Bool
    private let isHead: Bool
    private var pieces: [[UInt8]] = []
    /// Where the first piece goes on.
    private var offset = 0
    private var held = 0
    private var end = End.open
    private var head: Head?
    private var length: Int?
    /// What goes before the page: line and headers of the message around it.
    private var prefix: ArraySlice<UInt8> = []
    private var isChunked = false
    private var wroteLastChunk = false
    /// Bytes of the page so far.
    public private(set) var received = 0
    public private(set) var stop: Stop?

    public init(heldLimit: Int, pageLimit: Int, streamsUnknownLength: Bool, isHead: Bool = false) {
        self.heldLimit = heldLimit
        self.pageLimit = pageLimit
        self.streamsUnknownLength = streamsUnknownLength
        self.isHead = isHead
    }

    /// A page that is there already.
    public init(whole page: [UInt8], _ head: Head) {
        self.init(heldLimit: page.count, pageLimit: page.count, streamsUnknownLength: false)
        self.head = head
        if !page.isEmpty { pieces = [page] }
        held = page.count
        received = page.count
        end = .whole
    }

    /// Bytes of memory that the pieces take.
    public var footprint: Int { pieces.reduce(0) { $0 + max($1.count, PageBuffer.pieceBytes) } }

    // MARK: The writer

    /// Status and headers; the first count.
    public mutating func take(_ head: Head) {
        guard self.head == nil else { return }
        self.head = head
        guard InnerHead.fits(head.fields) else { return refuse(.headTooLarge) }
        guard !isHead, head.status != 204, head.status != 304, head.fields.first("transfer-encoding") == nil else {
            return
        }
        let lengths = Set(head.fields.filter { $0.isNamed("content-length") }.map(\.value))
        guard lengths.count == 1, let text = lengths.first, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return
        }
        length = Int(text)
        if let length, length > pageLimit { refuse(.tooLarge) }
    }

    /// The next bytes of the page.
    public mutating func take(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        guard case .open = end else { return .stop }
        let total = received.addingSaturated(bytes.count)
        guard total <= pageLimit else {
            refuse(.tooLarge)
            return .stop
        }
        guard length.map({ total <= $0 }) ?? true else {
            end = .broken
            return .stop
        }
        guard isHeldWhole || held < heldLimit else { return .wait }
        received = total
        held += bytes.count
        var rest = bytes[...]
        while !rest.isEmpty {
            if pieces.last.map({ $0.count >= PageBuffer.pieceBytes }) ?? true {
                var piece: [UInt8] = []
                piece.reserveCapacity(PageBuffer.pieceBytes)
                pieces.append(piece)
            }
            let last = pieces.count - 1
            let part = rest.prefix(PageBuffer.pieceBytes - pieces[last].count)
            pieces[last].append(contentsOf: part)
            rest = rest.dropFirst(part.count)
        }
        return .taken
    }

    /// Takes no more, and what is held is of no use.
    public mutating func refuse(_ reason: Stop) {
        guard case .open = end else { return }
        stop = reason
        breakOff()
    }

    /// Nothing comes any more. A page that is shorter than was told is not whole, whatever its writer says.
    public mutating func finish(isWhole: Bool) {
        guard case .open = end else { return }
        guard isWhole, head != nil, length.map({ received == $0 }) ?? true else { return breakOff() }
        end = .whole
    }

    /// The reader is gone, or the page.
    public mutating func breakOff() {
        end = .broken
        pieces = []
        held = 0
    }

    /// Whether nothing may go out before the end is known.
    private var isHeldWhole: Bool { length == nil && !streamsUnknownLength }

    /// How passing on can begin; nil while that is not known.
    public var opening: Opening? {
        switch end {
        case .broken: .broken
        case .whole: head.map { .whole($0, bytes: held) }
        case .open: head.flatMap { isHeldWhole || held < heldLimit ? nil : .stream($0, length: length) }
        }
    }

    // MARK: The reader

    /// Passing on begins: with `prefix`, and in chunks where the length is not told.
    public mutating func begin(_ prefix: [UInt8], isChunked: Bool) {
        self.prefix = prefix[...]
        self.isChunked = isChunked
    }

    /// Whether a writer that was told to wait may come again.
    public var hasRoom: Bool {
        if case .open = end { return held <= heldLimit / 2 }
        return true
    }

    /// Writes the next bytes of the message to `buffer`, whose size is more than that of a chunk's line.
    public mutating func read(into buffer: UnsafeMutableRawBufferPointer) -> Piece {
        if case .broken = end { return .broken }
        if !prefix.isEmpty {
            let part = prefix.prefix(buffer.count)
            buffer.copyBytes(from: part)
            prefix = prefix.dropFirst(part.count)
            return .bytes(part.count)
        }
        guard held > 0 else {
            guard case .whole = end else { return .wait }
            guard isChunked, !wroteLastChunk, buffer.count >= PageBuffer.lastChunk.count else { return .end }
            wroteLastChunk = true
            buffer.copyBytes(from: PageBuffer.lastChunk)
            return .bytes(PageBuffer.lastChunk.count)
        }
        guard isChunked else { return .bytes(copy(to: buffer)) }
        let count = min(held, buffer.count - PageBuffer.chunkFrame)
        guard count > 0 else { return .broken }
        let line = Array("\(String(count, radix: 16))\r\n".utf8)
        buffer.copyBytes(from: line)
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[line.count..<(line.count + count)])
        _ = copy(to: room)
        buffer[line.count + count] = 0x0D
        buffer[line.count + count + 1] = 0x0A
        return .bytes(line.count + count + 2)
    }

    /// Moves bytes of the page; gives their number.
    private mutating func copy(to buffer: UnsafeMutableRawBufferPointer) -> Int {
        var written = 0
        while written < buffer.count, let first = pieces.first {
            let part = first[offset...].prefix(buffer.count - written)
            UnsafeMutableRawBufferPointer(rebasing: buffer[written...]).copyBytes(from: part)
            written += part.count
            offset += part.count
            if offset == first.count {
                pieces.removeFirst()
                offset = 0
            }
        }
        held -= written
        return written
    }

    /// All that is held, which is then gone from here.
    public mutating func drain() -> [UInt8] {
        var page: [UInt8] = []
        page.reserveCapacity(held)
        for piece in pieces { page += piece.dropFirst(page.isEmpty ? offset : 0) }
        pieces = []
        offset = 0
        held = 0
        return page
    }
}
