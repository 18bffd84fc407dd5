import Pipeline

/// When the disk says no: give up what cannot be trusted, go on in memory, try again.
extension SpillLog {
    /// Decides after a failed write: true to try again, false when the log went to memory.
    func recovers(from error: DiskError) -> Bool {
        note(error, .writeError)
        switch error.kind {
        case .full:
            if evictOldest(.diskFull, includingActive: false) { return true }
        case .unreachable:
            failures += 1
            if failures < 2, isActiveGone, (try? disk.makeDirectory(folder)) != nil {
                directoryLost()
                return true
            }
        case .io:
            failures += 1
            // The file takes no more; what it has is synced like any other.
            if let active = activeIndex { segments[active].isSealed = true }
            if failures < 2 { return true }
        }
        enterMemory(error)
        return false
    }

    /// Gives up every file with unsynced records: they are never synced again, and the copies in memory are written to
    /// a new file.
    func abandonUnsynced() {
        abandonments += 1
        var abandoned: Set<String> = []
        for index in segments.indices where segments[index].descriptor != nil || segments[index].needsCopy {
            abandoned.insert(segments[index].name)
            release(segments[index].descriptor)
            segments[index].descriptor = nil
            segments[index].isDirty = false
            segments[index].isSealed = true
        }
        if let first = tail.first { writtenEnd = min(writtenEnd, max(durableEnd, first.span.start)) }
        let rewritten = writtenEnd
        // Neither synced before nor in memory any more: only the file itself has them.
        for index in segments.indices where abandoned.contains(segments[index].name) {
            segments[index].needsCopy =
                max(durableEnd, segments[index].start).sequence < min(rewritten, spanEnd(index)).sequence
        }
        for index in segments.indices.reversed() where segments[index].start.sequence >= rewritten.sequence {
            guard rewritten.sequence < end.sequence else { break }
            condemned.append(segments.remove(at: index).name)
        }
        if let last = segments.indices.last, let end = segments[last].end { segments[last].end = min(end, rewritten) }
        dirtyBytes = 0
        firstDirty = nil
    }

    /// The folder, or files in it, were deleted under us. What is still in memory is written again; the rest is
    /// counted.
    func directoryLost() {
        count(.directoryLost)
        abandonments += 1
        let safe = tail.first?.span.start ?? end
        let spans = segments.indices.map { StreamSpan(segments[$0].start, min(spanEnd($0), safe)) }
        for index in segments.indices.reversed() where !disk.exists(folder + "/" + segments[index].name) {
            let span = spans[index]
            if !span.isEmpty { dropEverywhere(span, .missingSegment) }
            release(segments[index].descriptor)
            segments.remove(at: index)
        }
        // Never before a file that is still there: segments stay in order.
        writtenEnd = min(end, max(safe, segments.last.map { $0.end ?? $0.start } ?? safe))
        durableEnd = min(durableEnd, safe)
        for key in readers.keys { readers[key]?.published = nil }
        needsDirectorySync = true
    }

    /// Whether the folder, or the file being written, was deleted.
    private var isActiveGone: Bool {
        guard let active = activeIndex else { return !disk.exists(folder) }
        return !disk.exists(folder + "/" + segments[active].name)
    }

    /// From here on batches stay in memory, and the disk is probed.
    func enterMemory(_ error: DiskError) {
        lastError = error.description
        memoryReason = error.kind == .full ? .diskFull : .memoryFull
        if state != .memory { log.error("spill in memory: \(error)") }
        state = .memory
        probeAttempts += 1
        let ceiling = error.kind == .unreachable ? settings.probeInterval : probeCeiling
        let wait = Duration.nanoseconds(
            error.kind == .unreachable
                ? ceiling.wholeNanoseconds : Int64.random(in: 0...max(0, ceiling.wholeNanoseconds), using: &random))
        nextProbe = clock.now + max(wait, .milliseconds(50))
    }

    private var probeCeiling: Duration {
        let factor = 1 << min(20, max(0, probeAttempts - 1))
        let floor = settings.probeFloor.wholeNanoseconds.multipliedSaturated(by: Int64(factor))
        return .nanoseconds(min(settings.probeInterval.wholeNanoseconds, floor))
    }

    /// Tries the disk again; in order, from the oldest record in memory.
    func probe() {
        guard state == .memory else { return }
        nextProbe = nil
        failures = 1  // One more failure and it is memory again.
        if !isRecovered {
            recover(configured: configured)
            guard state == .ok else { return }
        }
        do throws(DiskError) {
            try disk.makeDirectory(folder)
            if let first = segments.last, !disk.exists(folder + "/" + first.name) { directoryLost() }
            try keepFloor(room: settings.effectiveSegmentBytes)
        } catch {
            enterMemory(error)
            return
        }
        state = .ok
        if settings.mode == .always || unwrittenOverflows { writePending() }
        if state == .ok { log.notice("spill on disk again") }
    }
}
