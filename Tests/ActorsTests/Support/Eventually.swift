import Actors
import Glibc
import Pipeline
import Synchronization
import Testing

/// One loop for the tasks of all tests.
enum TestLoop {
    static let shared = WorkLoop(name: "test")
}

/// Counts across tasks.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .sequentiallyConsistent) }
    func increment() { count.add(1, ordering: .sequentiallyConsistent) }
}

/// Polls until `condition` holds; records an issue when it does not within `limit`. Hundreds of tests wait at the same
/// time on as many threads as there are cores, so it must not block one.
func eventually(
    _ what: String, within limit: Duration = .seconds(60), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async -> Bool
) async {
    let deadline = ContinuousClock.now + limit
    while await !condition() {
        guard ContinuousClock.now < deadline else {
            Issue.record("never: \(what)", sourceLocation: sourceLocation)
            return
        }
        try? await Task.sleep(for: .milliseconds(1))
    }
}
