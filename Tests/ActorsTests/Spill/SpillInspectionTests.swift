import Glibc
import Pipeline
import Testing

@testable import Actors

/// A directory of its own under /tmp.
struct SpillDirectory {
    let path: String

    init() {
        var template = Array("/tmp/godwit-spill-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/godwit-spill-none"
    }

    func remove() { Self.remove(path) }

    private static func remove(_ path: String) {
        for entry in (try? LinuxDisk().list(path)) ?? [] {
            let inner = path + "/" + entry.name
            if entry.kind == .directory { remove(inner) } else { unlink(inner) }
        }
        rmdir(path)
    }
}

@Suite("spill inspection and the real disk") struct SpillInspectionTests {
    private func realLog(_ directory: String, readers: [String] = ["a"]) async -> SpillLog {
        let log = SpillLog(
            name: "default", directory: directory, settings: smallSpill(), readers: readers, disk: LinuxDisk(),
            diskLoop: SpillTestLoops.disk, syncLoop: SpillTestLoops.sync, clock: SpillTestClock())
        await log.open()
        return log
    }

    @Test("on the kernel's file system batches survive a stop; links, FIFOs and folders are left alone")
    func realDisk() async {
        let place = SpillDirectory()
        defer { place.remove() }
        let root = place.path + "/made/on/demand"
        let bench = SpillBench(disk: LinuxDisk())
        let first = await realLog(root)
        for number in 0..<100 { await first.append(bench.batch(number)) }
        await first.commit()
        await first.stop()
        let folder = root + "/default"
        mkfifo(folder + "/0000000000000fff.seg", 0o600)
        symlink("/etc/passwd", folder + "/0000000000000ffe.seg")
        symlink("/etc/passwd", folder + "/b.cursor")
        let second = await realLog(root)
        #expect(await second.drain("a").map(\.batch) == (0..<100).map { bench.batch($0) })
        #expect(await second.status().verdicts == [.unknownFile: 3])
        await second.stop()
        var status = stat()
        #expect(lstat(folder + "/b.cursor", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        #expect(stat(folder, &status) == 0 && status.st_mode & 0o777 == 0o700)
        #expect(stat(folder + "/a.cursor", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    @Test("an inspection of a sound stream agrees with the log, record by record")
    func sound() async throws {
        let disk = FakeDisk()
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        for number in 0..<100 { await log.append(bench.batch(number)) }
        _ = await log.peek("a", .live)
        await log.resolve(1, for: "a", delivered: 3, rejected: 0)
        await log.stop()
        let inspection = try SpillInspection(directory: "/spill", stream: "default", disk: disk)
        #expect(inspection.isSound && inspection.segments.reduce(0) { $0 + $1.records } == 100)
        #expect(inspection.readers.first?.balance?.pending == 297)
        var pending: [UInt64] = []
        try SpillInspection.forEachRecord(directory: "/spill", stream: "default", pendingFor: "a", disk: disk) {
            pending.append($0.sequence)
            return true
        }
        #expect(pending == Array(2...100))
    }

    @Test("damage shows in an inspection and changes nothing")
    func damaged() async throws {
        let disk = FakeDisk()
        let bench = SpillBench(disk: disk)
        let log = await bench.log()
        for number in 0..<3 { await log.append(bench.batch(number)) }
        await log.stop()
        let path = disk.paths(ending: ".seg").first ?? ""
        var bytes = disk.contents(path) ?? []
        bytes[140] ^= 1
        disk.put(path, bytes)
        let inspection = try SpillInspection(directory: "/spill", stream: "default", disk: disk)
        #expect(!inspection.isSound && inspection.segments.first?.corruptRecords == 1)
        #expect(disk.contents(path) == bytes)
    }

    @Test("a drop by the operator is counted, and keeps what other outputs need")
    func drop() async throws {
        let disk = FakeDisk()
        var bench = SpillBench(disk: disk)
        bench.readers = ["a", "b"]
        let log = await bench.log()
        for number in 0..<10 { await log.append(bench.batch(number)) }
        await log.stop()
        let one = try SpillInspection.drop(
            directory: "/spill", stream: "default", reader: "a", now: .zero, disk: disk)
        #expect(one.map(\.points) == [30] && disk.paths(ending: ".seg").count == 1)
        let rest = try SpillInspection.drop(
            directory: "/spill", stream: "default", reader: nil, now: .zero, disk: disk)
        #expect(rest.map(\.points) == [0, 30] && disk.paths(ending: ".seg").isEmpty)
        let second = await bench.log()
        for reader in ["a", "b"] {
            let balance = await second.balance(reader)
            #expect(balance.dropped == [.droppedByOperator: 30] && balance.isExact && balance.pending == 0)
        }
        await second.append(bench.batch(10))
        #expect(await second.drain("b").map(\.sequence) == [11])
    }

    @Test("the worked example of docs/spill-format.md is what the code writes")
    func workedExample() {
        var random = SpillRandom(42)
        let header = SegmentHeader(
            start: StreamPosition(sequence: 1, points: 0),
            created: Timestamp(nanoseconds: 1_700_000_000_000_000_000), instance: InstanceID(random: &random),
            salt: 0x1122_3344)
        let batch = Batch(
            pointCount: 1, newest: Timestamp(nanoseconds: 1_700_000_000_000_000_000), codec: .identity,
            payload: Array("cpu usage_idle=99 1700000000000000000\n".utf8))
        let record = RecordHeader(batch, at: header.start, salt: header.salt)
        let hex = (header.bytes + (record?.bytes(salt: header.salt) ?? []))
            .map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
        let lines = stride(from: 0, to: hex.count, by: 16).map {
            hex[$0..<min(hex.count, $0 + 16)].joined(separator: " ")
        }
        let document = (try? LinuxDisk().contents(Self.documentPath, limit: 1 << 20)) ?? []
        let text = String(decoding: document, as: UTF8.self)
        for line in lines { #expect(text.contains(line), "missing in docs/spill-format.md: \(line)") }
    }

    private static var documentPath: String {
        let parts = #filePath.split(separator: "/").dropLast(4)
        return "/" + parts.joined(separator: "/") + "/docs/spill-format.md"
    }
}

@Suite("gzip") struct GzipTests {
    @Test("what is compressed inflates to the same bytes, again and again with one compressor")
    func roundTrip() throws {
        let compressor = GzipCompressor()
        for size in [0, 1, 100, 70_000, 1_000_000] {
            let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 / 7) }
            let packed = try #require(compressor.compress(bytes))
            #expect(try Gzip.inflate(packed, limit: size) == bytes)
            #expect(packed.starts(with: [0x1f, 0x8b]))
        }
    }

    @Test("inflating stops at the limit, and refuses what is cut or damaged")
    func bounded() throws {
        let packed = try #require(GzipCompressor().compress([UInt8](repeating: 0, count: 10_000_000)))
        #expect(packed.count < 100_000)
        #expect(throws: Gzip.Failure.tooLarge) { try Gzip.inflate(packed, limit: 9_999_999) }
        #expect(throws: Gzip.Failure.damaged) { try Gzip.inflate(Array(packed.dropLast()), limit: 20_000_000) }
        #expect(throws: Gzip.Failure.damaged) { try Gzip.inflate([], limit: 10) }
        #expect(throws: Gzip.Failure.damaged) { try Gzip.inflate(Array("plain".utf8), limit: 10) }
    }
}
