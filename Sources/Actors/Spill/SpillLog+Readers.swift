import Pipeline

/// The senders' side: who reads, what they take, and what became of it.
extension SpillLog {
    /// The next pending batch of a lane; waits until there is one. At most one is outstanding in a lane: until it is
    /// resolved (or demoted), every call gives the same one.
    /// Errors: `CancellationError` only.
    public func next(for reader: String, lane: Lane) async throws -> StoredBatch {
        let key = SpillFiles.sanitised(reader)
        while true {
            try Task.checkCancellation()
            switch fetch(key, lane) {
            case .batch(let batch): return batch
            case .again: continue
            case .retry:
                try await clock.sleep(for: settings.readRetryDelay)
                readers[key]?.isRetrying = true
            case .nothing: await wait(key)
            }
        }
    }

    /// What became of a batch: `delivered` and `rejected` points; what the two leave over counts as undeliverable. Stale
    /// calls are ignored.
    public func resolve(_ sequence: UInt64, for reader: String, delivered: Int, rejected: Int) {
        let key = SpillFiles.sanitised(reader)
        guard var entry = readers[key], let lane = entry.outstanding.first(where: { $0.value.sequence == sequence })
        else { return }
        // Taken out while changed, so that nothing is copied.
        readers[key] = nil
        for other in Lane.allCases where entry.outstanding[other]?.sequence == sequence {
            entry.outstanding[other] = nil
        }
        let taken = UInt64(clamping: delivered)
        entry.pending.acknowledge(
            lane.value.span, delivered: taken, rejected: UInt64(clamping: rejected), end: end)
        readers[key] = entry
        trimTail()
        wake(key)
        nudge()
    }

    /// The live batch could not be sent: everything pending beyond the frontier joins the backlog, and the live lane
    /// goes on with what is sealed from now on. Without effect in strict order, and when the backlog has too many
    /// parts.
    public func demote(reader: String) {
        let key = SpillFiles.sanitised(reader)
        guard !settings.isStrict(key), readers[key]?.pending.demote(end: end) == true else { return }
        readers[key]?.outstanding[.live] = nil
        if settings.mode == .onFailure { writePending() }
        trimTail()
        wake(key)
        signal?.yield()
    }

    /// Hot reload. A reader that goes keeps its backlog as an orphan; one that comes back takes it up again; a new one
    /// begins now.
    public func setReaders(_ names: [String]) {
        configured = names.map(SpillFiles.sanitised)
        guard state != .starting else { return }
        for key in readers.keys where !configured.contains(key) {
            readers[key]?.pending.pause(end: end)
            readers[key]?.outstanding = [:]
        }
        for key in configured {
            if readers[key] == nil {
                readers[key] = ReaderState(PendingSet(from: end))
            } else {
                readers[key]?.pending.resume(end: end)
            }
            wake(key)
        }
        trimTail()
        signal?.yield()
    }

    /// Whether a reader has something to take still.
    public func hasPending(for reader: String) -> Bool {
        guard let pending = readers[SpillFiles.sanitised(reader)]?.pending else { return false }
        return pending.backlogBatches > 0 || !pending.live(end: end).isEmpty
    }

    // MARK: Waiting

    private func wait(_ key: String) async {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        waiterNumber &+= 1
        let number = waiterNumber
        if readers[key] == nil {
            openWaiters.append(continuation)
        } else {
            readers[key]?.waiters[number] = continuation
        }
        for await _ in stream { break }
        readers[key]?.waiters[number] = nil
    }

    func wake(_ key: String) {
        for waiter in readers[key]?.waiters.values ?? [:].values { waiter.finish() }
        if !openWaiters.isEmpty {
            for waiter in openWaiters { waiter.finish() }
            openWaiters = []
        }
    }
}
