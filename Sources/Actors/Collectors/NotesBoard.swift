import Pipeline
import Synchronization

/// Where inputs leave what they know of metrics, for outputs that show it: one for the whole process.
public final class NotesBoard: Sendable {
    private let notes = Mutex(MetricNotes())

    public init() {}

    /// All notes as they are now.
    public var current: MetricNotes { notes.withLock { $0 } }

    public func add(_ new: [(name: String, note: MetricNotes.Note)]) {
        guard !new.isEmpty else { return }
        notes.withLock { notes in
            for (name, note) in new { notes.add(name, note) }
        }
    }
}
