import Pipeline
import Testing

@Suite("Tables and number files of the kernel")
struct KernelTableTests {
    static let interrupts = """
                   CPU0       CPU1       CPU10
          24:          1          0          7  IO-APIC   5-edge      ACPI:Ged, "a=b"
          25:          0          1          2
         NMI:          3          4          5   Non-maskable   interrupts
         ERR:          9
         MIS:
           x          1          2          3
          26:          1       x          3  IO-APIC
        """
    static let conntrack = """
        entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  \
        expect_new expect_create expect_delete search_restart
        0000000a  00000001 00000002 00000000 FFFFFFFF 00000000 0 0 0 0 0 0 0  0 0 0 000000ff
        0000000a  00000001 00000002 00000000 00000001 00000000 0 0 0 0 0 0 0  0 0 0 00000001
        1 2 3
        """

    @Test("interrupts: rows with all, some and no counts; odd rows are passed")
    func rows() throws {
        let bytes = Array(KernelTableTests.interrupts.utf8)
        let table = try ProcInterrupts.parse(bytes, source: "interrupts")
        let cursor = ByteCursor(bytes)
        #expect(table.cpus.map(cursor.text) == ["CPU0", "CPU1", "CPU10"])
        #expect(table.rows.map { cursor.text($0.name) } == ["24", "25", "NMI", "ERR", "MIS"])
        #expect(table.rows.map { Array(table.counts[$0.counts]) } == [[1, 0, 7], [0, 1, 2], [3, 4, 5], [9], []])
        #expect(table.rows.map(\.isNumbered) == [true, true, false, false, false])
    }

    @Test("interrupts: a numbered one has type and device, a named one a description; runs of blanks are one")
    func tags() throws {
        let bytes = Array(KernelTableTests.interrupts.utf8)
        let table = try ProcInterrupts.parse(bytes, source: "interrupts")
        let tags = table.rows.map { row in
            ProcInterrupts.tags(row, bytes).map { "\($0.key)=\($0.value)" }.joined(separator: ";")
        }
        #expect(
            tags == [
                "irq=24;device=5-edge ACPI:Ged, \"a=b\";type=IO-APIC", "irq=25", "irq=NMI;type=Non-maskable interrupts",
                "irq=ERR", "irq=MIS",
            ])
    }

    @Test("interrupts: a heading that does not begin with CPU0 is an error", arguments: ["", "\n", "CPU1 CPU2\n", "x"])
    func headings(_ text: String) {
        #expect(throws: ParseError.self) { try ProcInterrupts.parse(Array(text.utf8), source: "interrupts") }
    }

    @Test("conntrack: 17 hexadecimal numbers a CPU, other lines are passed")
    func conntrackRows() throws {
        let rows = try ConntrackStat.parse(Array(KernelTableTests.conntrack.utf8))
        #expect(rows.count == 2)
        #expect(rows[0][0] == 10 && rows[0][4] == 0xFFFF_FFFF && rows[0][16] == 255)
        #expect(throws: ParseError.self) {
            try ConntrackStat.parse(Array("1 2 3 4 5 6 7 8 9 a b c d e f g 11\n".utf8))
        }
    }

    @Test("number files: lists and decimals, and what is neither")
    func numbers() throws {
        #expect(try NumberFile.list(Array("3\t4\t0\n".utf8), limit: 2, source: "x") == [3, 4])
        for text in ["", "\n", "-1\n", "1x", "18446744073709551616"] {
            #expect(throws: ParseError.self) { try NumberFile.list(Array(text.utf8), limit: 3, source: "x") }
        }
        let decimals = ["45000\n", " -1.5 ", "+2", "", "-", "--1", "+-1", "x", "nan", "inf"]
        #expect(
            decimals.map { NumberFile.decimal(Array($0.utf8)) } == [45000, -1.5, 2, nil, nil, nil, nil, nil, nil, nil])
    }

    @Test("cut at every byte, and at every line end, none of them traps")
    func cuts() {
        for text in [KernelTableTests.interrupts, KernelTableTests.conntrack, "1\t2\t3\n", "-12.5\n"] {
            let bytes = Array(text.utf8)
            for end in 0...bytes.count {
                let part = Array(bytes[..<end])
                if let table = try? ProcInterrupts.parse(part, source: "x") {
                    for row in table.rows { _ = (ProcInterrupts.tags(row, part), table.counts[row.counts]) }
                }
                _ = try? ConntrackStat.parse(part)
                _ = try? NumberFile.list(part, limit: 4, source: "x")
                _ = NumberFile.decimal(part)
            }
        }
    }

    @Test("a row of fields keeps its schema while the columns stay, and is nothing without fields")
    func fieldRow() {
        var row = FieldRow()
        var samples = SampleSet()
        let series = Series("m")
        for (index, hasB) in [true, true, false, true].enumerated() {
            row.begin()
            row.int("a", Int64(index))
            row.uint("b", hasB ? .max : nil)
            row.string("c", "x,\"y\"\n")
            row.float("d", 0.5)
            row.append(series, at: Timestamp(nanoseconds: 0), to: &samples)
        }
        row.begin()
        row.append(series, at: Timestamp(nanoseconds: 0), to: &samples)
        #expect(samples.rows.count == 4 && samples.isComplete)
        #expect(samples.rows[0].schema === samples.rows[1].schema)
        #expect(samples.rows[0].schema === samples.rows[3].schema)
        #expect(samples.rows[2].schema.fields.map(\.key) == ["a", "c", "d"])
        for column in 0..<40 {
            row.begin()
            row.int("k\(column)", 1)
            row.append(series, at: Timestamp(nanoseconds: 0), to: &samples)
        }
        #expect(samples.rows.last?.schema.fields.map(\.key) == ["k39"])
    }

    @Test("a series is the same object while it is seen every tick, and forgotten after")
    func seriesCache() {
        var cache = SeriesCache()
        let first = cache.series("m", [Tag("a", "1")])
        #expect(cache.series("m", [Tag("a", "1")]) === first)
        cache.finish()
        #expect(cache.series("m", [Tag("a", "1")]) === first)
        _ = cache.series("n", [Tag("a", "1")])
        cache.finish()
        #expect(cache.count == 2)
        cache.finish()
        #expect(cache.count == 0)
    }
}
