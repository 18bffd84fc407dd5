import Glibc
import Pipeline
import Testing

@testable import Actors

@Suite("Listening at a unix socket")
struct LocalListenerTests {
    private static let loop = WorkLoop(name: "listener-test")

    /// Runs `body` on the loop, with the path of a socket in a folder of its own.
    private func onLoop<Result: Sendable>(_ body: @escaping @Sendable (String) -> Result) async -> Result {
        var template = Array("/tmp/godwit-listener-XXXXXX".utf8CString)
        mkdtemp(&template)
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { rmdir(folder) }
        return await withCheckedContinuation { continuation in
            Self.loop.post { continuation.resume(returning: body(folder + "/s")) }
        }
    }

    private static func isThere(_ path: String) -> Bool { access(path, F_OK) == 0 }

    private static func make(_ path: String) -> LocalListener? {
        let listener = LocalListener(.unix(path), loop: loop) { close($0) }
        return (try? listener.open()).map { listener }
    }

    @Test("its file goes with it")
    func file() async {
        let states = await onLoop { path -> [Bool] in
            let listener = Self.make(path)
            let states = [Self.isThere(path), listener?.isOrphaned ?? true]
            listener?.close()
            return states + [Self.isThere(path), listener?.isOrphaned ?? true]
        }
        #expect(states == [true, false, false, false])
    }

    @Test("a file that somebody took away is noticed, and another one in its place is left alone")
    func orphan() async {
        let states = await onLoop { path -> [Bool] in
            let listener = Self.make(path)
            unlink(path)
            let isGone = listener?.isOrphaned ?? false
            let other = Self.make(path)
            let isReplaced = listener?.isOrphaned ?? false
            listener?.close()
            let states = [isGone, isReplaced, Self.isThere(path), other?.isOrphaned ?? true]
            other?.close()
            return states
        }
        #expect(states == [true, true, true, false])
    }

    @Test("what a killed agent left is taken over, what somebody answers at is not")
    func leftovers() async {
        let states = await onLoop { path -> [Bool] in
            let first = Self.make(path)
            let second = Self.make(path)
            let isRefused = second == nil && first?.isOrphaned == false
            // As after a kill: the file stays and nobody listens.
            let left = path + "-left"
            let descriptor = KernelAddress.unix(left)?.listeningSocket(backlog: 1) ?? -1
            close(descriptor)
            let third = Self.make(left)
            let isTaken = third != nil
            first?.close()
            third?.close()
            return [isRefused, isTaken]
        }
        #expect(states == [true, true])
    }

    @Test("somebody who is too busy to answer is not taken for dead")
    func busy() async {
        let states = await onLoop { path -> [Bool] in
            guard let address = KernelAddress.unix(path) else { return [] }
            let other = address.listeningSocket(backlog: 0)
            var waiting: [Int32] = []
            // Until its queue is full.
            while waiting.count < 64 {
                let descriptor = address.connectedSocket()
                guard descriptor >= 0 else { break }
                waiting.append(descriptor)
            }
            let listener = Self.make(path)
            let states = [waiting.count < 64, listener == nil, Self.isThere(path)]
            listener?.close()
            for descriptor in waiting + [other] { close(descriptor) }
            unlink(path)
            return states
        }
        #expect(states == [true, true, true])
    }
}
