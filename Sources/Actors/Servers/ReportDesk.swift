import Pipeline
import Synchronization

/// Hands out status reports: one is made at a time however many ask, and when the source hangs (a disk that does not
/// answer), the askers get the last one with its age instead of waiting for ever.
///
/// Why a lock and no actor: an asker whose patience ends is resumed from its cancellation, which cannot await.
final class ReportDesk: Sendable {
    struct Answer: Sendable {
        var report: StatusReport
        /// How old the report is; zero for one that was made for this question.
        var age: Duration
    }

    private struct State {
        var latest: (report: StatusReport, at: Instant)?
        var askers: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        var lastAsker: UInt64 = 0
        /// Askers that gave up before they began to wait.
        var gone: Set<UInt64> = []
        /// Wakes the maker of reports; a new one for each run, since a stream ends with its consumer.
        var request: AsyncStream<Void>.Continuation?
    }

    /// How long an asker waits for a new report.
    static let patience = Duration.seconds(2)

    private let source: @Sendable () async -> StatusReport
    private let clock: any Clock
    private let state = Mutex(State())

    init(clock: any Clock, source: @escaping @Sendable () async -> StatusReport) {
        self.clock = clock
        self.source = source
    }

    /// Makes reports as they are asked for, until cancelled.
    func run() async {
        // One waiting request stands for all askers.
        let (requests, request) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let hasAskers = state.withLock { state in
            state.request = request
            return !state.askers.isEmpty
        }
        if hasAskers { request.yield() }
        for await _ in requests {
            let newest = state.withLock { $0.lastAsker }
            let report = await source()
            let now = clock.now
            let served = state.withLock { state in
                state.latest = (report, now)
                // Whoever came while it was made is served by the next one, which is asked for already.
                let served = state.askers.filter { $0.key <= newest }
                state.askers = state.askers.filter { $0.key > newest }
                return served
            }
            for asker in served.values { asker.resume(returning: true) }
        }
    }

    /// A report made now; the last one when none comes in time; nil when there never was one.
    func answer() async -> Answer? {
        let isFresh = try? await clock.withDeadline(clock.now + Self.patience) { await self.wait() }
        guard let latest = state.withLock({ $0.latest }) else { return nil }
        return Answer(report: latest.report, age: isFresh == true ? .zero : clock.now - latest.at)
    }

    private func wait() async -> Bool {
        let id = state.withLock { state in
            state.lastAsker &+= 1
            return state.lastAsker
        }
        defer { state.withLock { _ = $0.gone.remove(id) } }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isGone = state.withLock { state in
                    guard !state.gone.contains(id) else { return true }
                    state.askers[id] = continuation
                    return false
                }
                if isGone { continuation.resume(returning: false) } else { state.withLock(\.request)?.yield() }
            }
        } onCancel: {
            let asker = state.withLock { state in
                state.gone.insert(id)
                return state.askers.removeValue(forKey: id)
            }
            asker?.resume(returning: false)
        }
    }
}
