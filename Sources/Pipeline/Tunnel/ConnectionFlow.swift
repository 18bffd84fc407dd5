/// The life of one forwarded connection: a local socket on one side, a channel on the other. Either side may end its
/// half first; the other half goes on, and when both have ended, or one side broke, all is closed.
///
/// Decides, performs nothing: the caller reports what it saw and asks what is to be done.
public struct ConnectionFlow: Sendable, Hashable {
    public enum Action: Sendable, Hashable {
        /// Everything that the local side sent has gone out: tell the channel that it has ended.
        case sendEOF
        /// Everything that the channel sent has gone out: tell the local socket.
        case shutdownLocal
        /// Nothing is left to do, or nothing can be done any more.
        case close
    }

    private var localEnded = false
    private var remoteEnded = false
    private var remoteClosed = false
    private var isBroken = false
    private var sentEOF = false
    private var didShutdown = false

    public init() {}

    /// The local socket was read to its end.
    public mutating func localDidEnd() { localEnded = true }
    /// The channel was read to its end.
    public mutating func remoteDidEnd() { remoteEnded = true }
    /// The channel is gone in both directions.
    public mutating func remoteDidClose() {
        remoteEnded = true
        remoteClosed = true
    }
    /// One side failed: what waits for it can no longer be delivered.
    public mutating func didBreak() { isBroken = true }

    public var readsLocal: Bool { !localEnded && !isBroken && !remoteClosed }
    public var readsChannel: Bool { !remoteEnded && !isBroken }
    public var writesChannel: Bool { !sentEOF && !isBroken && !remoteClosed }
    /// One half has ended and the other has not.
    public var isHalfClosed: Bool { localEnded != remoteEnded && !isBroken }

    /// What is to be done now; each action is given once, `close` for ever.
    ///
    /// - Parameters:
    ///   - toChannel: bytes that wait for the channel.
    ///   - toLocal: bytes that wait for the local socket.
    public mutating func next(toChannel: Int, toLocal: Int) -> Action? {
        if isBroken { return .close }
        if remoteEnded, toLocal == 0, !didShutdown {
            didShutdown = true
            return .shutdownLocal
        }
        if localEnded, toChannel == 0, !sentEOF, !remoteClosed {
            sentEOF = true
            return .sendEOF
        }
        if remoteClosed, toLocal == 0 { return .close }
        if didShutdown, sentEOF { return .close }
        return nil
    }
}
