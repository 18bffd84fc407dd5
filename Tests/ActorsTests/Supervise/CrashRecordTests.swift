import Actors
import CLinux
import Glibc
import Pipeline
import Testing

@Suite("CrashRecord", .serialized)
struct CrashRecordTests {
    private let directory = TemporaryDirectory()
    private let now = Timestamp(nanoseconds: 1_800_000_000_000_000_000)

    private func open() -> CrashRecord {
        CrashRecord(directory: directory.path, names: ["cpu", "disk"], version: "1", now: now)
    }

    /// What a fatal signal in the middle of a gather leaves behind, without one.
    private func crash(_ record: CrashRecord, in name: String) {
        record.enter(name)
        var bytes = SmallFile.read(directory.path + "/crash-record", limit: 10_000)
        bytes[CrashLedger.Offset.signal] = 4
        let descriptor = godwit_open(directory.path + "/crash-record", O_WRONLY, 0)
        #expect(write(descriptor, bytes, bytes.count) == bytes.count)
        close(descriptor)
    }

    @Test("who is at work is in the file at once, and gone after the gather")
    func marks() {
        let record = open()
        #expect(record.failure == nil)
        let idle = SmallFile.read(directory.path + "/crash-record", limit: 10_000)
        #expect(idle.count == CrashLedger.byteCount)
        record.enter("disk")
        let busy = SmallFile.read(directory.path + "/crash-record", limit: 10_000)
        #expect(busy[CrashLedger.slotBytes + CrashLedger.Offset.entryInSlot] == 1)
        record.leave("disk")
        let after = SmallFile.read(directory.path + "/crash-record", limit: 10_000)
        #expect(after[CrashLedger.slotBytes + CrashLedger.Offset.entryInSlot] == 0)
    }

    @Test("the third crash parks the collector, and nobody else")
    func parks() {
        for _ in 0..<3 {
            let record = open()
            #expect(record.verdicts.isEmpty)
            record.enter("cpu")
            record.leave("cpu")
            crash(record, in: "disk")
        }
        #expect(open().verdicts.keys.sorted() == ["disk"])
    }

    @Test("a directory that cannot be written costs the attribution only")
    func noDirectory() {
        let record = CrashRecord(directory: "/proc/nowhere", names: ["cpu"], version: "1", now: now)
        #expect(record.failure != nil)
        record.enter("cpu")
        record.leave("cpu")
    }
}
