import CSSH2
import Glibc
import Pipeline

/// The server listens; we connect to the target from here (`ssh -R`).
///
/// The protocol's refusal has no reason, so a refused port is examined: whether another port is granted, whether another
/// address is, and whether somebody answers there. A port that an earlier session of ours still holds is taken over.
final class RemoteForward: Forward {
    private var acceptor: SSHAcceptor?
    private var retry: UInt64?
    private var dials: [ObjectIdentifier: Dialer] = [:]
    private var addresses: (list: [KernelAddress], at: Instant)?
    /// Who waits for a name server.
    private var waiting: [([KernelAddress]) -> Void] = []
    private var lookupTimer: UInt64?
    private var requesting: SSHLink?
    private var retryDelay = Duration.seconds(3)
    /// Ends the probe under way with what became of the connection that it made.
    private var probed: ((TunnelFailure?) -> Void)?
    /// The connection that it made came here and reached the target.
    private var hasArrived = false
    /// Counts probes, so that a late answer settles none but its own.
    private var probeNumber: UInt64 = 0

    private var place: NetworkPlace {
        if case .tcp(let place) = spec.bind { return place }
        return NetworkPlace("localhost", 0)
    }

    override func begin(_ link: SSHLink) {
        super.begin(link)
        request(link)
    }

    private func request(_ link: SSHLink) {
        requesting = link
        link.requests.listen(link, at: place, within: around.timing.forwardRequest) { [weak self] result in
            guard let self else {
                if case .success(let granted) = result { link.requests.cancel(link, granted.listener) }
                return
            }
            switch result {
            case .success(let granted): serve(link, granted.listener, granted.port)
            case .failure(let failure):
                if link.isAlive, failure.reason == .forwardDenied { examine(link) }
            }
        }
    }

    private func serve(_ link: SSHLink, _ listener: OpaquePointer, _ port: UInt16) {
        self.port = port
        let acceptor = SSHAcceptor(listener: listener) { [weak self] channel in
            guard let self else { return link.add(SSHDiscard(channel)) }
            accepted(channel, link)
        }
        self.acceptor = acceptor
        link.add(acceptor)
        become(.up)
        startProbing(link)
    }

    // MARK: A refusal

    /// Another port at the same address, then an address that every server has.
    private func examine(_ link: SSHLink) {
        guard place.port != 0 else { return examineAddress(link) }
        test(link, NetworkPlace(place.host, 0)) { [weak self] isGranted in
            guard let self else { return }
            guard isGranted else { return examineAddress(link) }
            refused(
                link, TunnelFailure(.portInUse, "port \(place.port) at the server is taken, or not permitted to us"),
                after: .seconds(3))
        }
    }

    private func examineAddress(_ link: SSHLink) {
        test(link, NetworkPlace("localhost", 0)) { [weak self] isGranted in
            guard let self else { return }
            let failure =
                isGranted && !place.isLoopback
                ? TunnelFailure(.addressUnavailable, "the server has no address \(place.host), or does not permit it")
                : TunnelFailure(.forwardDenied, "the server does not permit remote forwards")
            refused(link, failure, after: .seconds(30))
        }
    }

    private func test(_ link: SSHLink, _ place: NetworkPlace, _ body: @escaping (Bool) -> Void) {
        link.requests.listen(link, at: place, within: around.timing.forwardRequest) { [weak self] result in
            if case .success(let granted) = result { link.requests.cancel(link, granted.listener) }
            guard self != nil, link.isAlive else { return }
            body((try? result.get()) != nil)
        }
    }

    private func refused(_ link: SSHLink, _ failure: TunnelFailure, after delay: Duration) {
        become(.down, failure.reason, failure.message)
        guard failure.reason == .portInUse else { return again(link, after: delay) }
        retryDelay = delay
        around.takeOver(spec.id)
    }

    /// Whether an earlier session's process was ended, so that the port is free now.
    func didTakeOver(_ didSomething: Bool) {
        guard let link = requesting, link.isAlive, acceptor == nil else { return }
        again(link, after: didSomething ? .milliseconds(300) : retryDelay)
    }

    private func again(_ link: SSHLink, after delay: Duration) {
        if let retry { around.loop.cancelTimer(retry) }
        retry = link.after(delay) { [weak self] link in
            guard let self else { return }
            retry = nil
            request(link)
        }
    }

    // MARK: Connections

    private func accepted(_ channel: OpaquePointer, _ link: SSHLink) {
        guard hasRoom, dials.count < around.limits.connections else {
            link.add(SSHDiscard(channel))
            return noteFailure(TunnelFailure(.targetTimeout, "too many connections"))
        }
        withAddresses { [weak self] addresses in
            guard link.isAlive else { return }
            guard let self else { return link.add(SSHDiscard(channel)) }
            dial(addresses, channel, link)
        }
    }

    private func dial(_ addresses: [KernelAddress], _ channel: OpaquePointer, _ link: SSHLink) {
        var id: ObjectIdentifier?
        let dialer = Dialer(
            addresses, what: "\(spec.target)", deadline: around.loop.now + around.timing.targetDial,
            refused: .targetRefused, timedOut: .targetTimeout, loop: around.loop
        ) { [weak self] result in
            if let id { self?.dials[id] = nil }
            guard let self, link.isAlive else {
                if case .success(let descriptor) = result { Glibc.close(descriptor) }
                return
            }
            switch result {
            case .success(let descriptor):
                noteSuccess()
                join(SSHChannel(handle: channel, link: link), descriptor)
                hasArrived = true
                if spec.probe == .tcp { settleProbe(nil) }
            case .failure(let failure):
                link.add(SSHDiscard(channel))
                noteFailure(failure)
                settleProbe(failure)
            }
        }
        id = ObjectIdentifier(dialer)
        if let id { dials[id] = dialer }
        dialer.start()
    }

    /// The target's addresses: at once when they are numbers or known, else from a name server, at most every minute.
    private func withAddresses(_ body: @escaping ([KernelAddress]) -> Void) {
        switch spec.target {
        case .unix(let path): return body(KernelAddress.unix(path).map { [$0] } ?? [])
        case .tcp(let target):
            let numeric = KernelAddress.resolve(target, isNumeric: true)
            if !numeric.isEmpty { return body(numeric) }
            if let addresses, around.loop.now - addresses.at < .seconds(60) { return body(addresses.list) }
            guard waiting.count < around.limits.connections else { return body([]) }
            waiting.append(body)
            guard waiting.count == 1 else { return }
            around.lookUp(target, spec.id)
            lookupTimer = around.loop.schedule(at: around.loop.now + .seconds(2)) { [weak self] in
                guard let self else { return }
                lookupTimer = nil
                didLookUp([])
            }
        }
    }

    /// What a name server said. An address that was right is better than none.
    func didLookUp(_ found: [KernelAddress]) {
        if let lookupTimer { around.loop.cancelTimer(lookupTimer) }
        lookupTimer = nil
        if !found.isEmpty { addresses = (found, around.loop.now) }
        let bodies = waiting
        waiting = []
        for body in bodies { body(addresses?.list ?? []) }
    }

    // MARK: Probes

    /// From the server to where it should listen, and on to the target: proves the address, the session and the target.
    override func probe(_ link: SSHLink) {
        guard let port else { return didProbe(TunnelFailure(.stopped, "")) }
        let far = FarSideProbe(place, port: port, serverAddress: around.serverAddress())
        dialBack(far.place) { [weak self] failure in
            guard let self else { return }
            switch failure?.reason {
            // It is not allowed to look: nothing is known.
            case .forwardDenied?: didProbe(TunnelFailure(.stopped, ""))
            case .targetRefused? where failure?.message == Self.notThere:
                guard let masked = far.masked else { return didProbe(TunnelFailure(.probeFailed, Self.notThere)) }
                dialBack(masked) { [weak self] failure in
                    guard failure?.message != Self.notThere else {
                        self?.didProbe(TunnelFailure(.probeFailed, Self.notThere))
                        return
                    }
                    let text = "the server listens at \(masked.host) only; it needs GatewayPorts clientspecified"
                    self?.didProbe(TunnelFailure(.boundLoopback, text))
                }
            default: didProbe(failure)
            }
        }
    }

    private static let notThere = "nobody listens at the server"

    /// Connects to `place` from the server. What comes back here tells whether the target answers.
    private func dialBack(_ place: NetworkPlace, _ body: @escaping (TunnelFailure?) -> Void) {
        guard let side = around.link(.tcp(place)) else { return body(TunnelFailure(.stopped, "")) }
        hasArrived = false
        probed = body
        probeNumber &+= 1
        let request = SSHOpener.Request.direct(to: .tcp(place), window: 1_024) { [weak self] result in
            guard let self else {
                if case .success(let channel) = result { channel.discard() }
                return
            }
            switch result {
            case .failure(let failure):
                settleProbe(
                    failure.reason == .targetRefused ? TunnelFailure(.targetRefused, Self.notThere) : failure)
            case .success(let channel): reached(channel)
            }
        }
        side.opener.open(side, request, within: around.timing.targetDial)
    }

    /// Somebody listens there. Our own end of it comes in as a connection of this forward, whose dial tells the rest, or
    /// what is asked through it does.
    private func reached(_ channel: SSHChannel) {
        // Settled by a client's connection that came first.
        guard probed != nil else { return channel.discard() }
        let number = probeNumber
        _ = around.loop.schedule(at: around.loop.now + around.timing.targetDial + .seconds(1)) { [weak self] in
            guard let self, number == probeNumber else { return }
            settleProbe(TunnelFailure(.probeFailed, "a connection to the server's port does not come here"))
        }
        converse(channel) { [weak self] failure in
            // Without a question the dial of the target is the answer; where that fails, it has the better reason.
            guard let self, spec.probe != .tcp, hasArrived, number == probeNumber else { return }
            settleProbe(failure)
        }
    }

    private func settleProbe(_ failure: TunnelFailure?) {
        let body = probed
        probed = nil
        body?(failure)
    }

    // MARK: The end

    override func end(_ failure: TunnelFailure) {
        if let retry { around.loop.cancelTimer(retry) }
        retry = nil
        acceptor = nil
        for dial in Array(dials.values) { dial.cancel(failure) }
        probed = nil
        requesting = nil
        super.end(failure)
    }

    override func close(_ link: SSHLink?) {
        let acceptor = acceptor
        super.close(link)
        guard let acceptor, let link, link.isAlive else { return }
        acceptor.stop()
        link.requests.cancel(link, acceptor.listener)
    }
}
