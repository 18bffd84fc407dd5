import CLinux
import Glibc
import Pipeline
import Synchronization
import Testing

@testable import Actors

@Suite("A session's steps")
struct SSHLinkTests {
    private final class Step: SSHStep {
        private(set) var isFinished = false
        private(set) var reason: TunnelReason?

        func step(_ link: SSHLink) -> Bool { false }

        func abandon(_ failure: TunnelFailure) {
            reason = failure.reason
            isFinished = true
        }
    }

    /// What became of a step that was added, before the end of the session or after it.
    private func fate(addedFirst: Bool) async -> TunnelReason? {
        let loop = WorkLoop(name: "test-link")
        return await withCheckedContinuation { continuation in
            loop.post {
                var ends: [Int32] = [-1, -1]
                guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0,
                    let link = SSHLink(
                        descriptor: ends[0], loop: loop, timing: TunnelTiming(), limits: TunnelLimits())
                else { return continuation.resume(returning: nil) }
                link.didEnd = { _ in }
                let step = Step()
                if addedFirst { link.add(step) }
                link.end(TunnelFailure(.sessionLost, "test"))
                if !addedFirst { link.add(step) }
                close(ends[1])
                continuation.resume(returning: step.reason)
            }
        }
    }

    @Test("one that is there when the session ends is abandoned")
    func before() async { #expect(await fate(addedFirst: true) == .sessionLost) }

    // Otherwise a connection would go on with a channel whose memory went with the session.
    @Test("one that comes after the end of the session is abandoned too")
    func after() async { #expect(await fate(addedFirst: false) == .sessionLost) }
}
