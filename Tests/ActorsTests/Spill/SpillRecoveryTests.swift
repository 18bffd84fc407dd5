import Glibc
import Pipeline
import Testing

@testable import Actors

/// Every situation of the recovery table, on a directory damaged by hand.
@Suite("spill recovery") struct SpillRecoveryTests {
    let disk = FakeDisk()

    /// A directory after a clean stop with `count` pending batches of 3 points, and the path of its first segment.
    private func stopped(_ bench: SpillBench, count: Int) async -> String {
        let log = await bench.log()
        for number in 0..<count { await log.append(bench.batch(number)) }
        await log.stop()
        return disk.paths(ending: ".seg").first ?? ""
    }

    @Test("a segment cut at every byte keeps every whole record, and the balance counts the rest")
    func everyCut() async {
        let bench = SpillBench(disk: disk)
        let path = await stopped(bench, count: 3)
        let bytes = disk.contents(path) ?? []
        for length in bytes.indices {
            let copy = disk.copy()
            copy.put(path, Array(bytes.prefix(length)))
            var other = bench
            other.disk = copy
            let log = await other.log()
            let drained = await log.drain("a")
            let balance = await log.balance("a")
            let whole = (0..<3).filter { SegmentHeader.length + $0 * 152 + 148 <= length }.count
            #expect(drained.map(\.batch) == (0..<whole).map { bench.batch($0) }, "cut at \(length)")
            #expect(balance.isExact && balance.sealed == 9 && balance.pending == 0, "cut at \(length): \(balance)")
        }
    }

    @Test("any flipped bit costs at most the record it hits, counted exactly")
    func everyBit() async {
        let bench = SpillBench(disk: disk)
        let path = await stopped(bench, count: 3)
        let bytes = disk.contents(path) ?? []
        for index in bytes.indices {
            let copy = disk.copy()
            var flipped = bytes
            flipped[index] ^= 1 << UInt8(index % 8)
            copy.put(path, flipped)
            var other = bench
            other.disk = copy
            let log = await other.log()
            let drained = await log.drain("a").map(\.sequence)
            let balance = await log.balance("a")
            var expected: [UInt64] = [1, 2, 3]
            if index < SegmentHeader.length {
                expected = []
            } else if index < SegmentHeader.length + 3 * 152, (index - SegmentHeader.length) % 152 < 148 {
                expected.remove(at: (index - SegmentHeader.length) / 152)
            }
            #expect(drained == expected, "byte \(index)")
            #expect(balance.isExact && balance.sealed == 9 && balance.pending == 0, "byte \(index): \(balance)")
            #expect(balance.droppedTotal == UInt64(3 - expected.count) * 3, "byte \(index): \(balance)")
        }
    }

    @Test("a torn tail is cut off and counted, and its number is not lost to the balance")
    func tornTail() async {
        let bench = SpillBench(disk: disk)
        let first = await bench.log()
        for number in 0..<3 { await first.append(bench.batch(number)) }
        let path = disk.paths(ending: ".seg").first ?? ""
        disk.killProcess()
        disk.put(path, Array((disk.contents(path) ?? []).dropLast(9)))
        let log = await bench.log()
        #expect(await log.status().verdicts[.tornTail] == 1)
        #expect(disk.contents(path)?.count == SegmentHeader.length + 2 * 152)
        await log.append(bench.batch(3))
        #expect(await log.drain("a").map(\.batch) == [0, 1, 3].map { bench.batch($0) })
        #expect(await log.balance("a").isExact)
    }

    @Test("a missing, short, damaged or foreign cursor costs duplicates only", arguments: 0..<4)
    func cursors(_ kind: Int) async {
        let bench = SpillBench(disk: disk)
        let first = await bench.log()
        for number in 0..<6 { await first.append(bench.batch(number)) }
        for sequence in UInt64(1)...2 {
            _ = await first.peek("a", .live)
            await first.resolve(sequence, for: "a", delivered: 3, rejected: 0)
        }
        await first.stop()
        let path = "/spill/default/a.cursor"
        var bytes = disk.contents(path) ?? []
        switch kind {
        case 0: disk.delete(path)
        case 1: disk.put(path, Array(bytes.prefix(700)))
        case 2:
            bytes[300] ^= 4
            disk.put(path, bytes)
        default:
            guard let cursor = CursorSlots.newest(bytes) else { break }
            var random = SpillRandom(99)
            let foreign = Cursor(
                instance: InstanceID(random: &random), written: .zero, pending: cursor.pending, end: cursor.end)
            disk.put(path, foreign.bytes)
        }
        let log = await bench.log()
        #expect(await log.status().verdicts == [kind == 3 ? .cursorForeign : .cursorLost: 1])
        #expect(await log.drain("a").map(\.batch) == (0..<6).map { bench.batch($0) })
        let balance = await log.balance("a")
        #expect(balance.isExact && balance.delivered == 18)
    }

    @Test("a cursor beyond the data never lets a number be used twice")
    func cursorAhead() async {
        let bench = SpillBench(disk: disk)
        let path = await stopped(bench, count: 5)
        disk.delete(path)
        let log = await bench.log()
        await log.append(bench.batch(9))
        #expect(await log.drain("a").map(\.sequence) == [6])
        #expect(await log.balance("a").dropped == [.missingSegment: 15])
        #expect(await log.balance("a").isExact)
    }

    @Test("a segment that a killed process left unsealed outlives the acknowledged one after it")
    func unsealedBeforeAcknowledged() async throws {
        var bench = SpillBench(disk: disk)
        let first = await bench.log()
        for number in 0..<2 { await first.append(bench.batch(number)) }
        await first.commit()
        // Killed: what was written stays, nothing is sealed.
        let afterFirst = disk.copy()
        bench.disk = afterFirst
        let second = await bench.log()
        await second.append(bench.batch(2))
        let live = try await second.next(for: "a", lane: .live)
        #expect(live.sequence == 3)
        await second.resolve(3, for: "a", delivered: 3, rejected: 0)
        await second.commit()
        let afterSecond = afterFirst.copy()
        bench.disk = afterSecond
        let third = await bench.log()
        // The acknowledged segment goes while it is the last one.
        await third.commit()
        await third.append(bench.batch(3))
        await third.commit()
        bench.disk = afterSecond.copy()
        let fourth = await bench.log()
        let drained = await fourth.drain("a").map(\.sequence)
        let balance = await fourth.balance("a")
        #expect(drained == [1, 2, 4])
        #expect(balance.isExact && balance.droppedTotal == 0, "\(balance)")
    }

    @Test("a segment missing in the middle is counted to the point")
    func missingSegment() async {
        let bench = SpillBench(disk: disk)
        _ = await stopped(bench, count: 150)
        let paths = disk.paths(ending: ".seg")
        #expect(paths.count == 3)
        disk.delete(paths[1])
        let log = await bench.log()
        let drained = await log.drain("a")
        let balance = await log.balance("a")
        #expect(balance.isExact && balance.sealed == 450)
        #expect(balance.dropped == [.missingSegment: UInt64(150 - drained.count) * 3])
    }

    @Test("a damaged header sends the segment to quarantine, at most two of them")
    func quarantine() async {
        let bench = SpillBench(disk: disk)
        _ = await stopped(bench, count: 250)
        for path in disk.paths(ending: ".seg").prefix(3) {
            var bytes = disk.contents(path) ?? []
            bytes[20] ^= 1
            disk.put(path, bytes)
        }
        let log = await bench.log()
        let status = await log.status()
        #expect(status.verdicts[.quarantined] == 3 && status.quarantinedBytes > 0)
        #expect(disk.paths.filter { $0.contains("/quarantine/") }.count == 2)
        #expect(await log.drain("a").last?.batch == bench.batch(249))
        let balance = await log.balance("a")
        #expect(balance.isExact && balance.sealed == 750 && balance.pending == 0)
    }

    @Test("junk is left alone and never followed; empty and zero segments go; leftovers go")
    func junk() async {
        let bench = SpillBench(disk: disk)
        _ = await stopped(bench, count: 2)
        let folder = SpillBench.folder
        disk.put(folder + "/notes.txt", [1, 2, 3])
        disk.put(folder + "/00000000000000ff.seg", [])
        disk.put(folder + "/0000000000000100.seg", [UInt8](repeating: 0, count: 500))
        disk.put(folder + "/a.cursor.tmp", [7])
        disk.update { $0.directories.insert(folder + "/0000000000000200.seg") }
        let log = await bench.log()
        let verdicts = await log.status().verdicts
        #expect(verdicts[.unknownFile] == 2 && verdicts[.emptySegment] == 2)
        #expect(disk.contents(folder + "/notes.txt") == [1, 2, 3])
        #expect(!disk.exists(folder + "/a.cursor.tmp") && !disk.exists(folder + "/00000000000000ff.seg"))
        #expect(await log.drain("a").count == 2)
    }

    @Test("a later format version is not touched: memory only")
    func newer() async {
        let bench = SpillBench(disk: disk)
        let path = await stopped(bench, count: 2)
        var bytes = disk.contents(path) ?? []
        bytes[8] = 2
        let sum = CRC32C.checksum(Array(bytes.prefix(60)), seed: 0)
        bytes.replaceSubrange(60..<64, with: (0..<4).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) })
        disk.put(path, bytes)
        let before = disk.paths.map { disk.contents($0) }
        let log = await bench.log()
        for number in 0..<5 { await log.append(bench.batch(number)) }
        #expect(await log.status().state == .unsupported)
        #expect(await log.drain("a").count == 5)
        await log.stop()
        #expect(disk.paths.map { disk.contents($0) } == before)
    }

    @Test("a directory that cannot be opened at the start is taken up later, behind what it holds")
    func lateRecovery() async {
        let bench = SpillBench(disk: disk)
        _ = await stopped(bench, count: 4)
        disk.update { $0.failure = EACCES }
        let log = await bench.log()
        #expect(await log.status().state == .memory)
        for number in 4..<8 { await log.append(bench.batch(number)) }
        let early = await log.peek("a", .live)
        #expect(early?.batch == bench.batch(4))
        await log.resolve(early?.sequence ?? 0, for: "a", delivered: 3, rejected: 0)
        disk.update { $0.failure = nil }
        bench.clock.advance(.seconds(61))
        await log.turn()
        #expect(await log.status().state == .ok)
        #expect(await log.drain("a").map(\.batch) == [0, 1, 2, 3, 5, 6, 7].map { bench.batch($0) })
        let balance = await log.balance("a")
        #expect(balance == Balance(sealed: 24, delivered: 24, rejected: 0, dropped: [:], pending: 0))
    }

    @Test("an output that a reload takes away before the directory can be opened stays away, with what was its own")
    func lateRecoveryWithoutAReader() async {
        var bench = SpillBench(disk: disk)
        bench.readers = ["a", "b"]
        disk.update { $0.failure = EACCES }
        let log = await bench.log()
        for number in 0..<4 { await log.append(bench.batch(number)) }
        await log.setReaders(["a"])
        for number in 4..<6 { await log.append(bench.batch(number)) }
        disk.update { $0.failure = nil }
        bench.clock.advance(.seconds(61))
        await log.turn()
        await log.append(bench.batch(6))
        #expect(await log.status().readers.filter(\.isOrphaned).map(\.name) == ["b"])
        #expect(await log.balance("b") == Balance(sealed: 12, delivered: 0, rejected: 0, dropped: [:], pending: 12))
        #expect(await log.drain("a").map(\.batch) == (0..<7).map { bench.batch($0) })
        await log.setReaders(["a", "b"])
        #expect(await log.drain("b").map(\.batch) == (0..<4).map { bench.batch($0) })
    }
}
