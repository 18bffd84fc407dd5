import Glibc
import Logging
import Pipeline

/// One SSH session to one server, with everything that runs over it, made anew whenever it ends.
///
/// Owns: the session, its forwards and their connections. Receives: `configure` from a reload, `openStream` from a
/// tunnel that goes through this one. Sends: log lines, one a change of state. Started by: the supervisor, through
/// `run`. Stops: on cancellation, at once; the server is told, so that its ports are free.
///
/// It reconnects by itself and for ever (`ReconnectSchedule`); `run` throws nothing but the end of its task. All of it
/// lives on the I/O loop. While it waits for a server it holds up nobody: every phase has a deadline.
public actor Tunnel {
    public nonisolated let spec: TunnelSpec
    nonisolated let loop: WorkLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    let threads: BlockingThreads
    let log: Logger
    /// The tunnel that this one goes through.
    let via: Tunnel?
    var forwards: [Forward] = []
    var link: SSHLink?
    /// Further sessions, made when the first one is stuck in an open request that the server does not answer.
    var sideLinks: [SSHLink] = []
    /// A session that is being set up, with the judge of its host key.
    var newSession: (link: SSHLink, judge: HostKeyJudge)?
    /// Ended by a stop, since nobody would close what it connects later.
    var dialing: Dialer?
    var isReady = false
    var tracker: StateTracker
    /// Why the session that is about to begin must not, found out after its key was accepted.
    var refusal: TunnelFailure?
    /// The kind of host key that a pin turned out to be of.
    var pinnedType: String?
    /// Why there was no session the last time; nil while there is one.
    private(set) var lastFailure: TunnelFailure?
    var outcome = SSHSetup.Outcome(method: "", fingerprint: "")
    /// Whether a host key that `accept-new` takes is written down.
    var keepsNewKeys = true
    /// The processes of the server that served us, the present one last; for a port that one of them still holds.
    var holders: [RemoteHolder] = []
    var presentHolder: RemoteHolder?
    /// Keeps `holders` over a restart of the agent.
    let holderFile: HolderFile?
    private let crowd: SharedCrowd?
    /// The server's own address of the session; empty while it is not known.
    var serverAddress = ""
    /// Connections are looked at every second.
    var isWatching = false
    private var schedule: ReconnectSchedule
    private var isStopping = false
    var nextTry: Instant?
    /// Ends whatever the tunnel waits for just now.
    private var interrupt: ((TunnelFailure) -> Void)?
    private var wakePause: (() -> Void)?
    private var dependents: [Tunnel] = []
    /// Waits for files and names, by ticket.
    var tickets: [ObjectIdentifier: (Result<TunnelMaterial, TunnelFailure>) -> Void] = [:]
    /// What connections of tunnels through this one count.
    let streamCounters = StreamCounters()
    /// What `session` waits for; set while it does.
    private var nextEvent: ((Result<Event, TunnelFailure>) -> Void)?

    /// - Parameters:
    ///   - via: the tunnel to go through; nil for a server that is reached directly.
    ///   - crowd: all tunnels that may try at once; nil for one that is alone.
    ///   - holders: where the processes of earlier sessions are kept; nil for nowhere.
    ///   - seed: of the waits between tries.
    public init(
        spec: TunnelSpec, via: Tunnel?, loop: WorkLoop, threads: BlockingThreads, crowd: SharedCrowd? = nil,
        holders: HolderFile? = nil, seed: UInt64, log: Logger
    ) {
        self.spec = spec
        self.via = via
        self.loop = loop
        self.threads = threads
        self.log = log
        self.crowd = crowd
        holderFile = holders
        self.holders = holders?[HolderBook.Owner(spec)] ?? []
        tracker = StateTracker(now: loop.now)
        schedule = ReconnectSchedule(timing: spec.timing, seed: seed)
    }

    // MARK: Life

    /// Holds the session until cancelled.
    public func run() async throws {
        isStopping = false
        await via?.add(dependent: self)
        await withTaskCancellationHandler {
            if let start = crowd?.join(now: loop.now), start > .zero { await pause(start) }
            while !isStopping {
                let failure = await session()
                if isStopping { break }
                lastFailure = failure
                var wait = schedule.ended(now: loop.now, needsOperator: failure.reason.needsOperator)
                if wait == .zero { wait = crowd?.join(now: loop.now) ?? .zero }
                nextTry = loop.now + wait
                note(.down, failure)
                if wait > .zero { await pause(wait) }
                nextTry = nil
            }
        } onCancel: {
            loop.post { self.assumeIsolated { $0.stop() } }
        }
        await via?.remove(dependent: self)
        note(.pending, TunnelFailure(.stopped, ""))
        try Task.checkCancellation()
    }

    func stop() {
        isStopping = true
        let failure = TunnelFailure(.stopped, "")
        for side in sideLinks { side.end(failure) }
        link?.end(failure)
        newSession?.link.end(failure)
        dialing?.cancel(failure)
        interrupt?(failure)
        wakePause?()
    }

    /// What a session that stands may ask for.
    private enum Event: Sendable {
        case ended(TunnelFailure)
        /// Connections wait behind one that the server takes long over: they need a session of their own.
        case needsHelp
    }

    /// One session from the first packet to its end. Returns why it ended.
    private func session() async -> TunnelFailure {
        note(.connecting, nil)
        do throws(TunnelFailure) {
            let link = try await connect()
            schedule.connected(now: loop.now)
            begin(link)
            while true {
                let event: Event = try await wait { done in
                    if let failure = link.failure { return done(.success(.ended(failure))) }
                    nextEvent = done
                }
                nextEvent = nil
                switch event {
                case .ended(let failure): return failure
                case .needsHelp: await addSide()
                }
            }
        } catch {
            link?.end(error)
            return error
        }
    }

    /// A further session for connections that would wait behind a slow one.
    private func addSide() async {
        guard sideLinks.count < 3, link != nil else { return }
        do throws(TunnelFailure) {
            let side = try await connect()
            sideLinks.append(side)
            adoptSide()
            log.debug("further session", metadata: ["tunnel": "\(spec.name)", "sessions": "\(sideLinks.count + 1)"])
        } catch {
            log.warning("no further session", metadata: ["tunnel": "\(spec.name)", "error": "\(error)"])
        }
    }

    /// Gives the newest further session what waits behind slow requests of the others.
    private func adoptSide() {
        guard let side = sideLinks.last else { return }
        guard isReady, let link else { return side.end(TunnelFailure(.stopped, "")) }
        let id = ObjectIdentifier(side)
        side.didEnd = { [self] _ in sideLinks.removeAll { ObjectIdentifier($0) == id } }
        side.opener.needsHelp = { [self] in nextEvent?(.success(.needsHelp)) }
        watchConnections()
        link.opener.handOver(to: side, from: link)
        for other in sideLinks.dropLast() { other.opener.handOver(to: side, from: other) }
    }

    func begin(_ link: SSHLink) {
        if let refusal {
            self.refusal = nil
            return link.end(refusal)
        }
        self.link = link
        isReady = true
        lastFailure = nil
        // The link gives both up at its end.
        link.didEnd = { [self] failure in
            ended(failure)
            nextEvent?(.success(.ended(failure)))
        }
        link.opener.needsHelp = { [self] in nextEvent?(.success(.needsHelp)) }
        note(.up, nil)
        for forward in forwards { forward.begin(link) }
        for dependent in dependents { loop.post { dependent.assumeIsolated { $0.wakePause?() } } }
        if spec.takesOverPorts, forwards.contains(where: { $0.spec.kind == .remote }) { learnHolder(link) }
    }

    private func ended(_ failure: TunnelFailure) {
        isReady = false
        lastFailure = failure
        link = nil
        presentHolder = nil
        serverAddress = ""
        isWatching = false
        for side in sideLinks { side.end(failure) }
        sideLinks = []
        for forward in forwards { forward.end(failure) }
    }

    private func note(_ state: TunnelState, _ failure: TunnelFailure?) {
        if !isReady, state != .up {
            for forward in forwards where state == .connecting && forward.tracker.state == .pending {
                forward.become(.connecting)
            }
            if state == .down, let failure {
                for forward in forwards { forward.become(.down, failure.reason, failure.message) }
            }
        }
        guard tracker.become(state, failure?.reason, failure?.message ?? "", now: loop.now) else { return }
        let metadata: Logger.Metadata = [
            "tunnel": "\(spec.name)", "server": "\(spec.server)", "state": "\(state.rawValue)",
        ]
        switch state {
        case .up:
            log.notice(
                "tunnel up",
                metadata: metadata.merging([
                    "method": "\(outcome.method)", "hostkey": "\(outcome.fingerprint)",
                ]) { $1 })
        case .down:
            let failure = failure ?? TunnelFailure(.sessionLost, "")
            log.warning(
                "tunnel down",
                metadata: metadata.merging([
                    "reason": "\(failure.reason.rawValue)", "error": "\(failure.message)",
                ]) { $1 })
        default: log.debug("tunnel", metadata: metadata)
        }
    }

    // MARK: Waiting

    /// Waits for what `begin` starts; a stop ends it.
    func wait<Value: Sendable>(
        _ begin: (@escaping (Result<Value, TunnelFailure>) -> Void) -> Void
    ) async throws(TunnelFailure) -> Value {
        let result: Result<Value, TunnelFailure> = await withCheckedContinuation { continuation in
            let once = Once(continuation)
            guard !isStopping else { return once.finish(.failure(TunnelFailure(.stopped, ""))) }
            interrupt = { once.finish(.failure($0)) }
            begin { once.finish($0) }
        }
        interrupt = nil
        return try result.get()
    }

    /// Waits until the time has passed, a stop, or the tunnel that we go through is up again.
    private func pause(_ duration: Duration) async {
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            guard !isStopping else { return continuation.resume() }
            var timer: UInt64 = 0
            timer = loop.schedule(at: loop.now + duration) { [self] in wakePause?() }
            wakePause = { [self] in
                loop.cancelTimer(timer)
                wakePause = nil
                continuation.resume()
            }
        }
    }

    func add(dependent: Tunnel) { dependents.append(dependent) }
    func remove(dependent: Tunnel) { dependents.removeAll { $0 === dependent } }
}

/// Resumes a continuation with the first of several results.
private final class Once<Value: Sendable> {
    private var continuation: CheckedContinuation<Result<Value, TunnelFailure>, Never>?

    init(_ continuation: CheckedContinuation<Result<Value, TunnelFailure>, Never>) { self.continuation = continuation }

    func finish(_ result: Result<Value, TunnelFailure>) {
        let continuation = continuation
        self.continuation = nil
        continuation?.resume(returning: result)
    }
}
