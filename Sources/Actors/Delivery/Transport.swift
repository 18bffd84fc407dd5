import Pipeline

/// Code that carries a batch over one road and says what became of it.
///
/// Errors: none are thrown; every end is a `DeliveryOutcome`. Cancellation ends a call soon, with an outcome that is
/// not final.
public protocol Transport: Sendable {
    /// Sends the bytes of `batch` as they are.
    func send(_ batch: Batch, id: BatchID, deadline: Instant) async -> DeliveryOutcome
    /// A cheap question whether the road is passable.
    func probe(deadline: Instant) async -> ProbeOutcome
    /// The same for those who want to know more than good or bad.
    func ping(deadline: Instant) async -> PingAnswer
    /// What the transport does by itself while its output lives, such as serving; returns at once where that is
    /// nothing. Ends on cancellation.
    func run() async throws
    /// Whether a person has touched the secrets since they were last used.
    func secretState() async -> SecretState
    /// For a road that knows by itself whether it is passable: nil when it was not found closed, or was asked already;
    /// true once after it has come back.
    func isRoadBack() async -> Bool?
}

extension Transport {
    public func ping(deadline: Instant) async -> PingAnswer { .probed(await probe(deadline: deadline)) }
    public func run() async throws {}
    public func secretState() async -> SecretState { .fixed }
    public func isRoadBack() async -> Bool? { nil }
}

/// What became of the secrets that a transport uses.
public enum SecretState: Sendable, Hashable {
    /// They stand in the configuration, or there are none.
    case fixed
    /// They stand in files, as they were when they were last used.
    case used
    /// A file is another one now.
    case new
}

/// A way to a destination: what carries over it, and its name.
public struct Route: Sendable {
    /// As the configuration names it: `direct`, `metadata`, `proxy:…`. Unique within one output.
    public var id: String
    public var transport: any Transport
    /// Nothing is sent before a probe was good: a stranger may answer at that address.
    public var needsProof: Bool

    public init(id: String, transport: any Transport, needsProof: Bool = false) {
        self.id = id
        self.transport = transport
        self.needsProof = needsProof
    }
}

/// Where a sender's batches come from: the spill log, or a list in tests.
///
/// A batch that `next` gave stays outstanding until it is resolved or demoted; there is at most one in each lane.
public protocol BatchSource: Actor {
    /// The next pending batch of the lane; waits for one, until the task is cancelled.
    func next(for reader: String, lane: Lane) async throws -> StoredBatch
    /// The destination has decided: so many points are there, it refused so many; what is left cannot be sent.
    func resolve(_ sequence: UInt64, for reader: String, delivered: Int, rejected: Int)
    /// The outstanding live batch failed: it and all pending live batches join the backlog.
    func demote(reader: String)
}
