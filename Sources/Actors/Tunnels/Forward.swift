import CSSH2
import Glibc
import Pipeline

/// What a forward needs from its tunnel.
struct ForwardSurroundings {
    let tunnel: String
    let loop: WorkLoop
    let timing: TunnelTiming
    let limits: TunnelLimits
    /// Says that a state has changed, for the log.
    let changed: (ForwardSpec, StateTracker) -> Void
    /// The session on which a connection to a target is best opened; nil while there is none.
    let link: (SocketPlace) -> SSHLink?
    /// Ends what an earlier session of ours left at the server; the forward of this id gets `didTakeOver`.
    let takeOver: (String) -> Void
    /// Asks a name server; the forward of this id gets `didLookUp`.
    let lookUp: (NetworkPlace, String) -> Void
    /// A connection was joined.
    let joined: () -> Void
    /// The server's own address of the session; empty while it is not known.
    let serverAddress: () -> String
}

/// One forward of a tunnel over all its sessions: set up anew with each, with its state, reason and counters.
///
/// Used on the tunnel's loop only. The two kinds differ in who listens; the connections are the same.
class Forward {
    private(set) var spec: ForwardSpec
    let around: ForwardSurroundings
    let counters = StreamCounters()
    var tracker: StateTracker
    var port: UInt16?
    private(set) var streams: [ObjectIdentifier: SSHStream] = [:]
    private var probeTimer: UInt64?
    /// Why the last connection did not reach the target, and when; nil when it did.
    private(set) var lastFailure: (failure: TunnelFailure, at: Instant)?
    private var jitter: JitterSource
    /// A probe is under way.
    private var isProbing = false

    init(_ spec: ForwardSpec, _ around: ForwardSurroundings) {
        self.spec = spec
        self.around = around
        tracker = StateTracker(now: around.loop.now)
        jitter = JitterSource(seed: spec.id.utf8.reduce(5_381) { $0 &* 33 &+ UInt64($1) })
    }

    /// A new session stands.
    func begin(_ link: SSHLink) { become(.connecting) }

    /// The session is gone, with all its connections and listeners at the server.
    func end(_ failure: TunnelFailure) {
        stopProbing()
        become(failure.reason == .stopped ? .pending : .down, failure.reason, failure.message)
    }

    /// The forward itself is taken away, while the session goes on.
    func close(_ link: SSHLink?) {
        end(TunnelFailure(.stopped, ""))
        for stream in streams.values { stream.breakOff() }
    }

    /// Tries it from end to end; `didProbe` is called once with what came of it, unless the session ends before.
    func probe(_ link: SSHLink) {}

    // MARK: For both kinds

    func become(_ state: TunnelState, _ reason: TunnelReason? = nil, _ message: String = "") {
        if tracker.become(state, reason, message, now: around.loop.now) { around.changed(spec, tracker) }
    }

    func noteSuccess() {
        lastFailure = nil
        if tracker.succeeded(now: around.loop.now) { around.changed(spec, tracker) }
    }

    func noteFailure(_ failure: TunnelFailure) {
        lastFailure = (failure, around.loop.now)
        counters.failures = counters.failures.addingSaturated(1)
        if tracker.failed(failure.reason, failure.message, now: around.loop.now) { around.changed(spec, tracker) }
    }

    var hasRoom: Bool { streams.count < around.limits.connections }

    /// Joins a channel and a local socket.
    func join(_ channel: SSHChannel, _ descriptor: Int32) {
        SocketOptions.prepareConnection(descriptor)
        let stream = SSHStream(channel: channel, descriptor: descriptor, counters: counters)
        let id = ObjectIdentifier(stream)
        streams[id] = stream
        // A stream that is broken off outlives the forward until its channel is closed.
        stream.didFinish = { [weak self] in self?.streams[id] = nil }
        channel.link.add(stream)
        around.joined()
    }

    // MARK: Probes

    /// Is probed as `spec` says from now on; what the old probe has found is forgotten, the connections stay.
    func adopt(_ spec: ForwardSpec, _ link: SSHLink?) {
        guard spec != self.spec else { return }
        self.spec = spec
        guard let link, link.isAlive, tracker.state == .up || tracker.state == .degraded else { return }
        if tracker.state == .degraded { become(.up) }
        startProbing(link)
    }

    /// Probes begin with the listener. Their distances differ a little, so that many forwards do not keep step.
    func startProbing(_ link: SSHLink) {
        stopProbing()
        guard spec.probe != .none else { return }
        probe(link, after: .milliseconds(200 + Int(jitter.next() % 600)))
    }

    private func probe(_ link: SSHLink, after delay: Duration) {
        probeTimer = around.loop.schedule(at: around.loop.now + delay) { [weak self] in
            guard let self else { return }
            probeTimer = nil
            guard link.isAlive else { return }
            if !isProbing {
                isProbing = true
                probe(link)
            }
            probe(link, after: spec.probeEvery * (0.9 + Double(jitter.next() % 200) / 1_000))
        }
    }

    /// A probe came to its end.
    func didProbe(_ failure: TunnelFailure?) {
        isProbing = false
        guard failure?.reason != .sessionLost, failure?.reason != .stopped else { return }
        lastFailure = failure.map { ($0, around.loop.now) }
        if tracker.probed(failure, now: around.loop.now) { around.changed(spec, tracker) }
    }

    /// Asks over a channel that leads to the target, if this forward's probe asks anything.
    func converse(_ channel: SSHChannel, _ done: @escaping (TunnelFailure?) -> Void) {
        let request = spec.probe.request(to: spec.target)
        guard !request.isEmpty else {
            channel.discard()
            return done(nil)
        }
        channel.link.add(
            SSHQuestion(channel.handle, request, within: around.timing.targetDial) { [probe = spec.probe] result in
                switch result {
                case .success(let reply): done(probe.complaint(about: reply))
                case .failure(let failure): done(failure)
                }
            })
    }

    private func stopProbing() {
        if let probeTimer { around.loop.cancelTimer(probeTimer) }
        probeTimer = nil
        isProbing = false
    }

    var status: ForwardStatus {
        let now = around.loop.now
        var status = ForwardStatus(
            id: spec.id, tunnel: around.tunnel, kind: spec.kind, bind: "\(spec.bind)", target: "\(spec.target)")
        status.isInternal = spec.isInternal
        status.state = tracker.state
        status.reason = tracker.reason
        status.message = tracker.message
        status.since = now - tracker.since
        status.lastOK = tracker.lastOK.map { now - $0 }
        status.restarts = tracker.restarts
        status.port = port
        status.openConnections = counters.open
        status.connections = counters.connections
        status.failures = counters.failures
        status.sentBytes = counters.sent
        status.receivedBytes = counters.received
        return status
    }
}

/// Listens here; the server connects to the target (`ssh -L`). Without a session nobody listens, so a client is refused
/// at once and can take another way.
final class LocalForward: Forward {
    private var listener: LocalListener?
    private var retry: UInt64?

    override func begin(_ link: SSHLink) {
        super.begin(link)
        listen(link)
    }

    private func listen(_ link: SSHLink) {
        let listener = LocalListener(spec.bind, loop: around.loop) { [weak self] in self?.accepted($0) }
        do throws(TunnelFailure) {
            try listener.open()
        } catch {
            become(.down, error.reason, error.message)
            retry = link.after(.seconds(5)) { [weak self] link in
                guard let self else { return }
                retry = nil
                listen(link)
            }
            return
        }
        self.listener = listener
        port = listener.port
        become(.up)
        startProbing(link)
    }

    private func accepted(_ descriptor: Int32) {
        guard hasRoom, let link = around.link(spec.target) else {
            Glibc.close(descriptor)
            return noteFailure(TunnelFailure(.targetTimeout, "too many connections"))
        }
        let request = SSHOpener.Request.direct(to: spec.target, window: around.limits.windowBytes) {
            [weak self] result in
            guard let self else {
                Glibc.close(descriptor)
                if case .success(let channel) = result { channel.discard() }
                return
            }
            switch result {
            case .success(let channel):
                noteSuccess()
                join(channel, descriptor)
            case .failure(let failure):
                Glibc.close(descriptor)
                noteFailure(failure)
            }
        }
        link.opener.open(link, request, within: around.timing.targetDial)
    }

    override func probe(_ link: SSHLink) {
        if let orphan = listener, orphan.isOrphaned {
            orphan.close()
            listener = nil
            return listen(link)
        }
        guard let link = around.link(spec.target) else { return didProbe(TunnelFailure(.stopped, "")) }
        let request = SSHOpener.Request.direct(to: spec.target, window: 1_024) { [weak self] result in
            guard let self else {
                if case .success(let channel) = result { channel.discard() }
                return
            }
            switch result {
            case .success(let channel): converse(channel) { [weak self] in self?.didProbe($0) }
            case .failure(let failure): didProbe(failure)
            }
        }
        link.opener.open(link, request, within: around.timing.targetDial)
    }

    override func end(_ failure: TunnelFailure) {
        listener?.close()
        listener = nil
        if let retry { around.loop.cancelTimer(retry) }
        retry = nil
        super.end(failure)
    }
}
