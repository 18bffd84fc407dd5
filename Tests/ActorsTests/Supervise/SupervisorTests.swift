import Actors
import Logging
import Pipeline
import Synchronization
import Testing

/// What children did, in order.
private final class Journal: Sendable {
    private let entries = Mutex<[String]>([])
    func note(_ entry: String) { entries.withLock { $0.append(entry) } }
    var all: [String] { entries.withLock { $0 } }
    func count(_ entry: String) -> Int { all.count { $0 == entry } }
}

private struct Broken: Error, CustomStringConvertible {
    var description: String
}

/// A switch that children read and tests throw.
private final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set(_ to: Bool = true) { value.withLock { $0 = to } }
}

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

@Suite("Supervisor")
struct SupervisorTests {
    private let clock = ManualClock()
    private let journal = Journal()

    private func supervisor(
        _ id: String = "root", _ strategy: SupervisionStrategy = .oneForOne, count: Int = 3, of children: [ChildSpec]
    ) -> Supervisor {
        Supervisor(
            id: id, strategy: strategy, intensity: RestartIntensity(count: count, period: .seconds(600)),
            children: children, clock: clock, loop: TestLoop.shared, seed: 1, log: quiet)
    }

    private func child(
        _ id: String, whenExhausted: ExhaustionRule = .escalate, count: Int = 5, stopTimeout: Duration = .seconds(2),
        fails: Flag? = nil
    ) -> ChildSpec {
        ChildSpec(
            id: id, whenExhausted: whenExhausted, intensity: RestartIntensity(count: count, period: .seconds(60)),
            stopTimeout: stopTimeout
        ) { [clock, journal] context in
            journal.note("+\(id)")
            defer { journal.note("-\(id)") }
            context.ready()
            if let fails {
                while !fails.isSet { try await clock.sleep(until: clock.now + .seconds(1)) }
                throw Broken(description: "\(id) broke")
            }
            try await clock.sleep(until: .distantFuture)
        }
    }

    private func start(_ supervisor: Supervisor) -> Task<Void, any Error> {
        Task.detached(executorPreference: TestLoop.shared) {
            try await supervisor.run(ChildContext(path: supervisor.id) {})
        }
    }

    private func state(_ supervisor: Supervisor, _ child: String) async -> ChildStatus? {
        await supervisor.snapshot().flattened().first { $0.status.id == child }?.status
    }

    /// Lets time pass until `condition` holds.
    private func pass(_ step: Duration, until what: String, _ condition: () async -> Bool) async {
        await eventually(what) {
            if await condition() { return true }
            clock.advance(by: step)
            return false
        }
    }

    @Test("children start in order and stop in reverse")
    func order() async throws {
        let root = supervisor(of: [child("a"), child("b"), child("c")])
        let task = start(root)
        await eventually("all run") { await state(root, "c")?.state == .running }
        task.cancel()
        try await task.value
        #expect(journal.all == ["+a", "+b", "+c", "-c", "-b", "-a"])
        #expect(await root.snapshot().state == .stopped)
    }

    @Test("the next sibling starts after the ready deadline when a child never says ready")
    func readyDeadline() async throws {
        let silent = ChildSpec(
            id: "silent", whenExhausted: .escalate, intensity: RestartIntensity(count: 1, period: .seconds(60)),
            stopTimeout: .seconds(1)
        ) { [clock] _ in try await clock.sleep(until: .distantFuture) }
        let root = supervisor(of: [silent, child("b")])
        let task = start(root)
        await eventually("silent starts") { await state(root, "silent")?.state == .starting }
        #expect(await state(root, "b")?.state == .waiting)
        await pass(.seconds(5), until: "b runs") { await state(root, "b")?.state == .running }
        task.cancel()
        try await task.value
    }

    @Test("a failed child restarts alone, with its error on show")
    func restart() async throws {
        let fails = Flag()
        let root = supervisor(of: [child("a"), child("b", fails: fails)])
        let task = start(root)
        await eventually("b runs") { await state(root, "b")?.state == .running }
        fails.set()
        await pass(.seconds(1), until: "b fails") { await state(root, "b")?.lastError == "b broke" }
        fails.set(false)
        await pass(.milliseconds(100), until: "b runs again") {
            let b = await state(root, "b")
            return b?.state == .running && (b?.restarts ?? 0) > 0
        }
        #expect(journal.count("+a") == 1)
        task.cancel()
        try await task.value
    }

    @Test("a child beyond its intensity is parked, tried again, and does not fail its supervisor")
    func parks() async throws {
        let fails = Flag()
        fails.set()
        let root = supervisor(count: 1, of: [child("a"), child("b", whenExhausted: .park, count: 2, fails: fails)])
        let task = start(root)
        await pass(.seconds(1), until: "b is parked") { await state(root, "b")?.state == .parked }
        #expect(journal.count("+b") == 3)
        let wait = await state(root, "b")?.retryIn ?? .zero
        #expect(wait > .seconds(290) && wait <= .seconds(300))
        await pass(.seconds(60), until: "the trial fails") { journal.count("-b") == 4 }
        await eventually("parked for twice as long") { (await state(root, "b")?.retryIn ?? .zero) > .seconds(500) }
        fails.set(false)
        await pass(.seconds(60), until: "b runs") { await state(root, "b")?.state == .running }
        #expect(journal.count("+a") == 1)
        task.cancel()
        try await task.value
    }

    @Test("exhaustion escalates through a nested supervisor to the root, which stops everything and throws")
    func escalation() async throws {
        let fails = Flag()
        fails.set()
        let inner = supervisor("inner", count: 1, of: [child("a"), child("b", fails: fails)])
        let nested = ChildSpec(
            supervisor: inner, intensity: RestartIntensity(count: 1, period: .seconds(600)), stopTimeout: .seconds(9))
        let root = supervisor(count: 1, of: [child("first"), nested])
        let task = start(root)
        let ended = Flag()
        let watcher = Task {
            let result = await task.result
            ended.set()
            return result
        }
        await pass(.seconds(1), until: "the root gives up") { ended.isSet }
        await #expect(throws: SupervisorError.self) { try await watcher.value.get() }
        #expect(journal.count("+b") == 4)
        #expect(journal.count("-first") == 1)
        #expect(journal.count("+a") == journal.count("-a"))
    }

    @Test("a child that ignores cancellation is abandoned after its stop time-out")
    func abandons() async throws {
        let release = Flag()
        let deaf = ChildSpec(
            id: "deaf", whenExhausted: .park, intensity: RestartIntensity(count: 1, period: .seconds(60)),
            stopTimeout: .seconds(2)
        ) { context in
            context.ready()
            while !release.isSet { await Task.yield() }
        }
        let root = supervisor(of: [child("a"), deaf])
        let task = start(root)
        await eventually("deaf runs") { await state(root, "deaf")?.state == .running }
        task.cancel()
        await eventually("deaf is told to stop") { await state(root, "deaf")?.state == .stopping }
        #expect(journal.count("-a") == 0)
        let ended = Flag()
        let watcher = Task {
            try await task.value
            ended.set()
        }
        await pass(.seconds(1), until: "the supervisor stops all the same") { ended.isSet }
        try await watcher.value
        #expect(journal.count("-a") == 1)
        #expect(await state(root, "deaf")?.abandoned == 1)
        release.set()
    }

    @Test("replace and remove touch no sibling")
    func reload() async throws {
        let root = supervisor(of: [child("a"), child("b")])
        let task = start(root)
        await eventually("b runs") { await state(root, "b")?.state == .running }
        await root.replace(child("a"))
        #expect(journal.count("-a") == 1)
        await eventually("a runs again") { await state(root, "a")?.state == .running }
        await root.add(child("c"))
        await eventually("c runs") { await state(root, "c")?.state == .running }
        await root.remove("a")
        #expect(journal.count("-a") == 2)
        #expect(await root.snapshot().children.map(\.id) == ["b", "c"])
        #expect(journal.count("+b") == 1)
        task.cancel()
        try await task.value
    }

    @Test("rest_for_one restarts the failed child and those after it")
    func restForOne() async throws {
        let fails = Flag()
        let root = supervisor("root", .restForOne, of: [child("a"), child("b", fails: fails), child("c")])
        let task = start(root)
        await eventually("c runs") { await state(root, "c")?.state == .running }
        fails.set()
        await pass(.seconds(1), until: "b fails") { journal.count("-b") == 1 }
        fails.set(false)
        await pass(.milliseconds(100), until: "c runs again") { journal.count("+c") == 2 }
        #expect(journal.all == ["+a", "+b", "+c", "-b", "-c", "+b", "+c"])
        task.cancel()
        try await task.value
    }

    @Test("a nested supervisor is ready when its children are, and shows in the tree")
    func nestedTree() async throws {
        let inner = supervisor("inner", of: [child("a")])
        let nested = ChildSpec(
            supervisor: inner, intensity: RestartIntensity(count: 1, period: .seconds(600)), stopTimeout: .seconds(9))
        let root = supervisor(of: [nested, child("last")])
        let task = start(root)
        await eventually("last runs") { await state(root, "last")?.state == .running }
        #expect(journal.all == ["+a", "+last"])
        let paths = await root.snapshot().flattened().map(\.path)
        #expect(paths == ["root", "root/inner", "root/inner/a", "root/last"])
        task.cancel()
        try await task.value
        #expect(journal.all == ["+a", "+last", "-last", "-a"])
    }

    @Test("a supervisor without children can be stopped")
    func empty() async throws {
        let root = supervisor(of: [])
        let task = start(root)
        await eventually("it runs") { await root.snapshot().state == .running }
        task.cancel()
        try await task.value
    }
}
