/// How the body of an inner response ends, and how much of it has come.
///
/// Promise: `finish` tells a whole body from a part of one, so that no part is passed on as the whole. Bounds: the bytes
/// of a body by `limit`; a chunk's line by 1 KiB, all trailers by 16 KiB.
public struct InnerBody: Sendable {
    public enum Framing: Sendable, Hashable {
        /// There is none, whatever the headers say.
        case none
        case length(Int)
        case chunked
        /// It ends where the message around it ends.
        case untilEnd
    }

    private enum ChunkState: Sendable {
        case size
        case data(left: Int)
        case dataEnd
        case trailer
        case done
    }

    private static let lineLimit = 1_024
    private static let trailerLimit = 16 * 1_024

    public let framing: Framing
    private let limit: Int
    /// Bytes of the body so far.
    public private(set) var received = 0
    private var state = ChunkState.size
    private var line: [UInt8] = []
    private var trailerBytes = 0

    /// By RFC 9112, 6.3. Errors: two lengths that differ, a length that is none, an encoding other than chunked, a
    /// length above the limit.
    public init(of head: InnerHead, isHead: Bool, limit: Int) throws(InnerError) {
        self.limit = limit
        framing = try InnerBody.framing(of: head, isHead: isHead)
        if case .length(let length) = framing, length > limit {
            throw InnerError("the body has \(length) bytes, more than the limit of \(limit)")
        }
    }

    private static func framing(of head: InnerHead, isHead: Bool) throws(InnerError) -> Framing {
        if case .response(let status, _) = head.start, isHead || status == 204 || status == 304 { return .none }
        let codings = head.fields.filter { $0.isNamed("transfer-encoding") }.map { $0.value.lowercased() }
        if let coding = codings.first {
            guard codings.count == 1, coding == "chunked" else { throw InnerError("an unknown transfer encoding") }
            return .chunked
        }
        let lengths = Set(head.fields.filter { $0.isNamed("content-length") }.map(\.value))
        guard let text = lengths.first else { return .untilEnd }
        guard lengths.count == 1, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(text) else {
            throw InnerError("no length in Content-Length")
        }
        return .length(length)
    }

    /// Takes a piece and gives `payload` the ranges of it that belong to the body.
    ///
    /// Errors: more than the length or the limit, or chunks that are none; the body is of no use then.
    public mutating func take(
        _ bytes: UnsafeBufferPointer<UInt8>, payload: (Range<Int>) -> Void
    ) throws(InnerError) {
        switch framing {
        case .none:
            guard bytes.isEmpty else { throw InnerError("a body where there can be none") }
        case .length(let length):
            guard bytes.count <= length - received else { throw InnerError("a body longer than its Content-Length") }
            received += bytes.count
            if !bytes.isEmpty { payload(0..<bytes.count) }
        case .untilEnd:
            try add(bytes.count)
            if !bytes.isEmpty { payload(0..<bytes.count) }
        case .chunked: try takeChunks(bytes, payload)
        }
    }

    private mutating func add(_ count: Int) throws(InnerError) {
        received = received.addingSaturated(count)
        guard received <= limit else { throw InnerError("the body has more than the limit of \(limit) bytes") }
    }

    private mutating func takeChunks(
        _ bytes: UnsafeBufferPointer<UInt8>, _ payload: (Range<Int>) -> Void
    ) throws(InnerError) {
        var index = 0
        while index < bytes.count {
            if case .data(let left) = state {
                let count = min(left, bytes.count - index)
                try add(count)
                payload(index..<(index + count))
                index += count
                state = count == left ? .dataEnd : .data(left: left - count)
                continue
            }
            let byte = bytes[index]
            index += 1
            if byte == 0x0A { try endLine() } else { try addToLine(byte) }
        }
    }

    private mutating func addToLine(_ byte: UInt8) throws(InnerError) {
        if case .done = state { throw InnerError("bytes behind the last chunk") }
        guard line.count < InnerBody.lineLimit else { throw InnerError("a chunk's line without an end") }
        line.append(byte)
    }

    private mutating func endLine() throws(InnerError) {
        if line.last == 0x0D { line.removeLast() }
        defer { line.removeAll(keepingCapacity: true) }
        switch state {
        case .size:
            let digits = line.prefix { $0 != 0x3B && $0 != 0x20 && $0 != 0x09 }
            guard !digits.isEmpty, digits.count <= 15,
                digits.allSatisfy({ UnicodeScalar($0).properties.isASCIIHexDigit })
            else { throw InnerError("a chunk without a size") }
            guard let size = Int(String(decoding: digits, as: UTF8.self), radix: 16) else {
                throw InnerError("a chunk without a size")
            }
            state = size == 0 ? .trailer : .data(left: size)
        case .dataEnd:
            guard line.isEmpty else { throw InnerError("a chunk longer than its size") }
            state = .size
        case .trailer:
            trailerBytes += line.count
            guard trailerBytes <= InnerBody.trailerLimit else { throw InnerError("too many trailers") }
            if line.isEmpty { state = .done }
        case .data: break
        case .done: throw InnerError("bytes behind the last chunk")
        }
    }

    /// Whether the body is whole when nothing comes any more.
    public var isComplete: Bool {
        switch framing {
        case .none, .untilEnd: return true
        case .length(let length): return received == length
        case .chunked:
            if case .done = state { return true }
            return false
        }
    }

    /// The length that can be told before the body has come.
    public var knownLength: Int? {
        if case .length(let length) = framing { return length }
        return nil
    }
}

extension InnerError {
    /// A push that holds a request.
    public static let notAResponse = InnerError("no HTTP response")

    /// A body that ended before its end.
    public static func cut(after bytes: Int) -> InnerError { InnerError("the body breaks off after \(bytes) bytes") }
}
