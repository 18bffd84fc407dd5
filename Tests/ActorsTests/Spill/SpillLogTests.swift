import Glibc
import Pipeline
import Synchronization
import Testing

@testable import Actors

@Suite("spill log") struct SpillLogTests {
    let disk = FakeDisk()

    @Test("batches come back in order, byte for byte, and the balance is exact")
    func inOrder() async {
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        for number in 0..<20 { await log.append(bench.batch(number)) }
        let drained = await log.drain("a")
        #expect(drained.map(\.batch) == (0..<20).map { bench.batch($0) })
        let balance = await log.balance("a")
        #expect(balance.delivered == 60 && balance.pending == 0 && balance.isExact)
        await log.stop()
        #expect(disk.paths(ending: ".seg").isEmpty)
        #expect(disk.paths(ending: ".cursor") == ["/spill/default/a.cursor"])
    }

    @Test("batches that come before the folder is open are kept in bounds, and those that do not fit are counted")
    func early() async {
        let bench = SpillBench(disk: disk)
        let log = await bench.log(opening: false)
        let total = 2_000
        for number in 0..<total { await log.append(bench.batch(number)) }
        await log.open()
        await log.append(bench.batch(total))
        let balance = await log.balance("a")
        #expect(balance.sealed == UInt64(3 * (total + 1)))
        #expect(balance.dropped[.memoryFull, default: 0] > 0 && balance.isExact)
        let drained = await log.drain("a")
        #expect(drained.last?.batch == bench.batch(total))
        let after = await log.balance("a")
        #expect(after.pending == 0 && after.isExact && after.droppedTotal == balance.droppedTotal)
    }

    @Test("no two ids share a file name, and an id that is a good one is kept")
    func fileNames() {
        let ids = [
            "influxdb::a b", "influxdb::a_b", "influxdb__a_b", "influxdb#2", "influxdb_2", "influxdb::a%20b", "é", "__",
            "", "_",
        ]
        #expect(Set(ids.map(SpillFiles.sanitised)).count == ids.count)
        for id in ids {
            let name = SpillFiles.sanitised(id)
            #expect(SpillFiles.sanitised(name) == name && !name.contains("/") && !name.hasPrefix("."))
        }
        let long = String(repeating: "x", count: 150)
        #expect(SpillFiles.sanitised(long + "1") != SpillFiles.sanitised(long + "2"))
        #expect(SpillFiles.sanitised("influxdb::spare#2") == "influxdb::spare#2")
    }

    @Test("what was not acknowledged comes back after a stop, and the counters go on")
    func reopen() async {
        let bench = SpillBench(disk: disk)
        let first = await bench.log()
        for number in 0..<10 { await first.append(bench.batch(number)) }
        for _ in 0..<4 {
            if let batch = await first.peek("a", .live) {
                await first.resolve(batch.sequence, for: "a", delivered: 2, rejected: 1)
            }
        }
        await first.stop()
        let second = await bench.log()
        #expect(await second.status().verdicts.isEmpty)
        await second.append(bench.batch(10))
        #expect(await second.peek("a", .live)?.batch == bench.batch(10))
        #expect(await second.drain("a").map(\.batch) == (4..<11).map { bench.batch($0) })
        let balance = await second.balance("a")
        #expect(balance == Balance(sealed: 33, delivered: 8 + 21, rejected: 4, dropped: [:], pending: 0))
    }

    @Test("a killed process loses nothing that was appended")
    func killed() async {
        let bench = SpillBench(disk: disk)
        let first = await bench.log()
        for number in 0..<10 { await first.append(bench.batch(number)) }
        disk.killProcess()
        let second = await bench.log()
        #expect(await second.drain("a").map(\.batch) == (0..<10).map { bench.batch($0) })
        #expect(await second.status().verdicts == [.cursorLost: 1])
    }

    @Test("a demoted batch joins the backlog and live goes on with new ones; replay has the rest in order")
    func demote() async {
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        for number in 0..<3 { await log.append(bench.batch(number)) }
        #expect(await log.peek("a", .live)?.sequence == 1)
        await log.demote(reader: "a")
        #expect(await log.peek("a", .live) == nil)
        await log.append(bench.batch(3))
        #expect(await log.peek("a", .live)?.batch == bench.batch(3))
        #expect(await log.peek("a", .replay)?.batch == bench.batch(0))
        await log.resolve(4, for: "a", delivered: 3, rejected: 0)
        #expect(await log.drain("a").map(\.sequence) == [1, 2, 3])
        #expect(await log.balance("a").isExact)
    }

    @Test("in strict order nothing overtakes the backlog")
    func strict() async {
        var bench = SpillBench(disk: disk)
        bench.settings = smallSpill { $0.strictFIFO = true }
        let first = await bench.log()
        await first.append(bench.batch(0))
        disk.killProcess()
        let log = await bench.log()
        await log.append(bench.batch(1))
        #expect(await log.peek("a", .live) == nil)
        #expect(await log.peek("a", .replay)?.batch == bench.batch(0))
        await log.demote(reader: "a")
        await log.resolve(1, for: "a", delivered: 3, rejected: 0)
        #expect(await log.peek("a", .live)?.batch == bench.batch(1))
    }

    @Test("every reader has its own place, and a segment stays until the last one is through")
    func twoReaders() async {
        var bench = SpillBench(disk: disk)
        bench.readers = ["a", "b"]
        let log = await bench.log()
        for number in 0..<200 { await log.append(bench.batch(number)) }
        let before = disk.paths(ending: ".seg").count
        #expect(before > 1)
        #expect(await log.drain("a").count == 200)
        await log.commit()
        #expect(disk.paths(ending: ".seg").count == before)
        #expect(await log.drain("b").map(\.batch) == (0..<200).map { bench.batch($0) })
        await log.commit()
        #expect(disk.paths(ending: ".seg").count == 1)
    }

    @Test("at the cap by bytes the oldest segment goes, counted exactly, and the newest data stay")
    func capBytes() async {
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        for number in 0..<2000 { await log.append(bench.batch(number)) }
        #expect(await log.totalBytes <= 64 * 1024)
        let drained = await log.drain("a")
        let balance = await log.balance("a")
        #expect(drained.last?.batch == bench.batch(1999))
        #expect(balance.dropped == [.bytes: UInt64(2000 - drained.count) * 3])
        #expect(balance.isExact && balance.pending == 0 && drained.count > 300)
    }

    @Test("segments past the age limit go, but not while the clock is behind the newest")
    func capAge() async {
        var bench = SpillBench(disk: disk)
        bench.settings = smallSpill { $0.ageLimit = .seconds(3600) }
        let log = await bench.log()
        await log.append(bench.batch(0))
        bench.clock.stepWall(.seconds(-7200))
        await log.tidy()
        #expect(await log.balance("a").pending == 3)
        #expect(await log.status().verdicts[.clockStep] == 1)
        bench.clock.stepWall(.seconds(7200 + 3700))
        await log.tidy()
        #expect(await log.balance("a") == Balance(sealed: 3, delivered: 0, rejected: 0, dropped: [.age: 3], pending: 0))
        #expect(await log.peek("a", .live) == nil)
    }

    @Test("a second open of a directory names the holder")
    func lock() throws {
        var template = Array("/tmp/godwit-lock-XXXXXX".utf8CString)
        let made = mkdtemp(&template) != nil
        #expect(made)
        let path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
        defer {
            unlink(path + "/lock")
            rmdir(path)
        }
        func lock() throws -> DirectoryLock {
            try DirectoryLock(directory: path, file: DirectoryLock.spillFile)
        }
        let first = try lock()
        #expect(throws: DirectoryLock.Failure.held(directory: path, pid: getpid())) { try lock() }
        first.release()
        _ = try lock()
    }

    @Test("a removed reader keeps its backlog as an orphan, and takes it up when it comes back")
    func orphan() async {
        var bench = SpillBench(disk: disk)
        bench.readers = ["a", "b"]
        let log = await bench.log()
        await log.append(bench.batch(0))
        await log.setReaders(["a"])
        await log.append(bench.batch(1))
        #expect(await log.status().readers.map(\.isOrphaned) == [false, true])
        #expect(await log.balance("b").pending == 3)
        #expect(await log.drain("a").count == 2)
        await log.stop()
        bench.readers = ["a"]
        let second = await bench.log()
        #expect(await second.status().readers.map(\.backlogPoints) == [0, 3])
        await second.setReaders(["a", "b"])
        await second.append(bench.batch(2))
        #expect(await second.drain("b").map(\.batch) == [bench.batch(0), bench.batch(2)])
        #expect(await second.balance("b").isExact)
        #expect(await second.balance("b").sealed == 6)
    }

    @Test("mode off keeps to memory, drops the oldest and makes no file")
    func off() async {
        var bench = SpillBench(disk: disk)
        bench.settings = smallSpill { $0.mode = .off }
        let log = await bench.log()
        for number in 0..<100 { await log.append(bench.batch(number)) }
        #expect(disk.paths.isEmpty)
        let drained = await log.drain("a")
        let balance = await log.balance("a")
        #expect(drained.last?.batch == bench.batch(99) && drained.count == 40)
        #expect(balance.dropped == [.memoryFull: 180] && balance.isExact)
    }

    @Test("mode on_failure writes nothing while all goes well, and everything at a stop")
    func onFailure() async {
        var bench = SpillBench(disk: disk)
        bench.settings = smallSpill { $0.mode = .onFailure }
        let log = await bench.log()
        for number in 0..<50 {
            await log.append(bench.batch(number))
            #expect(await log.drain("a").count == 1)
        }
        #expect(disk.paths(ending: ".seg").isEmpty)
        for number in 50..<53 { await log.append(bench.batch(number)) }
        #expect(disk.paths(ending: ".seg").isEmpty)
        await log.stop()
        #expect(disk.paths(ending: ".seg").count == 1)
        let second = await bench.log()
        #expect(await second.drain("a").map(\.batch) == (50..<53).map { bench.batch($0) })
        #expect(await second.balance("a").delivered == 159)
    }

    @Test("run serves a waiting sender, commits within the interval and ends by cancellation")
    func running() async throws {
        let bench = SpillBench(disk: disk)
        let log = await bench.log(opening: false)
        await log.append(bench.batch(0))
        let running = Task.detached { try await log.run() }
        await log.ready()
        let batch = try await log.next(for: "a", lane: .live)
        #expect(batch.batch == bench.batch(0))
        await log.resolve(batch.sequence, for: "a", delivered: 3, rejected: 0)
        let waiting = Task.detached { try await log.next(for: "a", lane: .live) }
        await log.append(bench.batch(1))
        #expect(try await waiting.value.batch == bench.batch(1))
        let hopeless = Task.detached { try await log.next(for: "a", lane: .replay) }
        hopeless.cancel()
        await #expect(throws: CancellationError.self) { try await hopeless.value }
        await eventually("both are synced") {
            bench.clock.advance(.milliseconds(100))
            return await log.durableEnd.sequence == 3
        }
        running.cancel()
        try await running.value
        let second = await bench.log()
        let left = await second.drain("a")
        #expect(left.map(\.sequence) == [2])
    }

    @Test("a batch too large for any record is counted, and its neighbours pass")
    func tooLarge() async {
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        await log.append(bench.batch(0))
        await log.append(bench.batch(1, bytes: 5 << 20))
        await log.append(bench.batch(2))
        #expect(await log.drain("a").map(\.batch) == [bench.batch(0), bench.batch(2)])
        #expect(await log.balance("a").dropped == [.undeliverable: 3])
    }

    @Test("a new log publishes its cursors in its first turn and then rests, on a clock that never stands still")
    func restsAfterTheStart() async {
        let log = SpillLog(
            name: "default", directory: "/spill", settings: smallSpill(), readers: ["a"], disk: disk,
            diskLoop: SpillTestLoops.disk, syncLoop: SpillTestLoops.sync, clock: RestlessClock(), random: SpillRandom(1)
        )
        await log.open()
        await log.turn()
        #expect(disk.paths(ending: ".cursor") == ["/spill/default/a.cursor"])
        #expect(await log.nextDeadline() > RestlessClock.start + .milliseconds(100))
        await log.stop()
    }
}

/// A clock that is later each time it is read, as real ones are.
private final class RestlessClock: Clock {
    static let start = Instant(nanoseconds: 1_000_000_000)
    private let reads = Mutex<Int64>(0)

    var now: Instant {
        let count = reads.withLock { count in
            count += 1
            return count
        }
        return RestlessClock.start + .nanoseconds(count)
    }
    var wall: Timestamp { Timestamp(nanoseconds: 1_700_000_000_000_000_000) }
    func sleep(until deadline: Instant) async throws {}
}
