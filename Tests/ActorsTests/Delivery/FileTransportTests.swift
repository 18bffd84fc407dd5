import Actors
import CLinux
import Glibc
import Pipeline
import Testing

@Suite struct FileTransportTests {
    private let directory: String
    private let clock = ManualClock(wall: DeliveryEdge.clock.wall)

    init() throws {
        var template = Array("/tmp/godwit-files-XXXXXX".utf8CString)
        #expect(mkdtemp(&template) != nil)
        directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress ?? UnsafePointer(strdup(""))) }
    }

    private func transport(_ change: (inout FileSettings) -> Void = { _ in }) -> FileTransport {
        var settings = FileSettings(directory: "\(directory)/a/metrics")
        change(&settings)
        return FileTransport(settings: settings, loop: DeliveryEdge.disk, clock: clock)
    }

    private func send(_ transport: FileTransport, _ batch: Batch) async -> DeliveryOutcome {
        await transport.send(batch, id: BatchID(instance: "i", sequence: 1), deadline: .distantFuture)
    }

    private func names() -> [String] {
        var names: [String] = []
        guard let handle = opendir("\(directory)/a/metrics") else { return [] }
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        closedir(handle)
        return names.sorted()
    }

    private func content(_ name: String = "metrics.lp") -> [UInt8] {
        let file = godwit_open("\(directory)/a/metrics/\(name)", O_RDONLY, 0)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = read(file, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }

    private func mode(_ path: String) -> UInt32 {
        var status = stat()
        return lstat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test("batches are appended as text, compressed or not, in private files")
    func appends() async {
        let transport = transport()
        let batch = lines(3)
        let packed = GzipCompressor().compress(batch.payload) ?? []
        #expect(await send(transport, batch) == .delivered)
        #expect(await send(transport, Batch(pointCount: 3, newest: .zero, codec: .gzip, payload: packed)) == .delivered)
        #expect(content() == batch.payload + batch.payload)
        #expect(mode("\(directory)/a/metrics") == 0o700)
        #expect(mode("\(directory)/a/metrics/metrics.lp") == 0o600)
        #expect(await transport.probe(deadline: .distantFuture) == .good)
    }

    @Test("files rotate by size and age, the oldest go, the bound holds")
    func rotates() async {
        let transport = transport {
            $0.rotationBytes = 1000
            $0.filesLimit = 4
        }
        let batch = lines(20)
        for _ in 0..<20 {
            #expect(await send(transport, batch) == .delivered)
            clock.advance(by: .seconds(1))
        }
        #expect(names().count == 4)
        #expect(names().allSatisfy { content($0).count <= 1000 })
        // Two batches fit into a file, so three old files reach back six seconds.
        #expect(names().first == "metrics-\(UTCTime(clock.wall + .seconds(-6)).stamp).lp")
        let before = names()
        clock.advance(by: .seconds(3601))
        #expect(await send(transport, lines(1)) == .delivered)
        #expect(names() != before)
        #expect(content() == lines(1).payload)
    }

    @Test("two rotations in one second keep both files")
    func sameSecond() async {
        let transport = transport { $0.rotationBytes = 10 }
        for _ in 0..<4 { #expect(await send(transport, lines(1)) == .delivered) }
        #expect(names().count == 4)
    }

    @Test("a line that a crash cut in half is cut off before the next batch")
    func tornLine() async {
        let first = transport()
        _ = await send(first, lines(2))
        await first.close()
        let path = "\(directory)/a/metrics/metrics.lp"
        let file = godwit_open(path, O_WRONLY | O_APPEND, 0)
        _ = Array("m,host=a v=".utf8).withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
        #expect(await send(transport(), lines(1)) == .delivered)
        #expect(content() == lines(2).payload + lines(1).payload)
    }

    @Test("a removed file or directory is made again, a planted link or FIFO is refused")
    func hostileDirectory() async {
        let transport = transport()
        _ = await send(transport, lines(1))
        let path = "\(directory)/a/metrics/metrics.lp"
        unlink(path)
        rmdir("\(directory)/a/metrics")
        #expect(await send(transport, lines(2)) == .delivered)
        #expect(content() == lines(2).payload)
        unlink(path)
        symlink("/etc/hostname", path)
        #expect(await send(transport, lines(1)).outcomeClass == .unavailable)
        unlink(path)
        mkfifo(path, 0o600)
        #expect(await send(transport, lines(1)).outcomeClass == .unavailable)
        unlink(path)
        #expect(await send(transport, lines(1)) == .delivered)
    }

    @Test("a directory that cannot be is unavailable, with its reason")
    func unusableDirectory() async {
        let transport = transport { $0.directory = "/dev/full/x" }
        let outcome = await send(transport, lines(1))
        #expect(outcome.outcomeClass == .unavailable, "\(outcome)")
    }
}
