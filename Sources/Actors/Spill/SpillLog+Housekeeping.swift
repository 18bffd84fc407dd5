import Pipeline

/// What happens by the clock: group commit, cursors, removal, rolling, expiry, free space, probes, the end.
extension SpillLog {
    /// When `run` has something to do.
    func nextDeadline() -> Instant {
        var deadline = nextHousekeeping
        if let firstDirty {
            deadline = min(deadline, dirtyBytes >= settings.syncBytes ? clock.now : firstDirty + settings.syncInterval)
        }
        if state == .ok, needsPublication { deadline = min(deadline, publicationDue) }
        if state == .memory, let nextProbe { deadline = min(deadline, nextProbe) }
        return deadline
    }

    /// What is due within that time is done with what is due now: at a steady tick the commit goes along with the
    /// acknowledgement, in place of a wake-up of its own.
    var slack: Duration { settings.syncInterval / 4 }

    /// Does what is due.
    func turn() async {
        let now = clock.now + slack
        if state == .memory, let due = nextProbe, due <= now { probe() }
        if let first = firstDirty, dirtyBytes >= settings.syncBytes || first + settings.syncInterval <= now {
            await commit()
        } else if needsPublication, publicationDue <= now {
            await commit()
        }
        if nextHousekeeping <= clock.now {
            nextHousekeeping = clock.now + settings.housekeepingInterval
            tidy()
        }
    }

    /// Leaves everything that is pending on disk, synced, with cursors that say so.
    func stop() async {
        isStopping = true
        if state == .memory { probe() }
        for _ in 0..<3 {
            writePending()
            roll()
            if await commit() { break }
        }
        // A failed sync in the last round may have left a file open.
        for index in segments.indices {
            release(segments[index].descriptor)
            segments[index].descriptor = nil
        }
        for reader in readers.keys { wake(reader) }
    }

    /// Writes and syncs all there is, and publishes the cursors: for a process that is about to end at once.
    public func settle() async {
        writePending()
        await commit()
    }

    // MARK: Commit

    /// Syncs what is written, publishes the cursors of the same moment, removes what they acknowledge. True when all of
    /// it went well. Appends and reads go on meanwhile: after each await the state is looked at anew.
    @discardableResult
    func commit() async -> Bool {
        // One at a time: the second would publish cursors of data that the first has not synced yet.
        while isCommitting { await withCheckedContinuation { commitWaiters.append($0) } }
        isCommitting = true
        defer {
            isCommitting = false
            for waiter in commitWaiters { waiter.resume() }
            commitWaiters = []
        }
        guard settings.mode != .off, isRecovered, state != .unsupported else { return true }
        if let active = activeIndex, !disk.exists(folder + "/" + segments[active].name) {
            directoryLost()
            if (try? disk.makeDirectory(folder)) != nil { writePending() }
        }
        // At a stop all are published, so that each knows the end of the stream.
        let snapshot = readers.compactMapValues { $0.published == $0.pending && !isStopping ? nil : $0.pending }
        let files = cursorFiles(snapshot, end: writtenEnd)
        let descriptors = segments.indices.compactMap { segments[$0].isDirty ? segments[$0].descriptor : nil }
        var result = SyncThread.Result()
        if !descriptors.isEmpty || needsDirectorySync || !files.isEmpty {
            let goal = writtenEnd
            let epoch = abandonments
            result = await sync(descriptors, files)
            if let failure = result.syncFailure {
                syncFailed(failure, epoch: epoch)
                return false
            }
            for key in result.published { readers[key]?.published = snapshot[key] }
            guard abandonments == epoch else { return false }
            synced(upTo: goal)
        }
        if let failure = result.publishFailure { note(failure, .writeError) }
        removeAcknowledged()
        return result.publishFailure == nil
    }

    /// One trip to the sync thread: the files of the stream, their folder, then the cursors.
    private func sync(_ descriptors: [Int32], _ files: [SyncThread.CursorFile]) async -> SyncThread.Result {
        for index in segments.indices { segments[index].isDirty = false }
        dirtyBytes = 0
        firstDirty = nil
        let syncsDirectory = needsDirectorySync
        needsDirectorySync = false
        if !files.isEmpty {
            lastPublication = clock.now
            publications = min(publications + 1, SpillLog.earlyPublications)
        }
        syncing = Set(descriptors)
        let result = await syncThread.commit(descriptors, syncsDirectory: syncsDirectory, files, in: folder)
        if !descriptors.isEmpty || syncsDirectory { lastSync = result.syncTime }
        syncing = []
        for descriptor in closing { disk.close(descriptor) }
        closing = []
        return result
    }

    private func synced(upTo goal: StreamPosition) {
        let doubtful = segments.first { $0.needsCopy }?.start
        durableEnd = max(durableEnd, min(goal, doubtful ?? goal))
        failures = 0
        probeAttempts = 0
        for index in segments.indices where segments[index].isSealed && !segments[index].isDirty {
            release(segments[index].descriptor)
            segments[index].descriptor = nil
        }
        trimTail()
    }

    private func syncFailed(_ error: DiskError, epoch: Int) {
        note(error, .syncError)
        needsDirectorySync = true
        guard abandonments == epoch else { return }
        failures += 1
        abandonUnsynced()
        if failures >= 2 { enterMemory(error) } else { writePending() }
    }

    // MARK: Cursors

    var needsPublication: Bool {
        guard settings.mode != .off, isRecovered, state != .unsupported else { return false }
        return readers.values.contains { $0.published != $0.pending }
    }

    private var publicationDue: Instant {
        // Not the present moment: that one is later each time it is read, so it would be due for ever and never past.
        guard let last = lastPublication else { return .zero }
        // Memory first: with nothing on disk a cursor only keeps the numbers and counters, so it may wait.
        let isIdle = settings.mode == .onFailure && segments.isEmpty
        if isIdle { return last + max(settings.cursorInterval, .seconds(60)) }
        // 1/8, 1/4, 1/2 of the interval at first, so that a process that is killed again and again still gets on.
        return last + settings.cursorInterval / (1 << (SpillLog.earlyPublications - publications))
    }

    /// Publications after the start that come sooner than the interval says.
    private static let earlyPublications = 4

    private func cursorFiles(_ snapshot: [String: PendingSet], end known: StreamPosition) -> [SyncThread.CursorFile] {
        guard let instance else { return [] }
        return snapshot.sorted { $0.key < $1.key }.map { key, pending in
            SyncThread.CursorFile(
                reader: key,
                cursor: Cursor(instance: instance, written: clock.wall, pending: pending, end: known))
        }
    }

    /// Removes segments of which, by the cursors on disk, no reader needs anything.
    private func removeAcknowledged() {
        for index in segments.indices.reversed() where index != activeIndex {
            let span = StreamSpan(segments[index].start, spanEnd(index))
            let isNeeded = readers.values.contains { reader in
                guard let published = reader.published else { return true }
                return published.overlaps(span, end: end) || reader.pending.overlaps(span, end: end)
            }
            if !isNeeded { removeSegment(index) }
        }
    }

    // MARK: Tidying

    /// Rolls by age, expires, and gives space back when others fill the disk.
    func tidy() {
        guard state == .ok else { return }
        if let active = activeIndex, segments[active].opened + settings.segmentAge <= clock.now,
            segments[active].size > SegmentHeader.length
        {
            roll()
            signal?.yield()
        }
        expire()
        guard !segments.isEmpty else { return }
        for _ in segments.indices {
            guard let space = try? disk.space(folder), space.free < settings.freeFloor(total: space.total) else {
                return
            }
            guard evictOldest(.diskFull, includingActive: false) else {
                roll()
                enterMemory(DiskError("keep the free space of", folder, DiskError.full))
                return
            }
        }
    }

    private func expire() {
        let wall = clock.wall
        let isBehind = segments.contains { ($0.newest ?? $0.header.created) > wall }
        if isBehind, !clockIsBehind { count(.clockStep) }
        clockIsBehind = isBehind
        guard !isBehind else { return }
        while let oldest = segments.first, (oldest.newest ?? oldest.header.created) + settings.ageLimit < wall {
            guard evictOldest(.age, includingActive: true) else { return }
        }
    }

    // MARK: Status

    /// One moment of it all.
    public func status() -> SpillStatus {
        var status = SpillStatus(name: name, state: state)
        status.bytes = totalBytes
        status.bytesLimit = settings.bytesLimit
        status.segments = segments.count
        if let oldest = segments.first { status.oldestAge = max(.zero, clock.wall - oldest.header.created) }
        status.dirtyBytes = dirtyBytes
        status.memoryBytes = tailBytes
        status.quarantinedBytes = quarantinedBytes
        (status.queued, status.written, status.durable) = (end, writtenEnd, durableEnd)
        status.lastSync = lastSync
        status.readers = readers.sorted { $0.key < $1.key }.map { key, reader in
            SpillStatus.Reader(
                name: key, isOrphaned: reader.pending.isPaused, balance: reader.pending.balance(end: end),
                backlogBatches: reader.pending.backlogBatches, backlogPoints: reader.pending.backlogPoints,
                liveBatches: reader.pending.live(end: end).batches)
        }
        status.verdicts = verdicts
        status.lastError = lastError
        return status
    }
}
