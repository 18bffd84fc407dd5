import Actors
import Glibc
import Pipeline

/// What the spill costs a byte: append and drain through the actor, and the scan that recovery makes.
enum SpillBench {
    static let batches = 400

    static func run(_ payload: [UInt8], on loop: MainLoop) async {
        let folder = makeFolder()
        defer { removeTree(folder) }
        let megabytes = Double(payload.count * batches) / 1e6
        let floor = bareAppend(payload, folder + "/bare")
        let disk = WorkLoop(name: "disk")
        let sync = WorkLoop(name: "sync")
        var settings = SpillSettings()
        settings.freeFloorBytes = 0
        settings.freeFloorPercent = 0
        let log = SpillLog(
            name: "default", directory: folder, settings: settings, readers: ["bench"], diskLoop: disk, syncLoop: sync,
            clock: loop)
        let running = Task.detached(executorPreference: loop) { try await log.run() }
        await log.ready()
        let batch = Batch(
            // Of now: older points would expire.
            pointCount: 5_000, newest: loop.wall, codec: .identity, payload: payload)
        var start = processorSeconds()
        for _ in 0..<batches { await log.append(batch) }
        let append = processorSeconds() - start
        Row(
            name: "spill append, synced each MiB, CPU", value: megabytes / append, unit: "MB/s",
            floor: (megabytes / floor, "bare write and fdatasync"), budget: 200
        ).print()
        start = processorSeconds()
        var drained = 0
        while drained < batches, let next = await next(of: log, on: loop) {
            await log.resolve(next.sequence, for: "bench", delivered: next.batch.pointCount, rejected: 0)
            drained += 1
        }
        precondition(drained == batches, "BUG: \(drained) of \(batches) batches came back")
        Row(name: "spill drain (read, acknowledge), CPU", value: megabytes / (processorSeconds() - start), unit: "MB/s")
            .print()
        running.cancel()
        _ = await running.result
        scan(payload)
    }

    /// The next batch; nil when none comes within ten seconds.
    private static func next(of log: SpillLog, on loop: MainLoop) async -> StoredBatch? {
        try? await loop.withDeadline(loop.now + .seconds(10)) { try await log.next(for: "bench", lane: .live) }
    }

    /// The recovery scan over a segment in memory, against a copy of it.
    private static func scan(_ payload: [UInt8]) {
        var generator = SystemRandomNumberGenerator()
        let instance = InstanceID(random: &generator)
        let header = SegmentHeader(start: .origin, created: .zero, instance: instance, salt: 7)
        var segment = header.bytes
        var position = StreamPosition.origin
        while segment.count < 8 << 20 {
            let batch = Batch(pointCount: 5_000, newest: .zero, codec: .identity, payload: payload)
            guard let record = RecordHeader(batch, at: position, salt: 7) else { break }
            segment += record.bytes(salt: 7) + payload
            segment += [UInt8](repeating: 0, count: record.recordLength - RecordHeader.length - payload.count)
            position = record.span.end
        }
        let bytes = segment
        let records = SegmentScan.scan(bytes)?.records.count ?? 0
        precondition(records > 0, "BUG: the scan found nothing")
        let seconds = fastest(repeats: 2) { _ = SegmentScan.scan(bytes) }
        Row(
            name: "segment scan with checksums, CPU", value: Double(bytes.count) / seconds / 1e6, unit: "MB/s",
            floor: (Double(bytes.count) / copySeconds(bytes) / 1e6, "memcpy of the segment"), budget: 500
        ).print()
    }

    /// CPU seconds of writing the same bytes with nothing around them.
    private static func bareAppend(_ payload: [UInt8], _ path: String) -> Double {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer {
            close(descriptor)
            unlink(path)
        }
        let start = processorSeconds()
        var dirty = 0
        for _ in 0..<batches {
            dirty += write(descriptor, payload, payload.count)
            if dirty >= 1 << 20 {
                fdatasync(descriptor)
                dirty = 0
            }
        }
        fdatasync(descriptor)
        return processorSeconds() - start
    }

    private static func makeFolder() -> String {
        let root = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((root + "/gw-bench-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            fatalError("cannot make a folder in \(root)")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes the folder that `makeFolder` made, two levels deep as the spill makes it.
    private static func removeTree(_ path: String, depth: Int = 0) {
        if depth < 4, let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard name != ".", name != ".." else { continue }
                let child = path + "/" + name
                if entry.pointee.d_type == UInt8(DT_DIR) { removeTree(child, depth: depth + 1) } else { unlink(child) }
            }
            closedir(directory)
        }
        rmdir(path)
    }
}
