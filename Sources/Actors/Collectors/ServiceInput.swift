import Pipeline

/// An input with a life of its own: it emits when data come, beside or instead of being gathered.
///
/// It is one child of the supervisor like every input: `serve` runs as long as the input does, and what it throws
/// restarts it. A reload that does not change the input leaves it, and its sockets, alone.
public protocol ServiceInput: Collector {
    /// Serves until cancelled, and cleans up then. Points go through `emitter`, which takes its time when the batcher is
    /// behind: who reads from outside must not read on meanwhile.
    /// Errors: what deserves a restart, such as an address that cannot be had.
    func serve(_ emitter: any SampleEmitter) async throws
    /// Whether `gather` is called at the ticks of the interval too (and once more at the end).
    nonisolated var isGathered: Bool { get }
}

extension ServiceInput {
    public nonisolated var isGathered: Bool { false }

    public func gather(at time: Timestamp, now: Instant, deadline: Instant) async -> Gather { Gather() }
}

/// Where a service input hands over what has come.
public protocol SampleEmitter: Sendable {
    /// Hands points over and returns when the batcher has them; with `sealing` when they are in the spill log. Waits no
    /// longer than until `deadline`: they may be taken all the same then, and count as `lost`.
    func emit(_ samples: SampleSet, sealing: Bool, until deadline: Instant) async -> Handover
    /// Counts what went wrong outside of a gather and logs it, at a bounded rate.
    func report(_ errors: [String]) async
    /// Runs work on data from outside in the name of this input: a crash in it is blamed on the input.
    func attributed<Result>(_ work: () throws -> Result) rethrows -> Result
}

extension SampleEmitter {
    /// Hands points over however long it takes; tries again while the batcher has no room. Returns when they were taken,
    /// or when the task is cancelled.
    func emit(_ samples: SampleSet, patientlyWith clock: any Clock) async {
        guard !samples.isEmpty else { return }
        while !Task.isCancelled {
            if await emit(samples, sealing: false, until: .distantFuture) == .taken { return }
            guard (try? await clock.sleep(for: .milliseconds(100))) != nil else { return }
        }
    }
}
