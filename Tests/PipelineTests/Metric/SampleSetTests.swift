import Testing

@testable import Pipeline

// Swift Testing has a Tag too.
private typealias Tag = Pipeline.Tag

@Suite("Sample sets, series and schemas")
struct SampleSetTests {
    private let schema = Schema([.float("b"), .string("a"), .bool("c"), .int("d")])

    @Test("rows stand one after another, strings in a side table")
    func rows() {
        var set = SampleSet()
        #expect(set.isEmpty && set.isComplete)
        for row in 0..<2 {
            set.append(Series("m"), schema, at: Timestamp(nanoseconds: Int64(row)))
            #expect(!set.isComplete)
            set.float(1.5)
            set.string("s\(row)")
            set.bool(true)
            set.int(-1)
            #expect(set.isComplete)
        }
        #expect(set.rows.map(\.firstCell) == [0, 4])
        #expect(set.strings == ["s0", "s1"])
        #expect(Array(set.cells[4...]) == [Double(1.5).bitPattern, 1, 1, UInt64.max] as [UInt64])
    }

    @Test("a schema knows its columns in the order of a line")
    func schemaOrder() {
        #expect(schema.lineOrder == [1, 0, 2, 3])
        #expect(schema.renderedKeys[1] == Array("a=".utf8))
        #expect(Schema([.int("b"), .int("B"), .int("a_")]).lineOrder == [1, 2, 0])
    }

    @Test("series tags are sorted by bytes and unique, the later one kept")
    func series() {
        let series = Series("m", tags: [Tag("b", "1"), Tag("a", "2"), Tag("B", "3"), Tag("b", "4")])
        #expect(series.tags == [Tag("B", "3"), Tag("a", "2"), Tag("b", "4")])
    }
}
