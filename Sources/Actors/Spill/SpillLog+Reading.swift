import Glibc
import Pipeline

/// The way back: the next pending record of a reader, from memory or from a segment.
extension SpillLog {
    enum Fetch {
        case batch(StoredBatch)
        /// Something changed (a gap was counted): look again.
        case again
        /// A read failed: look again after a while.
        case retry
        /// Nothing is pending in this lane.
        case nothing
    }

    func fetch(_ key: String, _ lane: Lane) -> Fetch {
        guard state != .starting, let reader = readers[key], !reader.pending.isPaused else { return .nothing }
        if let outstanding = reader.outstanding[lane] {
            if reader.pending.overlaps(outstanding.span, end: end) { return .batch(outstanding) }
            readers[key]?.outstanding[lane] = nil
        }
        guard let target = reader.pending.next(lane, end: end, isStrict: settings.isStrict(key)) else {
            return .nothing
        }
        guard let first = tail.first, target.start.sequence >= first.sequence else {
            return fetchFromDisk(key, lane, target)
        }
        let index = Int(clamping: target.start.sequence - first.sequence)
        guard index < tail.count else { return skip(key, target, .missingSegment) }
        return hand(key, lane, tail[index])
    }

    private func hand(_ key: String, _ lane: Lane, _ stored: StoredBatch) -> Fetch {
        readers[key]?.outstanding[lane] = stored
        readers[key]?.isRetrying = false
        return .batch(stored)
    }

    /// Counts a gap.
    private func skip(_ key: String, _ span: StreamSpan, _ reason: DropReason) -> Fetch {
        let lost = readers[key]?.pending.drop(span, reason, end: end) ?? 0
        if lost > 0 {
            log.warning("points lost", metadata: ["reason": "\(reason.rawValue)", "points": "\(lost)"])
        }
        readers[key]?.isRetrying = false
        signal?.yield()
        return .again
    }

    private func fetchFromDisk(_ key: String, _ lane: Lane, _ target: StreamSpan) -> Fetch {
        // Above this place the tail has the records.
        let limit = min(target.end, tail.first?.span.start ?? end)
        guard let index = segments.lastIndex(where: { $0.start.sequence <= target.start.sequence }) else {
            let next = segments.first?.start ?? limit
            return skip(key, StreamSpan(target.start, min(next, limit)), .missingSegment)
        }
        let bound = index + 1 < segments.count ? min(limit, segments[index + 1].start) : limit
        let wanted = StreamSpan(target.start, bound)
        let descriptor: Int32
        do throws(DiskError) {
            descriptor = try disk.openToRead(folder + "/" + segments[index].name)
        } catch {
            note(error, .readError)
            switch error.code {
            case ENOENT, ENOTDIR, ELOOP, EISDIR: return skip(key, wanted, .missingSegment)
            case EIO: break
            default: return .retry  // No descriptor left, no permission: it is still there.
            }
            if readers[key]?.isRetrying == true { return skip(key, wanted, .readError) }
            return .retry
        }
        defer { disk.close(descriptor) }
        return walk(key, lane, wanted, segments[index], descriptor)
    }

    /// Goes through one segment to the first record inside `wanted`, and counts what is missing before it.
    private func walk(
        _ key: String, _ lane: Lane, _ wanted: StreamSpan, _ segment: SegmentFile, _ descriptor: Int32
    ) -> Fetch {
        let isGrowing = !segment.isSealed && segment.descriptor != nil
        let size = isGrowing ? segment.size : (try? disk.size(descriptor)) ?? segment.size
        var window = FileWindow(disk, descriptor, size: size)
        var walker = SegmentWalker(segment.header)
        if let hint = readers[key]?.walk, hint.segment == segment.name, hint.walker.salt == segment.header.salt,
            hint.walker.lastSequence < wanted.start.sequence
        {
            walker = hint.walker
        }
        var reason = DropReason.corrupt
        while true {
            let before = walker
            do {
                // Payloads are checked below, when they are in memory: all records count as not to be verified.
                switch try walker.next(in: &window, verifyingFrom: .max) {
                case .record(let header, let offset, _):
                    if header.kind == .seal { return cross(key, wanted, sealed: header.start, reason) }
                    if header.start.sequence < wanted.start.sequence { continue }
                    if header.start.sequence >= wanted.end.sequence { return cross(key, wanted, sealed: nil, reason) }
                    let payload = try window.payload(
                        at: offset + RecordHeader.length, count: header.payloadLength)
                    // Points outside of what is wanted would break the balance: such a record is of another past.
                    guard CRC32C.checksum(payload, seed: walker.salt) == header.payloadChecksum,
                        header.start.points >= wanted.start.points, header.span.end.points <= wanted.end.points
                    else {
                        count(.corruptRecord)
                        continue
                    }
                    readers[key]?.walk = (segment.name, before)
                    return found(key, lane, wanted, header, payload, reason)
                case .damage: count(.damagedBytes)
                case .tornTail, .end: return cross(key, wanted, sealed: nil, reason)
                }
            } catch {
                note(error, .readError)
                guard readers[key]?.isRetrying == true else { return .retry }
                reason = .readError
                // A record whose payload cannot be read has been stepped over; else the block is.
                if walker.offset == before.offset { walker.skipBlock() }
            }
        }
    }

    private func found(
        _ key: String, _ lane: Lane, _ wanted: StreamSpan, _ header: RecordHeader, _ payload: [UInt8],
        _ reason: DropReason
    ) -> Fetch {
        if header.start.sequence > wanted.start.sequence {
            _ = skip(key, StreamSpan(wanted.start, header.start), reason)
        }
        let batch = Batch(
            pointCount: Int(header.pointCount), newest: header.newest, codec: header.codec, payload: payload)
        return hand(
            key, lane,
            StoredBatch(sequence: header.start.sequence, pointsBefore: header.start.points, batch: batch))
    }

    /// The segment has no more of what is wanted: up to its seal records were damaged, beyond it a segment is missing.
    private func cross(
        _ key: String, _ wanted: StreamSpan, sealed: StreamPosition?, _ reason: DropReason
    ) -> Fetch {
        guard let sealed else { return skip(key, wanted, reason) }
        let seal = min(max(sealed, wanted.start), wanted.end)
        if seal.sequence > wanted.start.sequence { _ = skip(key, StreamSpan(wanted.start, seal), reason) }
        return skip(key, StreamSpan(seal, wanted.end), .missingSegment)
    }
}
