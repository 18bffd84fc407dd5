import Glibc
import Pipeline
import Synchronization
import Testing

@testable import Actors

@Suite("RemoteStatfs")
struct RemoteStatfsTests {
    private static let usage = FileSystemUsage(
        blockSize: 1, blocks: 2, freeBlocks: 1, availableBlocks: 1, inodes: 0, freeInodes: 0)

    /// A statfs that blocks for paths that a test holds.
    private final class Server: Sendable {
        private let held: Mutex<Set<String>>
        private let calls = Mutex<[String: Int]>([:])
        init(held: Set<String>) { self.held = Mutex(held) }
        func release(_ path: String) { held.withLock { _ = $0.remove(path) } }
        func callCount(_ path: String) -> Int { calls.withLock { $0[path] ?? 0 } }
        func call(_ bytes: [UInt8]) -> Result<FileSystemUsage, HostError> {
            let path = String(decoding: bytes, as: UTF8.self)
            calls.withLock { $0[path, default: 0] += 1 }
            // The thread is the thing under test: it blocks like a call to a dead server, until released.
            while held.withLock({ $0.contains(path) }) { usleep(1000) }
            return path == "/bad"
                ? .failure(HostError(code: EIO, operation: "statfs")) : .success(RemoteStatfsTests.usage)
        }
    }

    private func bytes(_ paths: [String]) -> [[UInt8]] { paths.map { Array($0.utf8) } }

    /// Asks, moving the clock past the deadline once answers stay away.
    private func ask(_ remote: RemoteStatfs, _ clock: ManualClock, _ paths: [String]) async throws -> [RemoteUsage] {
        let asked = bytes(paths)
        return try await withThrowingTaskGroup(of: [RemoteUsage]?.self) { group in
            group.addTask { try await remote.ask(asked, until: clock.now + .seconds(5)) }
            group.addTask {
                while !Task.isCancelled {
                    usleep(2000)
                    await Task.yield()
                    if clock.sleeperCount > 0 { clock.advance(by: .milliseconds(100)) }
                }
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next()?.flatMap { $0 } ?? []
        }
    }

    @Test("answers come in the order of the paths")
    func answersInOrder() async throws {
        let clock = ManualClock()
        let server = Server(held: [])
        let remote = RemoteStatfs(clock: clock) { server.call($0) }
        let answers = try await ask(remote, clock, ["/a", "/bad", "/b"])
        #expect(answers == [.answered(Self.usage), .failed(EIO), .answered(Self.usage)])
    }

    @Test("a call that hangs is stuck, is not repeated, and delays nobody else")
    func stuckCall() async throws {
        let clock = ManualClock()
        let server = Server(held: ["/dead"])
        let remote = RemoteStatfs(clock: clock) { server.call($0) }
        #expect(try await ask(remote, clock, ["/dead", "/a"]) == [.stuck(isNew: true), .answered(Self.usage)])
        #expect(try await ask(remote, clock, ["/dead", "/a"]) == [.stuck(isNew: false), .answered(Self.usage)])
        #expect(server.callCount("/dead") == 1)
        server.release("/dead")
        await eventually("the path is asked again") {
            (try? await ask(remote, clock, ["/dead"])) == [.answered(Self.usage)]
        }
    }

    @Test("four dead servers are the limit: then nothing is asked, until one answers")
    func threadLimit() async throws {
        let clock = ManualClock()
        let dead = ["/1", "/2", "/3", "/4"]
        let server = Server(held: Set(dead))
        let remote = RemoteStatfs(clock: clock) { server.call($0) }
        let answers = try await ask(remote, clock, dead + ["/a"])
        #expect(answers.filter { $0 == .stuck(isNew: true) }.count == 4)
        #expect(answers.last == .notAsked)
        #expect(try await ask(remote, clock, ["/b"]) == [.notAsked])
        #expect(server.callCount("/b") == 0)
        server.release("/1")
        await eventually("a thread is free again") {
            (try? await ask(remote, clock, ["/b"])) == [.answered(Self.usage)]
        }
        for path in dead { server.release(path) }
    }

    @Test("nothing to ask is answered at once")
    func nothingToAsk() async throws {
        let remote = RemoteStatfs(clock: ManualClock()) { _ in .success(Self.usage) }
        #expect(try await remote.ask([], until: .distantFuture).isEmpty)
    }
}
