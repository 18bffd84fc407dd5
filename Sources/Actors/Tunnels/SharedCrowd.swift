import Pipeline
import Synchronization

/// The one crowd that all tunnels of an agent are in. Any thread.
public final class SharedCrowd: Sendable {
    private let crowd: Mutex<ReconnectCrowd>

    public init(seed: UInt64) { crowd = Mutex(ReconnectCrowd(seed: seed)) }

    func join(now: Instant) -> Duration { crowd.withLock { $0.join(now: now) } }
}
