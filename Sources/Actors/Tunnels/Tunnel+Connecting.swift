import CLinux
import Glibc
import Pipeline

/// How a session comes to be: files and names, the connection, the session itself.
extension Tunnel {
    /// Errors: `TunnelFailure`. Bounds: the deadlines of `TunnelTiming`.
    func connect() async throws(TunnelFailure) -> SSHLink {
        guard !spec.fingerprints.isEmpty else { return try await connect(hostKeyType: nil) }
        // A pin does not tell of which kind its key is, and a server shows one key only: the kinds are tried in turn.
        var kinds = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]
        if let pinnedType { kinds = [pinnedType] + kinds.filter { $0 != pinnedType } }
        var complaint: TunnelFailure?
        for kind in kinds {
            do throws(TunnelFailure) {
                let link = try await connect(hostKeyType: kind)
                pinnedType = kind
                return link
            } catch {
                let mayBeAnother = error.reason == .hostkeyChanged || error.isWithoutCommonKey
                guard mayBeAnother else { throw error }
                // The pin's own complaint says more than "no key of this kind".
                if complaint == nil || error.reason == .hostkeyChanged { complaint = error }
            }
        }
        throw complaint ?? TunnelFailure(.handshakeFailed, "")
    }

    private func connect(hostKeyType: String?) async throws(TunnelFailure) -> SSHLink {
        let deadline = loop.now + spec.timing.connect
        let material = try await gather(until: deadline)
        let descriptor = try await dial(material, until: deadline)
        return try await setUp(descriptor, material, hostKeyType)
    }

    private func gather(until deadline: Instant) async throws(TunnelFailure) -> TunnelMaterial {
        let ticket = MaterialTicket()
        return try await wait { done in
            tickets[ObjectIdentifier(ticket)] = done
            loop.schedule(at: deadline) { [self] in
                settle(ticket, .failure(TunnelFailure(.dialTimeout, "the name server did not answer")))
            }
            threads.post { [spec, loop, resolves = via == nil, self] in
                let result = Result { () throws(TunnelFailure) in
                    try TunnelMaterial.gather(spec, resolves: resolves)
                }
                loop.post { self.assumeIsolated { $0.settle(ticket, result) } }
            }
        }
    }

    private func settle(_ ticket: MaterialTicket, _ result: Result<TunnelMaterial, TunnelFailure>) {
        tickets.removeValue(forKey: ObjectIdentifier(ticket))?(result)
    }

    private func dial(_ material: TunnelMaterial, until deadline: Instant) async throws(TunnelFailure) -> Int32 {
        if let via { return try await via.openStream(to: .tcp(spec.server)) }
        defer { dialing = nil }
        return try await wait { done in
            let dialer = Dialer(
                material.addresses, what: "\(spec.server)", deadline: deadline, refused: .dialFailed,
                timedOut: .dialTimeout, loop: loop, completion: done)
            dialing = dialer
            dialer.start()
        }
    }

    private func setUp(
        _ descriptor: Int32, _ material: TunnelMaterial, _ hostKeyType: String?
    ) async throws(TunnelFailure) -> SSHLink {
        SocketOptions.prepareSession(descriptor)
        guard let link = SSHLink(descriptor: descriptor, loop: loop, timing: spec.timing, limits: spec.limits) else {
            close(descriptor)
            throw TunnelFailure(.handshakeFailed, "no memory for a session")
        }
        let judge = HostKeyJudge(spec: spec, knownHosts: material.knownHosts)
        judge.prefer(hostKeyType, on: link.session)
        newSession = (link, judge)
        defer { newSession = nil }
        link.after(spec.timing.authenticate) { [self] link in
            guard link.monitor.isSettingUp else { return }
            let seconds = spec.timing.authenticate.inSeconds
            link.end(TunnelFailure(.handshakeFailed, "handshake and authentication took longer than \(seconds) s"))
        }
        link.didEnd = { _ in }
        do throws(TunnelFailure) {
            outcome = try await wait { done in setUp(material, done) }
        } catch {
            // Ended by its own failure as a rule; not by a stop that came before the wait.
            link.end(error)
            throw error
        }
        guard let (link, judge) = newSession else { throw TunnelFailure(.stopped, "") }
        if let key = judge.newKey, keepsNewKeys { keep(key) }
        return link
    }

    private func setUp(
        _ material: TunnelMaterial, _ done: @escaping (Result<SSHSetup.Outcome, TunnelFailure>) -> Void
    ) {
        guard let (link, judge) = newSession else { return }
        link.didEnd = { done(.failure($0)) }
        link.add(
            SSHSetup(
                user: spec.user, credentials: material.credentials, agentSocket: spec.agentSocket,
                judge: judge.complaint, completion: done))
    }

    /// A new host key, kept for the next time. It is written by another thread; a failure is for the log.
    private func keep(_ key: [UInt8]) {
        log.notice(
            "a new host key is trusted from now on",
            metadata: ["tunnel": "\(spec.name)", "hostkey": "\(outcome.fingerprint)"])
        guard !spec.knownHostsFile.isEmpty else { return }
        threads.post { [log, spec, loop, self] in
            do throws(FileComplaint) {
                guard try !KnownHostsFile.add(key, of: spec.server, to: spec.knownHostsFile) else { return }
                let failure = TunnelFailure(
                    .hostkeyChanged, "another key of the server was kept in \(spec.knownHostsFile) at the same time")
                loop.post { self.assumeIsolated { $0.refuse(failure) } }
            } catch {
                log.error("the host key cannot be kept", metadata: ["error": "\(error)"])
            }
        }
    }

    private func refuse(_ failure: TunnelFailure) {
        refusal = failure
        link?.end(failure)
    }

    // MARK: For tunnels through this one

    /// A connection from the server to `place`, as a descriptor that does not block.
    ///
    /// Errors: `jump-down` without a session, else why the server did not connect.
    func openStream(to place: SocketPlace) async throws(TunnelFailure) -> Int32 {
        guard isReady, let link = openLink(for: place) else {
            throw TunnelFailure(.jumpDown, "the tunnel \(spec.name) is not up")
        }
        var pair: [Int32] = [-1, -1]
        let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard socketpair(AF_UNIX, flags, 0, &pair) == 0 else {
            throw TunnelFailure(.dialFailed, String(cString: strerror(errno)))
        }
        let (inner, outer) = (pair[0], pair[1])
        let counters = streamCounters
        let result: Result<Void, TunnelFailure> = await withCheckedContinuation { continuation in
            let request = SSHOpener.Request.direct(to: place, window: max(spec.limits.windowBytes, 1 << 20)) { result in
                if case .success(let channel) = result {
                    channel.link.add(SSHStream(channel: channel, descriptor: inner, counters: counters))
                }
                continuation.resume(returning: result.map { _ in () })
            }
            link.opener.open(link, request, within: spec.timing.connect)
        }
        guard case .failure(let failure) = result else { return outer }
        close(inner)
        close(outer)
        let reason: TunnelReason = failure.reason == .targetTimeout ? .dialTimeout : .dialFailed
        throw TunnelFailure(reason, "through \(spec.name): \(failure.message)")
    }
}

/// Names one wait for files and names across threads.
final class MaterialTicket: Sendable {}
