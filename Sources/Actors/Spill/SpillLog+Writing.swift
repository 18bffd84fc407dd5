import Glibc
import Pipeline

/// The way to the disk: records, segments, caps, and what happens when the disk says no.
extension SpillLog {
    /// The active segment.
    var activeIndex: Int? {
        guard let last = segments.indices.last, segments[last].descriptor != nil, !segments[last].isSealed else {
            return nil
        }
        return last
    }

    var totalBytes: Int { segments.reduce(0) { $0 + $1.size } }

    /// Mode `onFailure`: whether more waits in memory than may.
    var unwrittenOverflows: Bool {
        let unwritten = tail.count - unwrittenIndex
        return unwritten > settings.memoryBatches || tailBytes > settings.memoryBytes
    }

    /// Index in the tail of the first record that is in no file; its numbers have no gaps.
    var unwrittenIndex: Int {
        guard let first = tail.first, writtenEnd.sequence > first.sequence else { return 0 }
        return min(tail.count, Int(clamping: writtenEnd.sequence - first.sequence))
    }

    /// Writes what is only in memory, in order, as far as the disk takes it.
    func writePending() {
        guard state == .ok else { return }
        for index in segments.indices where segments[index].needsCopy {
            guard copy(index) else { return }
        }
        while true {
            let index = unwrittenIndex
            guard index < tail.count else { break }
            let record = tail[index]
            if isPending(record.span) {
                do throws(DiskError) {
                    try write(record)
                } catch {
                    guard recovers(from: error) else { return }
                    continue
                }
            }
            writtenEnd = record.span.end
        }
        for name in condemned { try? disk.remove(folder + "/" + name) }
        condemned = []
    }

    func isPending(_ span: StreamSpan) -> Bool {
        readers.values.contains { $0.pending.overlaps(span, end: end) }
    }

    private func write(_ record: StoredBatch) throws(DiskError) {
        let length = RecordHeader.recordLength(payload: record.batch.payload.count)
        while totalBytes + length + RecordHeader.length + SegmentHeader.length > settings.bytesLimit {
            guard evictOldest(.bytes, includingActive: true) else { break }
        }
        if let active = activeIndex, segments[active].size + length > settings.effectiveSegmentBytes { roll() }
        let index = if let active = activeIndex { active } else { try startSegment(at: record.span.start) }
        let salt = segments[index].header.salt
        guard let descriptor = segments[index].descriptor,
            let header = RecordHeader(record.batch, at: record.span.start, salt: salt)
        else { return }
        let padding = [UInt8](repeating: 0, count: length - RecordHeader.length - record.batch.payload.count)
        let offset = segments[index].size
        do throws(DiskError) {
            try disk.writeAll(
                descriptor, at: offset, [header.bytes(salt: salt), record.batch.payload, padding],
                path: segments[index].name)
        } catch {
            // Undo the part that was written; should that fail too, recovery finds a torn tail.
            try? disk.truncate(descriptor, to: offset)
            throw error
        }
        segments[index].size = offset + length
        segments[index].end = record.span.end
        segments[index].newest = max(segments[index].newest ?? record.batch.newest, record.batch.newest)
        markDirty(index, length)
    }

    private func markDirty(_ index: Int, _ bytes: Int) {
        segments[index].isDirty = true
        dirtyBytes += bytes
        if firstDirty == nil { firstDirty = clock.now }
        nudge()
    }

    /// Makes a new active segment under a temporary name, so that the final name never shows half a header and a file
    /// given up after a failed sync is replaced whole. It is synced with its first records.
    private func startSegment(at start: StreamPosition) throws(DiskError) -> Int {
        try keepFloor(room: settings.effectiveSegmentBytes)
        let header = SegmentHeader(
            start: start, created: clock.wall, instance: instance ?? InstanceID(random: &random),
            salt: UInt32.random(in: 1...UInt32.max, using: &random))
        instance = header.instance
        let name = SpillFiles.segment(start.sequence)
        let temporary = folder + "/" + name + ".tmp"
        let descriptor = try disk.openToWrite(temporary)
        do throws(DiskError) {
            try disk.allocate(descriptor, bytes: settings.effectiveSegmentBytes)
            try disk.writeAll(descriptor, at: 0, [header.bytes], path: temporary)
            try disk.rename(temporary, to: folder + "/" + name)
        } catch {
            disk.close(descriptor)
            try? disk.remove(temporary)
            throw error
        }
        condemned.removeAll { $0 == name }
        if let last = segments.last, last.name == name {
            // A file without a record of its own, replaced by the rename.
            release(last.descriptor)
            segments.removeLast()
        }
        needsDirectorySync = true
        segments.append(
            SegmentFile(
                name: name, header: header, size: SegmentHeader.length, end: start, descriptor: descriptor,
                opened: clock.now))
        markDirty(segments.count - 1, SegmentHeader.length)
        return segments.count - 1
    }

    /// Ends the active segment with a seal. It stays open until it has been synced.
    func roll() {
        guard let index = activeIndex, let descriptor = segments[index].descriptor else { return }
        let segment = segments[index]
        let end = segment.end ?? segment.start
        let newest = segment.newest ?? segment.header.created
        let seal = RecordHeader.seal(at: end, newest: newest, salt: segment.header.salt)
        segments[index].isSealed = true
        do throws(DiskError) {
            try disk.writeAll(
                descriptor, at: segment.size, [seal.bytes(salt: segment.header.salt)], path: segment.name)
            segments[index].size += RecordHeader.length
            markDirty(index, RecordHeader.length)
        } catch {
            // Without a seal the segment counts as one of a crash: all its records are kept.
            note(error, .writeError)
            segments[index].isDirty = true
        }
        // Gives back what was reserved behind the last record.
        try? disk.truncate(descriptor, to: segments[index].size)
    }

    /// Writes a file anew whose sync failed and whose first records are no longer in memory: what can be read of it
    /// goes to a new file of the same name. False when the log went to memory over it.
    private func copy(_ index: Int) -> Bool {
        let path = folder + "/" + segments[index].name
        let limit = settings.segmentBytes.addingSaturated(2 * RecordHeader.payloadLimit)
        let bytes: [UInt8]
        do throws(DiskError) {
            bytes = try disk.contents(path, limit: limit)
        } catch {
            // Nothing better can be had: what is readable later is delivered, the rest counted.
            note(error, .readError)
            segments[index].needsCopy = false
            return true
        }
        do throws(DiskError) {
            let descriptor = try disk.openToWrite(path + ".tmp")
            do throws(DiskError) {
                try disk.writeAll(descriptor, at: 0, [bytes], path: path)
                // Before it takes the name of a file whose first records may be durable.
                try disk.sync(descriptor)
                try disk.rename(path + ".tmp", to: path)
            } catch {
                disk.close(descriptor)
                try? disk.remove(path + ".tmp")
                throw error
            }
            segments[index].needsCopy = false
            segments[index].descriptor = descriptor
            needsDirectorySync = true
            markDirty(index, bytes.count)
            return true
        } catch {
            note(error, .writeError)
            enterMemory(error)
            return false
        }
    }

    // MARK: Caps

    /// Drops the oldest segment with all that is pending in it. False when there is none (but the active one).
    func evictOldest(_ reason: DropReason, includingActive: Bool) -> Bool {
        if activeIndex == 0 {
            guard includingActive, segments[0].size > SegmentHeader.length else { return false }
            roll()
        }
        guard let oldest = segments.first else { return false }
        let end = spanEnd(0)
        dropEverywhere(StreamSpan(StreamPosition(sequence: 0, points: 0), end), reason)
        log.warning("oldest segment dropped", metadata: ["reason": "\(reason.rawValue)", "file": "\(oldest.name)"])
        removeSegment(0)
        return true
    }

    /// Where the part of the stream that belongs to a segment ends: at the next one, or at its own last record.
    func spanEnd(_ index: Int) -> StreamPosition {
        if index + 1 < segments.count { return segments[index + 1].start }
        return segments[index].end ?? segments[index].start
    }

    func removeSegment(_ index: Int) {
        let segment = segments.remove(at: index)
        // The one before it may be a file that a killed process never sealed: only its successor said where it ends.
        if index > 0, segments[index - 1].end == nil { segments[index - 1].end = segment.start }
        release(segment.descriptor)
        do throws(DiskError) {
            try disk.remove(folder + "/" + segment.name)
        } catch {
            note(error, .writeError)
        }
        needsDirectorySync = true
    }

    /// Closes a descriptor, later when the sync thread has it.
    func release(_ descriptor: Int32?) {
        guard let descriptor else { return }
        if syncing.contains(descriptor) { closing.append(descriptor) } else { disk.close(descriptor) }
    }

    func dropEverywhere(_ span: StreamSpan, _ reason: DropReason) {
        for key in readers.keys { readers[key]?.pending.drop(span, reason, end: end) }
    }

    /// Leaves the floor free on the file system, at the cost of the oldest segments.
    func keepFloor(room: Int) throws(DiskError) {
        for _ in 0...segments.count {
            let space = try disk.space(folder)
            let floor = settings.freeFloor(total: space.total).addingSaturated(UInt64(clamping: room))
            guard space.free < floor else { return }
            guard evictOldest(.diskFull, includingActive: false) else { break }
        }
        throw DiskError("keep the free space of", folder, ENOSPC)
    }

    // MARK: Memory

    /// Lets go of records that memory need not hold, and of the oldest when it holds too much.
    func trimTail() {
        while let first = tail.first {
            let span = first.span
            if isPending(span) {
                let isWritten = span.end.sequence <= writtenEnd.sequence
                if tailBytes > settings.memoryBytes {
                    if !isWritten { dropEverywhere(span, memoryReason) }
                } else {
                    guard isWritten, span.end.sequence <= durableEnd.sequence else { return }
                    let isLive = readers.values.contains { $0.pending.live(end: end).overlaps(span) }
                    if isLive { return }
                }
            }
            tail.removeFirst()
            tailBytes -= first.batch.payload.count
            if writtenEnd.sequence < span.end.sequence { writtenEnd = span.end }
        }
    }

    func count(_ verdict: RecoveryVerdict, _ times: Int = 1) { verdicts[verdict, default: 0] += times }

    func note(_ error: any Error, _ verdict: RecoveryVerdict?) {
        lastError = "\(error)"
        if let verdict { count(verdict) }
    }
}
