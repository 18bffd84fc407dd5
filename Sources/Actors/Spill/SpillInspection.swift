import Pipeline

/// A stream's folder seen from outside, read-only: what `godwit spill check` and `cat` show. It runs the code of
/// recovery, changes nothing, and needs no lock (a running agent may append meanwhile: its tail can look torn).
public struct SpillInspection: Sendable {
    public struct Segment: Sendable {
        public var name: String
        public var bytes: Int
        /// nil when the header is damaged or of a later version; `problem` says which.
        public var header: SegmentHeader?
        public var records = 0
        public var corruptRecords = 0
        public var points: UInt64 = 0
        public var damagedBytes = 0
        public var tornAt: Int?
        public var isSealed = false
        public var end: StreamPosition?
        public var newest: Timestamp?
        public var problem: String?
    }

    public struct Reader: Sendable {
        public var name: String
        /// nil when the file is no valid cursor.
        public var cursor: Cursor?
        public var balance: Balance?
    }

    public var stream: String
    public var segments: [Segment] = []
    public var readers: [Reader] = []
    public var unknownFiles: [String] = []
    public var quarantined: [DiskEntry] = []

    /// Whether every byte is as it should be: a torn tail of the newest segment is, after a crash.
    public var isSound: Bool {
        segments.allSatisfy { $0.problem == nil && $0.corruptRecords == 0 && $0.damagedBytes == 0 }
            && segments.dropLast().allSatisfy { $0.tornAt == nil }
            && readers.allSatisfy { $0.cursor != nil } && quarantined.isEmpty
    }

    /// The streams under a spill directory.
    public static func streams(_ directory: String, disk: any Disk = LinuxDisk()) throws(DiskError) -> [String] {
        try disk.list(directory).filter { $0.kind == .directory }.map(\.name).sorted()
    }

    /// The streams that have a cursor and a name of ours, so that opening them can lose nothing.
    public static func streamsWithReaders(_ directory: String, disk: any Disk = LinuxDisk()) -> [String] {
        let names = (try? streams(directory, disk: disk)) ?? []
        return names.filter { name in
            guard SpillFiles.sanitised(name) == name else { return false }
            let entries = (try? disk.list(directory + "/" + name)) ?? []
            return entries.contains { $0.kind == .file && SpillFiles.reader($0.name) != nil }
        }
    }

    /// Looks at one stream. Errors: the folder cannot be listed; unreadable files are problems of their own.
    public init(directory: String, stream: String, disk: any Disk = LinuxDisk()) throws(DiskError) {
        self.stream = stream
        let folder = directory + "/" + stream
        for entry in try disk.list(folder).sorted(by: { $0.name < $1.name }) {
            if entry.kind == .file, SpillFiles.isSegment(entry.name) {
                segments.append(Self.inspect(folder, entry, disk))
            } else if entry.kind == .file, let reader = SpillFiles.reader(entry.name) {
                let bytes = (try? disk.contents(folder + "/" + entry.name, limit: CursorSlots.length + 1)) ?? []
                readers.append(Reader(name: reader, cursor: CursorSlots.newest(bytes)))
            } else if entry.kind == .directory, entry.name == SpillFiles.quarantine {
                quarantined = try disk.list(folder + "/" + entry.name).filter { $0.kind == .file }
            } else if !SpillFiles.isLeftover(entry.name) {
                unknownFiles.append(entry.name)
            }
        }
        segments.sort { ($0.header?.start ?? .origin) < ($1.header?.start ?? .origin) }
        let ends = segments.compactMap(\.end) + readers.compactMap { $0.cursor?.end }
        let end = ends.max() ?? .origin
        for index in readers.indices { readers[index].balance = readers[index].cursor?.pending.balance(end: end) }
    }

    private static func inspect(_ folder: String, _ entry: DiskEntry, _ disk: any Disk) -> Segment {
        var segment = Segment(name: entry.name, bytes: entry.size)
        do {
            let descriptor = try disk.openToRead(folder + "/" + entry.name)
            defer { disk.close(descriptor) }
            var window = FileWindow(disk, descriptor, size: try disk.size(descriptor))
            let start = try window.withBytes(at: 0, count: SegmentHeader.length) { Array($0) }
            switch SegmentHeader.parse(start) {
            case .damaged: segment.problem = "header damaged"
            case .newer(let version): segment.problem = "format version \(version)"
            case .valid(let header):
                let scan = try SegmentScan(header, in: &window)
                segment.header = header
                segment.records = scan.records.count
                segment.corruptRecords = scan.corruptRecords
                segment.points = scan.records.reduce(0) { $0 + UInt64($1.header.pointCount) }
                segment.damagedBytes = scan.damaged.reduce(0) { $0 + $1.count }
                segment.tornAt = scan.tornAt
                segment.isSealed = scan.seal != nil
                segment.end = scan.end
                segment.newest = scan.newest
            }
        } catch {
            segment.problem = "\(error)"
        }
        return segment
    }

    /// Calls `body` with every intact record of a stream, oldest first, until it returns false. With `reader`, only
    /// what that reader has not got yet. Records that cannot be read are left out.
    public static func forEachRecord(
        directory: String, stream: String, pendingFor reader: String? = nil, disk: any Disk = LinuxDisk(),
        _ body: (StoredBatch) -> Bool
    ) throws(DiskError) {
        let inspection = try SpillInspection(directory: directory, stream: stream, disk: disk)
        let cursor = inspection.readers.first { $0.name == reader }?.cursor
        let far = StreamPosition(sequence: .max, points: .max)
        var last: UInt64 = 0
        for segment in inspection.segments {
            guard let header = segment.header,
                let descriptor = try? disk.openToRead(directory + "/" + stream + "/" + segment.name)
            else { continue }
            defer { disk.close(descriptor) }
            var window = FileWindow(disk, descriptor, size: segment.bytes)
            guard let scan = try? SegmentScan(header, in: &window) else { continue }
            for record in scan.records where record.isIntact && record.header.start.sequence > last {
                last = record.header.start.sequence
                if let cursor, !cursor.pending.overlaps(record.header.span, end: far) { continue }
                guard
                    let payload = try? window.payload(
                        at: record.offset + RecordHeader.length, count: record.header.payloadLength)
                else { continue }
                let batch = Batch(
                    pointCount: Int(record.header.pointCount), newest: record.header.newest,
                    codec: record.header.codec, payload: payload)
                let stored = StoredBatch(
                    sequence: record.header.start.sequence, pointsBefore: record.header.start.points, batch: batch)
                guard body(stored) else { return }
            }
        }
    }

    /// Gives up what is pending in a stream, of one reader or of all, counted as dropped by the operator; then removes
    /// the segments that nobody needs. The caller holds the directory's `DirectoryLock`. Returns the points dropped by
    /// reader. Errors: a cursor could not be written; nothing was removed then.
    public static func drop(
        directory: String, stream: String, reader: String?, now: Timestamp, disk: any Disk = LinuxDisk()
    ) throws(DiskError) -> [(reader: String, points: UInt64)] {
        let inspection = try SpillInspection(directory: directory, stream: stream, disk: disk)
        let folder = directory + "/" + stream
        let ends = inspection.segments.compactMap(\.end) + inspection.readers.compactMap { $0.cursor?.end }
        guard let end = ends.max() else { return [] }
        var dropped: [(reader: String, points: UInt64)] = []
        var left: [PendingSet] = []
        for entry in inspection.readers {
            guard var cursor = entry.cursor else { continue }
            if reader == nil || reader == entry.name {
                let all = StreamSpan(StreamPosition(sequence: 0, points: 0), end)
                dropped.append((entry.name, cursor.pending.drop(all, .droppedByOperator, end: end)))
                cursor.end = max(cursor.end, end)
                cursor.written = now
                try disk.replace(
                    folder + "/" + SpillFiles.cursor(entry.name), with: CursorSlots.file(cursor), in: folder)
            }
            left.append(cursor.pending)
        }
        for (index, segment) in inspection.segments.enumerated() {
            guard let start = segment.header?.start else { continue }
            let next = inspection.segments.dropFirst(index + 1).compactMap { $0.header?.start }.first
            let span = StreamSpan(start, next ?? segment.end ?? start)
            // Without any cursor the operator means the data themselves.
            if left.contains(where: { $0.overlaps(span, end: end) }) { continue }
            try disk.remove(folder + "/" + segment.name)
        }
        try disk.syncDirectory(folder)
        return dropped
    }
}
