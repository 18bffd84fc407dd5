/// Where a walker takes the bytes of a segment from: a file through a window, or an array.
public protocol SegmentBytes {
    /// Bytes in the segment.
    var size: Int { get }
    /// Calls `body` with the `count` bytes at `offset`, fewer at the end. The walker asks for at most 64 KiB at once.
    mutating func withBytes<Result>(
        at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) -> Result
    ) throws -> Result
}

/// A whole segment in memory.
public struct ArraySegment: SegmentBytes {
    public var bytes: [UInt8]
    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    public var size: Int { bytes.count }

    public mutating func withBytes<Result>(
        at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) -> Result
    ) -> Result {
        bytes.withUnsafeBytes { all in
            let start = min(max(0, offset), all.count)
            return body(UnsafeRawBufferPointer(rebasing: all[start..<min(all.count, start + max(0, count))]))
        }
    }
}

/// Goes through a segment record by record. It is the one place that decides what on disk is a record.
///
/// At an 8 byte boundary a header is accepted when magic, header checksum, length limit and a growing sequence all
/// hold. A payload that runs past the end is a torn tail; one whose checksum fails is reported and stepped over; after
/// a bad header the walk goes on at the next 8 byte boundary that holds a good one.
/// Bounds: memory is what the source keeps; no input makes it trap, loop or go back.
public struct SegmentWalker: Sendable {
    public enum Step: Sendable, Hashable {
        /// A record at `offset`. Not intact: its payload does not match (checked from `verifyingFrom` on).
        case record(RecordHeader, offset: Int, isIntact: Bool)
        /// Bytes that are no record, with one after them.
        case damage(Range<Int>)
        /// From here on there is no whole record. Repeats until the source grows.
        case tornTail(at: Int)
        /// All bytes were records. Repeats until the source grows.
        case end
    }

    static let windowLength = 64 * 1024

    public let salt: UInt32
    /// Where the next record is expected.
    public private(set) var offset = SegmentHeader.length
    /// The last sequence seen; records must be above it.
    public private(set) var lastSequence: UInt64

    public init(_ header: SegmentHeader) {
        salt = header.salt
        lastSequence = header.start.sequence &- 1
    }

    /// The next step. Payloads of records below `verifyingFrom` are not read.
    /// Errors: those of the source; the walker has not moved then.
    public mutating func next(
        in source: inout some SegmentBytes, verifyingFrom sequence: UInt64 = 0
    ) throws -> Step {
        guard offset < source.size else { return .end }
        if let header = try header(at: offset, in: &source) {
            let payload = offset + RecordHeader.length
            guard payload + header.payloadLength <= source.size else { return .tornTail(at: offset) }
            let isIntact = try header.start.sequence < sequence || payloadMatches(header, at: payload, in: &source)
            defer { offset = min(source.size, offset + header.recordLength) }
            lastSequence = header.start.sequence
            return .record(header, offset: offset, isIntact: isIntact)
        }
        guard let found = try resynchronise(in: &source) else { return .tornTail(at: offset) }
        defer { offset = found }
        return .damage(offset..<found)
    }

    /// Goes on behind bytes that cannot be read, at the next 4 KiB block.
    public mutating func skipBlock() { offset = (offset / 4096 + 1) * 4096 }

    private func header(at offset: Int, in source: inout some SegmentBytes) throws -> RecordHeader? {
        try source.withBytes(at: offset, count: RecordHeader.length) { accept($0) }
    }

    private func accept(_ bytes: UnsafeRawBufferPointer) -> RecordHeader? {
        guard let header = RecordHeader(bytes, salt: salt), header.start.sequence > lastSequence else { return nil }
        return header
    }

    private func payloadMatches(
        _ header: RecordHeader, at start: Int, in source: inout some SegmentBytes
    ) throws -> Bool {
        var checksum = salt
        var done = 0
        while done < header.payloadLength {
            let count = min(Self.windowLength, header.payloadLength - done)
            let seed = checksum
            checksum = try source.withBytes(at: start + done, count: count) { CRC32C.checksum($0, seed: seed) }
            done += count
        }
        return checksum == header.payloadChecksum
    }

    /// The next 8 byte boundary behind `offset` with a good header.
    private func resynchronise(in source: inout some SegmentBytes) throws -> Int? {
        var start = offset + 8
        while start + RecordHeader.length <= source.size {
            let found: Int? = try source.withBytes(at: start, count: Self.windowLength) { window in
                var at = 0
                while at + RecordHeader.length <= window.count {
                    if window.little(at, UInt32.self) == RecordHeader.magic,
                        accept(UnsafeRawBufferPointer(rebasing: window[at...])) != nil
                    {
                        return at
                    }
                    at += 8
                }
                return nil
            }
            if let found { return start + found }
            // The windows overlap by less than a header, so none is cut in two.
            start += Self.windowLength - RecordHeader.length
        }
        return nil
    }
}

/// What a whole segment holds: the walk of `godwit spill check`, of recovery, and of the tests.
public struct SegmentScan: Sendable, Hashable {
    public struct Entry: Sendable, Hashable {
        public var header: RecordHeader
        public var offset: Int
        public var isIntact: Bool
    }
    public var header: SegmentHeader
    /// Batch records in order, the broken ones included.
    public var records: [Entry] = []
    /// Records whose payload does not match.
    public var corruptRecords = 0
    public var damaged: [Range<Int>] = []
    /// Where the torn tail begins; nil when the last byte belongs to a record.
    public var tornAt: Int?
    public var seal: RecordHeader?
    /// Behind the last record or seal, or the start of an empty segment.
    public var end: StreamPosition

    /// Scans any bytes; nil when they do not begin with a valid header of this version.
    public static func scan(_ bytes: [UInt8]) -> SegmentScan? {
        guard case .valid(let header) = SegmentHeader.parse(bytes) else { return nil }
        var source = ArraySegment(bytes)
        return try? SegmentScan(header, in: &source)
    }

    /// Scans `source`, whose first 64 bytes were `header`. `keepingRecords` false leaves `records` empty.
    public init(_ header: SegmentHeader, in source: inout some SegmentBytes, keepingRecords: Bool = true) throws {
        self.header = header
        end = header.start
        var walker = SegmentWalker(header)
        while true {
            switch try walker.next(in: &source) {
            case .record(let record, let offset, let isIntact):
                if record.kind == .seal {
                    seal = record
                    end = max(end, record.start)
                } else {
                    if !isIntact { corruptRecords += 1 }
                    if keepingRecords { records.append(Entry(header: record, offset: offset, isIntact: isIntact)) }
                    end = max(end, record.span.end)
                }
                newest = max(newest ?? record.newest, record.newest)
            case .damage(let range): damaged.append(range)
            case .tornTail(let offset):
                tornAt = offset
                return
            case .end: return
            }
        }
    }

    /// Newest point time of all records; nil when there is none.
    public var newest: Timestamp?
}
