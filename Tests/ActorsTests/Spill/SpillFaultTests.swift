import Glibc
import Pipeline
import Testing

@testable import Actors

/// A disk that says no while the log runs.
@Suite("spill faults") struct SpillFaultTests {
    let disk = FakeDisk()

    @Test("EIO on the nth sync: nothing lost, and no file is ever synced a second time", arguments: 1...20)
    func failedSync(_ nth: Int) async {
        let bench = SpillBench(disk: disk)
        disk.update { $0.failingSyncs = [nth] }
        let log = await bench.log()
        for number in 0..<150 {
            await log.append(bench.batch(number))
            if number % 9 == 0 { await log.commit() }
        }
        await log.commit()
        #expect(await log.status().state == .ok)
        var random = SpillRandom(UInt64(nth))
        disk.cutPower(&random)
        #expect(disk.state.withLock { $0.resyncs } == 0)
        let second = await bench.log()
        #expect(await second.drain("a").map(\.batch) == (0..<150).map { bench.batch($0) })
        #expect(await second.balance("a").isExact)
    }

    @Test("EIO on the nth write: a new segment, nothing lost", arguments: 1...20)
    func failedWrite(_ nth: Int) async {
        let bench = SpillBench(disk: disk)
        disk.update { $0.failingWrites = [nth] }
        let log = await bench.log()
        for number in 0..<30 { await log.append(bench.batch(number)) }
        await log.commit()
        disk.killProcess()
        let second = await bench.log()
        #expect(await second.drain("a").map(\.batch) == (0..<30).map { bench.batch($0) })
    }

    @Test("short writes are completed")
    func shortWrites() async {
        let bench = SpillBench(disk: disk)
        disk.update { $0.writesShort = true }
        let log = await bench.log()
        for number in 0..<100 { await log.append(bench.batch(number)) }
        disk.killProcess()
        let second = await bench.log()
        #expect(await second.drain("a").map(\.batch) == (0..<100).map { bench.batch($0) })
        #expect(await second.status().verdicts == [.cursorLost: 1])
    }

    @Test("disk full: own oldest segments go first, then memory; both counted, and it recovers alone")
    func full() async {
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        for number in 0..<60 { await log.append(bench.batch(number)) }
        disk.update { $0.capacity = 3_000 }
        for number in 60..<200 { await log.append(bench.batch(number)) }
        #expect(await log.status().state == .memory)
        var balance = await log.balance("a")
        #expect(balance.isExact && (balance.dropped[.diskFull] ?? 0) > 0 && balance.dropped.count == 1)
        disk.update { $0.capacity = nil }
        bench.clock.advance(.seconds(61))
        await log.turn()
        await log.append(bench.batch(200))
        #expect(await log.status().state == .ok)
        await log.commit()
        disk.killProcess()
        let second = await bench.log()
        let drained = await second.drain("a")
        #expect(drained.last?.batch == bench.batch(200))
        balance = await second.balance("a")
        #expect(balance.isExact && balance.sealed == 603)
        #expect(balance.droppedTotal == UInt64(201 - drained.count) * 3)
    }

    @Test("below the floor of free space the spill stops growing")
    func floor() async {
        var bench = SpillBench(disk: disk)
        bench.settings = smallSpill { $0.freeFloorBytes = 30_000 }
        disk.update { $0.capacity = 60_000 }
        let log = await bench.log()
        for number in 0..<500 { await log.append(bench.batch(number)) }
        let free = (try? disk.space("/")).map { $0.free } ?? 0
        #expect(free >= 29_000)
        #expect(await log.balance("a").isExact)
    }

    @Test("a directory deleted while running is made again; what memory still held is not lost")
    func directoryDeleted() async {
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        for number in 0..<100 { await log.append(bench.batch(number)) }
        await log.commit()
        for path in disk.paths { disk.delete(path) }
        disk.update { $0.directories = [] }
        await log.append(bench.batch(100))
        await log.commit()
        await log.commit()
        #expect(await log.status().state == .ok)
        #expect(await log.status().verdicts[.directoryLost] == 1)
        disk.killProcess()
        let second = await bench.log()
        let drained = await second.drain("a")
        #expect(drained.last?.batch == bench.batch(100) && drained.count >= 30)
        let balance = await second.balance("a")
        #expect(balance.isExact && balance.droppedTotal == UInt64(101 - drained.count) * 3)
    }

    @Test("a record that cannot be read twice is skipped and counted; what can be read again is not")
    func readError() async {
        let bench = SpillBench(disk: disk)
        let first = await bench.log()
        for number in 0..<100 { await first.append(bench.batch(number)) }
        await first.stop()
        let log = await bench.log()
        disk.update { $0.readFailure = EIO }
        let fetched = await log.fetch("a", .replay)
        guard case .retry = fetched else {
            Issue.record("expected a retry")
            return
        }
        disk.update { $0.readFailure = nil }
        #expect(await log.peek("a", .replay)?.batch == bench.batch(0))
        await log.resolve(1, for: "a", delivered: 3, rejected: 0)
        disk.update { $0.readFailure = EIO }
        #expect(await log.peek("a", .replay) == nil)
        let balance = await log.balance("a")
        #expect(balance.isExact && balance.dropped[.readError] == 297)
    }

    @Test("a sync that hangs stops neither append nor reading")
    func hangingSync() async {
        let disk = HangingDisk()
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        await log.append(bench.batch(0))
        let commit = Task.detached { await log.commit() }
        await disk.started()
        await log.append(bench.batch(1))
        #expect(await log.drain("a").count == 2)
        disk.release()
        _ = await commit.value
    }
}
