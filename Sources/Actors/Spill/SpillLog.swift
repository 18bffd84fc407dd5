import DequeModule
import Logging
import Pipeline

/// The durable queue of one stream: batches go in once, each reader (output) takes them out at its own pace.
///
/// - Owns: the folder `<directory>/<name>/` with its segments and cursors, and the newest records in memory.
/// - Receives: `append` from the batcher; `next`, `resolve`, `demote` from one sender per reader.
/// - Sends: nothing; senders wait in `next`.
/// - Started by the supervisor through `run`, which opens the folder, then commits and cleans up.
/// - Stops when `run` is cancelled: what is unacknowledged is on disk and synced when it returns.
///
/// It promises: a batch leaves only when acknowledged or dropped with a counted reason; the balance of every reader is
/// exact at every moment and across restarts. It refuses to: exit, wipe, follow links, or wait for the disk in
/// `append`. Order of durability: data, then cursor, then removal of acknowledged segments. An evicted segment is
/// removed first, since the disk may be too full for a cursor; should the cursor be lost then, the gap is counted once
/// more at reading.
public actor SpillLog {
    public nonisolated let name: String
    let folder: String
    var settings: SpillSettings
    let disk: any Disk
    let clock: any Clock
    let syncThread: SyncThread
    let log: Logger
    private let diskLoop: WorkLoop
    var random: AnyGenerator

    public nonisolated var unownedExecutor: UnownedSerialExecutor { diskLoop.asUnownedSerialExecutor() }

    // The stream.
    var state = SpillState.starting
    var instance: InstanceID?
    /// Whether what is on disk has been read. False while the folder could not be opened.
    var isRecovered = false
    /// Batches that came before the folder was opened, and what of them did not fit.
    private var early: [Batch] = []
    private var earlyBytes = 0
    private var earlyLost = (batches: UInt64(0), points: UInt64(0))
    var end = StreamPosition.origin
    /// Records before it are in files (or nobody needs them); before `durableEnd` they are synced.
    var writtenEnd = StreamPosition.origin
    var durableEnd = StreamPosition.origin
    /// The newest records, without a gap in their numbers.
    var tail: Deque<StoredBatch> = []
    var tailBytes = 0

    // The files.
    /// Oldest first. The active one is the last, when it has a descriptor and no seal.
    var segments: [SegmentFile] = []
    /// Files whose records are being written anew after a failed sync.
    var condemned: [String] = []
    var dirtyBytes = 0
    var firstDirty: Instant?
    var needsDirectorySync = false
    /// Descriptors that the sync thread holds at this moment, and those to close when it is done.
    var syncing: Set<Int32> = []
    var closing: [Int32] = []
    var isCommitting = false
    var commitWaiters: [CheckedContinuation<Void, Never>] = []
    /// Counts abandonments, so that a sync that was under way does not vouch for files given up meanwhile.
    var abandonments = 0
    var failures = 0

    // The readers, by file name.
    var readers: [String: ReaderState] = [:]
    var lastPublication: Instant?
    /// Publications so far; the first few come sooner.
    var publications = 0

    // Trouble.
    var memoryReason = DropReason.memoryFull
    var probeAttempts = 0
    var nextProbe: Instant?
    var nextHousekeeping = Instant.zero
    var clockIsBehind = false
    var verdicts: [RecoveryVerdict: Int] = [:]
    var lastError: String?
    var lastSync: Duration?
    var quarantinedBytes = 0
    var isStopping = false
    var signal: AsyncStream<Void>.Continuation?
    /// Until when `run` sleeps.
    private var sleepsUntil = Instant.zero
    /// The readers that the configuration has, by file name.
    var configured: [String]
    var openWaiters: [AsyncStream<Void>.Continuation] = []
    var waiterNumber: UInt64 = 0

    /// - Parameter directory: the spill root; the stream's folder is made in it. The caller holds its `DirectoryLock`.
    public init(
        name: String, directory: String, settings: SpillSettings, readers: [String], disk: any Disk = LinuxDisk(),
        diskLoop: WorkLoop, syncLoop: WorkLoop, clock: any Clock,
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator()
    ) {
        self.name = name
        folder = directory + "/" + SpillFiles.sanitised(name)
        self.settings = settings
        configured = readers.map(SpillFiles.sanitised)
        self.disk = disk
        self.diskLoop = diskLoop
        self.clock = clock
        self.random = AnyGenerator(base: random)
        syncThread = SyncThread(disk: disk, loop: syncLoop, clock: clock)
        var log = Logger(label: "spill")
        log[metadataKey: "stream"] = "\(name)"
        self.log = log
    }

    // MARK: Life

    /// Opens the folder, serves until cancelled, then leaves everything that is pending on disk.
    public func run() async throws {
        open()
        while !Task.isCancelled {
            await sleep(until: nextDeadline())
            if Task.isCancelled { break }
            await turn()
        }
        await stop()
    }

    /// Returns when the folder has been opened (or found unusable): `next` and `status` speak the truth from then on.
    public func ready() async {
        while state == .starting, !Task.isCancelled {
            let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
            openWaiters.append(continuation)
            for await _ in stream { break }
        }
    }

    /// Opens once; a restarted `run` goes on with what is in memory.
    func open() {
        isStopping = false
        guard state == .starting else { return }
        nextHousekeeping = clock.now
        if settings.mode == .off {
            startEmpty()
            state = .off
        } else {
            recover(configured: configured)
        }
        appendEarly()
        for waiter in openWaiters { waiter.finish() }
        openWaiters = []
        for key in readers.keys { wake(key) }
    }

    /// The readers of a stream of which nothing is known.
    func startEmpty() {
        instance = InstanceID(random: &random)
        for key in configured where readers[key] == nil { readers[key] = ReaderState(PendingSet(from: end)) }
    }

    private func sleep(until deadline: Instant) async {
        guard deadline > clock.now else { return }
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        signal = continuation
        sleepsUntil = deadline
        if clock as? WorkLoop === diskLoop {
            // On its own clock a timer of the thread does, in place of a group of two tasks.
            let timer = diskLoop.schedule(at: deadline) { continuation.yield() }
            for await _ in stream { break }
            diskLoop.cancelTimer(timer)
        } else {
            // The only error is cancellation, which the caller looks for.
            _ = try? await clock.withDeadline(deadline) { for await _ in stream { break } }
        }
        signal = nil
        continuation.finish()
    }

    /// Wakes `run` when there is something to do before the moment it sleeps for, or so soon that this wake-up of the
    /// thread can serve for it.
    func nudge() {
        guard let signal else { return }
        let deadline = nextDeadline()
        if deadline < sleepsUntil || deadline <= clock.now + slack { signal.yield() }
    }

    /// Hot reload of the limits. The mode stays until the next start.
    public func configure(_ new: SpillSettings) {
        let mode = settings.mode
        settings = new
        settings.mode = mode
        trimTail()
        nextHousekeeping = clock.now
        for key in readers.keys { wake(key) }
        signal?.yield()
    }

    // MARK: The batcher's side

    /// Takes a sealed batch. Never fails and never waits for a sync: on an unusable disk the batch stays in memory, and
    /// what does not fit there is dropped, oldest first, and counted.
    public func append(_ batch: Batch) {
        guard batch.pointCount > 0 else { return }
        guard state != .starting else {
            keepEarly(batch)
            return
        }
        let stored = StoredBatch(sequence: end.sequence, pointsBefore: end.points, batch: batch)
        end = stored.span.end
        guard batch.payload.count <= RecordHeader.payloadLimit, batch.pointCount <= UInt32.max else {
            dropEverywhere(stored.span, .undeliverable)
            flushTailForGap()
            return
        }
        tail.append(stored)
        tailBytes += batch.payload.count
        switch settings.mode {
        case .always: writePending()
        case .onFailure: if unwrittenOverflows { writePending() }
        case .off: break
        }
        trimTail()
        for key in readers.keys { wake(key) }
    }

    private func keepEarly(_ batch: Batch) {
        early.append(batch)
        earlyBytes += batch.payload.count
        while earlyBytes > settings.memoryBytes, early.count > 1 {
            let lost = early.removeFirst()
            earlyBytes -= lost.payload.count
            earlyLost.batches &+= 1
            earlyLost.points = earlyLost.points.addingSaturated(UInt64(clamping: lost.pointCount))
        }
    }

    /// What came before the folder was opened, the lost ones first: they have numbers, so that they count.
    private func appendEarly() {
        if earlyLost.batches > 0 {
            let start = end
            end.sequence = end.sequence.addingSaturated(earlyLost.batches)
            end.points = end.points.addingSaturated(earlyLost.points)
            dropEverywhere(StreamSpan(start, end), .memoryFull)
            flushTailForGap()
        }
        let waiting = early
        (early, earlyBytes, earlyLost) = ([], 0, (0, 0))
        for batch in waiting { append(batch) }
    }

    /// A number was used up by a batch that no record can hold; the tail must stay without gaps.
    private func flushTailForGap() {
        writePending()
        if writtenEnd.sequence >= (tail.last?.span.end.sequence ?? 0) {
            tail.removeAll()
            tailBytes = 0
            writtenEnd = end
        } else {
            // Nothing can be written: an empty place-holder keeps the numbers dense; it is pending for nobody.
            tail.append(
                StoredBatch(
                    sequence: end.sequence &- 1, pointsBefore: end.points,
                    batch: Batch(pointCount: 0, newest: .zero, codec: .identity, payload: [])))
        }
    }
}
