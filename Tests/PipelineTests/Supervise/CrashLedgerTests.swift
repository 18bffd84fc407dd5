import Pipeline
import Testing

@Suite("CrashLedger")
struct CrashLedgerTests {
    private let names = ["cpu", "disk"]

    private func time(_ seconds: Int64) -> Timestamp {
        Timestamp(nanoseconds: (1_800_000_000 + seconds) * 1_000_000_000)
    }

    /// The page that a process leaves behind that ran `entered` and died of `signal`.
    private func page(_ before: [UInt8], entered: [String], signal: UInt8, at seconds: Int64) -> [UInt8] {
        var ledger = CrashLedger(bytes: before, version: "1")
        _ = ledger.begin(names: names, now: time(seconds))
        var places: [Int] = []
        for name in entered { places.append(ledger.place(for: name) ?? 0) }
        var bytes = ledger.encoded()
        for (order, place) in places.enumerated() {
            bytes[place * CrashLedger.slotBytes + CrashLedger.Offset.entryInSlot] = UInt8(order + 1)
        }
        bytes[CrashLedger.Offset.signal] = signal
        return bytes
    }

    private func verdicts(_ bytes: [UInt8], at seconds: Int64, version: String = "1") -> [CrashLedger.Verdict] {
        var ledger = CrashLedger(bytes: bytes, version: version)
        return ledger.begin(names: names, now: time(seconds))
    }

    @Test("three crashes in ten minutes park the collector that was at work")
    func parksAfterThree() {
        var bytes: [UInt8] = []
        for second in [Int64(0), 3, 6] {
            #expect(verdicts(bytes, at: second).isEmpty)
            bytes = page(bytes, entered: ["disk"], signal: 4, at: second)
        }
        let found = verdicts(bytes, at: 9)
        #expect(found.map(\.name) == ["disk"])
        #expect(found.first?.start.delay == .seconds(300))
    }

    @Test("three crashes spread over more than ten minutes park nobody")
    func spread() {
        var bytes: [UInt8] = []
        for second in [Int64(0), 700, 1_400] { bytes = page(bytes, entered: ["disk"], signal: 4, at: second) }
        #expect(verdicts(bytes, at: 1_410).isEmpty)
    }

    @Test("being killed from outside counts for nobody")
    func killed() {
        var bytes: [UInt8] = []
        for second in 0..<10 { bytes = page(bytes, entered: ["disk"], signal: 0, at: Int64(second)) }
        #expect(verdicts(bytes, at: 10).isEmpty)
    }

    @Test("of two at work the one that began last is blamed")
    func blame() {
        var bytes: [UInt8] = []
        for second in 0..<3 { bytes = page(bytes, entered: ["cpu", "disk"], signal: 11, at: Int64(second)) }
        #expect(verdicts(bytes, at: 4).map(\.name) == ["disk"])
    }

    @Test("a crash in the trial after a parking doubles it, up to an hour")
    func doubles() {
        var bytes: [UInt8] = []
        for second in 0..<3 { bytes = page(bytes, entered: ["disk"], signal: 4, at: Int64(second)) }
        var second = Int64(3)
        for expected in [Int64(300), 600, 1_200, 2_400, 3_600, 3_600] {
            #expect(verdicts(bytes, at: second).first?.start.delay == .seconds(expected))
            // The process that parked it tries it when its time has come, and dies.
            second += expected
            var ledger = CrashLedger(bytes: bytes, version: "1")
            _ = ledger.begin(names: names, now: time(second - expected))
            let place = ledger.place(for: "disk") ?? 0
            bytes = ledger.encoded()
            bytes[place * CrashLedger.slotBytes + CrashLedger.Offset.entryInSlot] = 1
            bytes[CrashLedger.Offset.signal] = 4
        }
    }

    @Test("a parked collector stays parked over a restart for another reason")
    func staysParked() {
        var bytes: [UInt8] = []
        for second in 0..<3 { bytes = page(bytes, entered: ["disk"], signal: 4, at: Int64(second)) }
        bytes = page(bytes, entered: [], signal: 0, at: 3)
        #expect(verdicts(bytes, at: 103).first?.start.delay == .seconds(200))
        #expect(verdicts(bytes, at: 400).isEmpty)
    }

    @Test("another version starts with a clean page, and damaged bytes mean no history")
    func clean() {
        var bytes: [UInt8] = []
        for second in 0..<3 { bytes = page(bytes, entered: ["disk"], signal: 4, at: Int64(second)) }
        #expect(verdicts(bytes, at: 4).count == 1)
        #expect(verdicts(bytes, at: 4, version: "2").isEmpty)
        for length in 0..<128 { #expect(verdicts(Array(bytes.prefix(length)), at: 4).isEmpty) }
        for index in 0..<bytes.count {
            var broken = bytes
            broken[index] = 0xFF
            _ = verdicts(broken, at: 4)
        }
        #expect(verdicts([UInt8](repeating: 0xFF, count: CrashLedger.byteCount), at: 4).isEmpty)
    }

    @Test("a wall clock that stepped back parks nobody for long")
    func clockStep() {
        var bytes: [UInt8] = []
        for second in 0..<3 { bytes = page(bytes, entered: ["disk"], signal: 4, at: Int64(second)) }
        #expect(verdicts(bytes, at: -1_000_000).isEmpty)
    }

    @Test("63 collectors have a place, more are not attributed")
    func full() {
        var ledger = CrashLedger(bytes: [], version: "1")
        #expect(Set((0..<63).compactMap { ledger.place(for: "input\($0)") }) == Set(1...63))
        #expect(ledger.place(for: "one more") == nil)
        #expect(ledger.place(for: "input7") == 8)
    }
}
