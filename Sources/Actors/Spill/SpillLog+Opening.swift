import Pipeline

/// Recovery: what is in the folder, and what of it can be trusted. Every verdict is counted; nothing here throws.
extension SpillLog {
    /// Reads the cursors, all segment headers, and the newest segment whole. Start and late recovery after a folder
    /// that could not be opened.
    func recover(configured: [String]) {
        let entries: [DiskEntry]
        do throws(DiskError) {
            try disk.makeDirectory(folder)
            entries = try disk.list(folder)
        } catch {
            if state == .starting { startEmpty() }
            enterMemory(error)
            return
        }
        var found: [SegmentFile] = []
        for entry in entries.sorted(by: { $0.name < $1.name }) {
            if entry.kind == .file, SpillFiles.isSegment(entry.name) {
                guard let segment = inspect(entry) else { continue }
                if segment == nil {
                    if !isRecovered { startEmpty() }
                    state = .unsupported
                    return
                }
                if let segment { found.append(segment) }
            } else if entry.kind == .file, SpillFiles.isLeftover(entry.name) {
                try? disk.remove(folder + "/" + entry.name)
            } else if entry.name == SpillFiles.quarantine, entry.kind == .directory {
                quarantinedBytes = quarantineFiles().reduce(0) { $0 + $1.size }
            } else if entry.kind != .file || SpillFiles.reader(entry.name) == nil {
                count(.unknownFile)
                log.notice("unknown file left alone", metadata: ["file": "\(entry.name)"])
            }
        }
        adopt(found)
        var diskEnd = finishSegments()
        let (cursors, refused) = loadCursors(entries)
        for cursor in cursors.values where cursor.end.sequence > diskEnd.sequence { diskEnd = cursor.end }
        for cursor in cursors.values { diskEnd.points = max(diskEnd.points, cursor.end.points) }
        if let floor = quarantinedFloor(entries), floor > diskEnd.sequence { diskEnd.sequence = floor }
        install(cursors.mapValues(\.pending), diskEnd: diskEnd, configured: configured)
        let missing = configured.filter { cursors[$0] == nil && !refused.contains($0) }.count
        if missing > 0, !segments.isEmpty { count(.cursorLost, missing) }
        isRecovered = true
        state = .ok
        adoptUnsynced(after: cursors.values.map(\.end).max())
    }

    /// The former process may have died before it synced its last segments: they are synced with the next commit. What
    /// a cursor calls sealed has been synced.
    private func adoptUnsynced(after known: StreamPosition?) {
        let newest = 16
        for index in segments.indices.suffix(newest) where spanEnd(index) > (known ?? .origin) {
            durableEnd = min(durableEnd, segments[index].start)
            guard segments[index].descriptor == nil,
                let descriptor = try? disk.openToRepair(folder + "/" + segments[index].name)
            else { continue }
            segments[index].descriptor = descriptor
            segments[index].isDirty = true
            firstDirty = clock.now
        }
        if !segments.isEmpty { needsDirectorySync = true }
    }

    /// Judges one segment file. Outer nil: nothing to keep; inner nil: a later version wrote it.
    private func inspect(_ entry: DiskEntry) -> SegmentFile?? {
        let path = folder + "/" + entry.name
        let bytes: [UInt8]
        do throws(DiskError) {
            bytes = try disk.contents(path, limit: SegmentHeader.length)
        } catch {
            note(error, .readError)
            return nil
        }
        switch SegmentHeader.parse(bytes) {
        case .valid(let header):
            return .some(SegmentFile(name: entry.name, header: header, size: entry.size))
        case .newer(let version):
            count(.unsupported)
            lastError = "\(path) is of format version \(version), this Godwit reads version \(SegmentHeader.version)"
            log.error("the spill was written by a later version and is left alone; batches stay in memory")
            return .some(nil)
        case .damaged:
            if isAllZero(path, size: entry.size) {
                count(.emptySegment)
                try? disk.remove(path)
            } else {
                quarantine(entry)
            }
            return nil
        }
    }

    private func isAllZero(_ path: String, size: Int) -> Bool {
        guard size > 0 else { return true }
        // A segment is never larger than its limit and one record; more is no segment of ours.
        guard let bytes = try? disk.contents(path, limit: 2 * settings.segmentBytes + RecordHeader.payloadLimit),
            bytes.count == size
        else { return false }
        return bytes.allSatisfy { $0 == 0 }
    }

    /// Keeps the segments of the stream's own instance: that of most of them, of the newest when in doubt.
    private func adopt(_ found: [SegmentFile]) {
        var votes: [InstanceID: Int] = [:]
        for segment in found { votes[segment.header.instance, default: 0] += 1 }
        let sorted = found.sorted { $0.start < $1.start }
        var winner = sorted.last?.header.instance
        for segment in sorted.reversed() {
            if let current = winner, votes[segment.header.instance, default: 0] > votes[current, default: 0] {
                winner = segment.header.instance
            }
        }
        segments = sorted.filter { $0.header.instance == winner }
        for index in segments.indices { segments[index].isSealed = true }
        if found.count > segments.count { count(.foreignSegment, found.count - segments.count) }
        instance = winner
    }

    /// Reads seals of the older segments, scans the newest, repairs its tail. Returns the end of the data.
    private func finishSegments() -> StreamPosition {
        for index in segments.indices.dropLast() { readSeal(index) }
        var end = StreamPosition.origin
        while let last = segments.indices.last {
            end = max(end, scan(last))
            guard segments[last].newest == nil else { break }
            // Only a header: nothing is lost with it but its position, which is kept. The one before is the newest
            // then.
            release(segments[last].descriptor)
            try? disk.remove(folder + "/" + segments[last].name)
            segments.removeLast()
        }
        return end
    }

    /// Scans a segment, notes what it holds, and returns where its data end.
    private func scan(_ index: Int) -> StreamPosition {
        let segment = segments[index]
        do {
            let descriptor = try disk.openToRead(folder + "/" + segment.name)
            defer { disk.close(descriptor) }
            var window = FileWindow(disk, descriptor, size: segment.size)
            let scan = try SegmentScan(segment.header, in: &window, keepingRecords: false)
            segments[index].end = scan.end
            segments[index].newest = scan.newest
            if !scan.damaged.isEmpty { count(.damagedBytes, scan.damaged.count) }
            if scan.corruptRecords > 0 { count(.corruptRecord, scan.corruptRecords) }
            if let offset = scan.tornAt {
                count(.tornTail)
                repairTail(index, at: offset)
            }
            return scan.end
        } catch {
            note(error, .readError)
            segments[index].newest = segment.header.created
            // How many numbers it used is unknown: stay above all it could hold.
            let most = UInt64(clamping: segment.size / RecordHeader.length + 1)
            return StreamPosition(
                sequence: segment.start.sequence.addingSaturated(most), points: segment.start.points)
        }
    }

    /// Cuts a torn tail off; the next commit syncs it.
    private func repairTail(_ index: Int, at offset: Int) {
        guard let descriptor = try? disk.openToRepair(folder + "/" + segments[index].name) else { return }
        // A tail that cannot be cut is found torn again at the next start, which is harmless.
        guard (try? disk.truncate(descriptor, to: offset)) != nil else {
            disk.close(descriptor)
            return
        }
        segments[index].size = offset
        segments[index].descriptor = descriptor
        segments[index].isDirty = true
        firstDirty = clock.now
    }

    private func readSeal(_ index: Int) {
        let segment = segments[index]
        guard segment.size >= SegmentHeader.length + RecordHeader.length,
            let descriptor = try? disk.openToRead(folder + "/" + segment.name)
        else { return }
        defer { disk.close(descriptor) }
        let window = FileWindow(disk, descriptor, size: segment.size)
        guard
            let bytes = try? window.payload(at: segment.size - RecordHeader.length, count: RecordHeader.length),
            let seal = RecordHeader.seal(in: bytes, salt: segment.header.salt)
        else { return }
        segments[index].end = seal.start
        segments[index].newest = seal.newest
    }

    private func loadCursors(_ entries: [DiskEntry]) -> (valid: [String: Cursor], refused: Set<String>) {
        var cursors: [String: Cursor] = [:]
        var foreign: [String: Cursor] = [:]
        var damaged: Set<String> = []
        for entry in entries where entry.kind == .file {
            guard let reader = SpillFiles.reader(entry.name) else { continue }
            let bytes = try? disk.contents(folder + "/" + entry.name, limit: CursorSlots.length + 1)
            guard let bytes, let cursor = CursorSlots.newest(bytes) else {
                damaged.insert(reader)
                continue
            }
            if instance == nil { instance = cursor.instance }
            if cursor.instance == instance { cursors[reader] = cursor } else { foreign[reader] = cursor }
        }
        if !foreign.isEmpty { count(.cursorForeign, foreign.count) }
        if !damaged.isEmpty { count(.cursorLost, damaged.count) }
        return (cursors, damaged.union(foreign.keys))
    }

    /// Puts the readers in place: what is on disk comes before what is in memory from a time without the disk.
    private func install(_ cursors: [String: PendingSet], diskEnd: StreamPosition, configured: [String]) {
        if instance == nil { instance = InstanceID(random: &random) }
        let oldest = segments.first?.start ?? diskEnd
        let earlier = readers
        rebase(by: diskEnd)
        readers = [:]
        for key in Set(configured).union(cursors.keys).union(earlier.keys) {
            let (isConfigured, memory) = (configured.contains(key), earlier[key])
            // One that came and went while there was no disk never had what is on it.
            var state = ReaderState(cursors[key] ?? PendingSet(from: isConfigured ? oldest : diskEnd))
            state.published = cursors[key]
            if isConfigured || memory != nil {
                state.pending.resume(end: diskEnd)
                state.pending.demote(end: diskEnd)
            }
            if let memory {
                state.pending.append(memory.pending, shiftedBy: diskEnd, end: diskEnd)
                state.waiters = memory.waiters
            }
            if !isConfigured {
                state.pending.pause(end: memory == nil ? diskEnd : end)
                if state.pending.backlogPoints == 0, state.pending.backlogBatches == 0 {
                    try? disk.remove(folder + "/" + SpillFiles.cursor(key))
                    continue
                }
            }
            readers[key] = state
        }
        for (key, memory) in earlier where readers[key] == nil {
            for waiter in memory.waiters.values { waiter.finish() }
        }
    }

    /// Moves what is in memory behind the end of what was found on disk.
    private func rebase(by diskEnd: StreamPosition) {
        end = end.moved(behind: diskEnd)
        tail = .init(
            tail.map {
                let start = $0.span.start.moved(behind: diskEnd)
                return StoredBatch(sequence: start.sequence, pointsBefore: start.points, batch: $0.batch)
            })
        writtenEnd = tail.first?.span.start ?? end
        durableEnd = writtenEnd
    }

    // MARK: Quarantine

    private static var quarantineFilesLimit: Int { 2 }
    private static var quarantineBytesLimit: Int { 16 * 1024 * 1024 }

    private func quarantineFiles() -> [DiskEntry] {
        ((try? disk.list(folder + "/" + SpillFiles.quarantine)) ?? []).filter { $0.kind == .file }
            .sorted { $0.name < $1.name }
    }

    /// Sets a segment without a readable header aside, the oldest ones out. One too large for the limit stays in place.
    private func quarantine(_ entry: DiskEntry) {
        count(.quarantined)
        log.error("segment header damaged, set aside", metadata: ["file": "\(entry.name)"])
        guard entry.size <= Self.quarantineBytesLimit else { return }
        let place = folder + "/" + SpillFiles.quarantine
        do throws(DiskError) {
            try disk.makeDirectory(place)
            var kept = quarantineFiles().filter { $0.name != entry.name }
            while !kept.isEmpty,
                kept.count >= Self.quarantineFilesLimit
                    || kept.reduce(entry.size, { $0 + $1.size }) > Self.quarantineBytesLimit
            {
                try disk.remove(place + "/" + kept.removeFirst().name)
            }
            try disk.rename(folder + "/" + entry.name, to: place + "/" + entry.name)
            quarantinedBytes = kept.reduce(entry.size) { $0 + $1.size }
        } catch {
            note(error, nil)
        }
    }

    /// A number above all that damaged segments in this folder can have used: numbers are never given twice.
    private func quarantinedFloor(_ entries: [DiskEntry]) -> UInt64? {
        let kept = Set(segments.map(\.name))
        return entries.compactMap { entry -> UInt64? in
            guard entry.kind == .file, SpillFiles.isSegment(entry.name), !kept.contains(entry.name), entry.size > 0,
                let first = UInt64(entry.name.dropLast(4), radix: 16)
            else { return nil }
            return first.addingSaturated(UInt64(clamping: entry.size / RecordHeader.length + 1))
        }.max()
    }
}
