import Glibc
import Pipeline

/// The forwards of a tunnel, and what they share: memory, further sessions, ports that an earlier session holds.
extension Tunnel {
    /// Puts `specs` in the place of the forwards so far. What did not change goes on untouched.
    public func configure(forwards specs: [ForwardSpec]) {
        for forward in forwards where !specs.contains(where: { $0.carriesOn(forward.spec) }) { forward.close(link) }
        forwards = specs.map { spec in
            if let same = forwards.first(where: { spec.carriesOn($0.spec) }) {
                same.adopt(spec, link)
                return same
            }
            let forward = spec.kind == .local ? LocalForward(spec, surroundings) : RemoteForward(spec, surroundings)
            if isReady, let link { forward.begin(link) }
            return forward
        }
        if isReady, let link, spec.takesOverPorts, presentHolder == nil, specs.contains(where: { $0.kind == .remote }) {
            learnHolder(link)
        }
    }

    /// Whether something can go over a road through this tunnel now.
    public func condition(of road: TunnelRoad) -> RoadCondition {
        guard isReady else { return .down(lastFailure) }
        guard let forward = forwards.first(where: { $0.spec.isInternal && $0.spec.target == road.target }) else {
            return .down(TunnelFailure(.stopped, "the route was taken away"))
        }
        if forward.tracker.state == .down, let reason = forward.tracker.reason {
            return .down(TunnelFailure(reason, forward.tracker.message))
        }
        return .up(failure: forward.lastFailure?.failure, at: forward.lastFailure?.at ?? loop.now)
    }

    /// Unowned is safe: a forward is held by its tunnel alone and acts on the loop only, and what calls it there (its
    /// timers, listener, dials and requests, all weak) ends with the session, before `run` does; a tunnel that was never
    /// run never began a forward. A strong reference would keep every tunnel that a reload took away.
    private var surroundings: ForwardSurroundings {
        ForwardSurroundings(
            tunnel: spec.name, loop: loop, timing: spec.timing, limits: spec.limits,
            changed: { [unowned self] spec, tracker in report(spec, tracker) },
            link: { [unowned self] target in openLink(for: target) },
            takeOver: { [unowned self] id in takeOver(for: id) },
            lookUp: { [unowned self] place, id in lookUp(place, for: id) },
            joined: { [unowned self] in watchConnections() },
            serverAddress: { [unowned self] in serverAddress })
    }

    private func report(_ forward: ForwardSpec, _ tracker: StateTracker) {
        guard tracker.state != .connecting, tracker.reason != .stopped else { return }
        // A session that is down says so itself, once.
        if tracker.state == .down, !isReady { return }
        log.log(
            level: tracker.state == .up ? .notice : .warning, "forward \(tracker.state.rawValue)",
            metadata: [
                "tunnel": "\(spec.name)", "forward": "\(forward.id)", "bind": "\(forward.bind)",
                "target": "\(forward.target)", "reason": "\(tracker.reason?.rawValue ?? "")",
                "error": "\(tracker.message)",
            ])
    }

    // MARK: Sessions

    /// The session on which a connection to `target` is best opened: where one to it is already slow, behind that one;
    /// else where none is.
    func openLink(for target: SocketPlace) -> SSHLink? {
        guard isReady, let link else { return nil }
        let links = [link] + sideLinks
        let now = loop.now
        var free: SSHLink?
        for candidate in links {
            let slow = candidate.opener.slowTarget(now)
            if slow == target { return candidate }
            if slow == nil, free == nil { free = candidate }
        }
        return free ?? link
    }

    // MARK: Names

    /// Asks a name server on a thread that may block, for a forward.
    func lookUp(_ place: NetworkPlace, for forward: String) {
        threads.post { [self, loop] in
            let found = KernelAddress.resolve(place, isNumeric: false)
            loop.post { self.assumeIsolated { $0.found(found, for: forward) } }
        }
    }

    private func found(_ addresses: [KernelAddress], for id: String) {
        for forward in forwards where forward.spec.id == id { (forward as? RemoteForward)?.didLookUp(addresses) }
    }

    // MARK: Memory

    /// Every second, and ten times as often while too much waits: the bounds that libssh2 does not keep by itself, and
    /// connections that nobody ends. Only while there are any: a session without connections wakes nobody.
    func watchConnections() {
        guard !isWatching, let link else { return }
        isWatching = true
        link.after(link.isPressed ? .milliseconds(100) : .seconds(1)) { [self] link in
            isWatching = false
            checkMemory()
            let isBusy = link.isPressed || !sideLinks.isEmpty || forwards.contains { !$0.streams.isEmpty }
            if isBusy { watchConnections() }
        }
    }

    /// Too much waits in memory: a connection that does not move is closed; while all move, the server is read no
    /// further until they have caught up.
    private func checkMemory() {
        let streams = forwards.flatMap { $0.streams.values }
        for stream in streams where stream.isHalfClosed {
            if loop.now - stream.lastProgress > spec.timing.halfClosedLimit { stream.breakOff() }
        }
        let queued = streams.map { ($0, $0.queuedBytes) }
        let total = queued.reduce(0) { $0.addingSaturated($1.1) }
        for each in sideLinks + (link.map { [$0] } ?? []) { each.countQueued() }
        let limit = spec.limits.queuedBytes
        let stuck = queued.filter { loop.now - $0.0.lastProgress > .seconds(2) }
        if total > limit, let worst = stuck.max(by: { $0.1 < $1.1 })?.0 {
            log.warning(
                "connection closed: its slow side leaves too much waiting",
                metadata: ["tunnel": "\(spec.name)", "queued_bytes": "\(total)"])
            worst.breakOff()
        }
        let isPressed = total > limit || link?.isPressed ?? false && total > limit / 2
        for each in sideLinks + (link.map { [$0] } ?? []) { each.isPressed = isPressed }
        for side in sideLinks {
            if side.isIdle {
                side.idleSeconds += 1
                if side.idleSeconds > 60 { side.end(TunnelFailure(.stopped, "")) }
            } else {
                side.idleSeconds = 0
            }
        }
    }
}
