import Pipeline

extension WorkLoop {
    /// Waits until `descriptor` is ready for `events` (epoll's): the moment when it was, or nil at `deadline`.
    ///
    /// Nobody else may watch the descriptor meanwhile; when this has returned or thrown, it can be closed.
    /// Errors: `CancellationError`.
    func ready(_ descriptor: Int32, for events: UInt32, until deadline: Instant) async throws -> Instant? {
        let answer = OneShot<Instant?>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                post { [self] in
                    guard answer.begin(continuation) else { return }
                    let timer = schedule(at: deadline) { self.end(answer, descriptor, .success(nil)) }
                    watch(descriptor, for: events) { _ in
                        self.cancelTimer(timer)
                        self.end(answer, descriptor, .success(KernelClock.monotonic()))
                    }
                }
            }
        } onCancel: {
            post { self.end(answer, descriptor, .failure(CancellationError())) }
        }
    }

    /// On the loop's thread alone, so that between the look and the end nothing can happen.
    private func end(_ answer: OneShot<Instant?>, _ descriptor: Int32, _ result: Result<Instant?, any Error>) {
        guard answer.isPending else { return }
        // Before the waiter goes on: it may close the descriptor, and its number may be another's soon.
        unwatch(descriptor)
        answer.finish(result)
    }
}
