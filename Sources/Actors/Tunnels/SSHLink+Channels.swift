import CSSH2
import Pipeline

/// The channels of a session, so that what waits in memory can be counted for each, and none is used after its end.
extension SSHLink {
    /// Bytes of a channel that libssh2 holds until somebody reads them.
    static func queuedBytes(of channel: OpaquePointer) -> Int {
        var available: UInt = 0
        _ = libssh2_channel_window_read_ex(channel, &available, nil)
        return Int(clamping: available)
    }

    /// Counts what waits for all channels. Linear in what waits, for each channel.
    func countQueued() {
        bounds.queuedBytes = channels.reduce(0) { $0.addingSaturated(Self.queuedBytes(of: $1)) }
    }

    /// Decides what follows from memory that has grown: it belongs to connections that are slow, and nothing is read
    /// until they have caught up; or to nobody, and the session ends.
    func judgeGrowth() {
        guard isAlive else { return }
        countQueued()
        bounds.isOvergrown = false
        guard bounds.queuedBytes == 0, bounds.bytes > SSHBounds.restingBytes else {
            // The next read asks again.
            return turn()
        }
        let reason: TunnelReason = monitor.isSettingUp ? .handshakeFailed : .sessionLost
        end(TunnelFailure(reason, "the server sent \(bounds.bytes >> 20) MiB that nobody asked for"))
    }
}
