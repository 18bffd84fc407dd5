import Synchronization

/// The memory that the bodies of all requests of one server may take together.
public final class BodyBudget: Sendable {
    private let limit: Int
    private let used = Mutex(0)

    public init(bytes: Int) { limit = bytes }

    /// Takes so many bytes; false, and none taken, when they are not there.
    public func charge(_ bytes: Int) -> Bool {
        used.withLock { used in
            guard bytes <= limit - used else { return false }
            used += bytes
            return true
        }
    }

    /// Gives back what was taken.
    public func release(_ bytes: Int) { used.withLock { $0 -= bytes } }
}
