import Pipeline

/// A session for a check: made once, and not again when it ends.
extension Tunnel {
    /// Makes the session. Nothing is kept, also no new host key. Errors: why there is none.
    public func connectOnce() async throws(TunnelFailure) {
        keepsNewKeys = false
        begin(try await connect())
    }

    /// Lets the server connect to `target`, and closes that connection again. Errors: why it could not.
    public func reach(_ target: SocketPlace) async throws(TunnelFailure) {
        guard isReady, let link = openLink(for: target) else {
            throw TunnelFailure(.jumpDown, "the tunnel \(spec.name) is not up")
        }
        let result: Result<Void, TunnelFailure> = await withCheckedContinuation { continuation in
            let request = SSHOpener.Request.direct(to: target, window: 1_024) { result in
                if case .success(let channel) = result { channel.discard() }
                continuation.resume(returning: result.map { _ in () })
            }
            link.opener.open(link, request, within: spec.timing.targetDial)
        }
        try result.get()
    }

    /// Ends the session for good.
    public func disconnect() { stop() }
}
