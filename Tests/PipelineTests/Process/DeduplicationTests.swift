import Testing

@testable import Pipeline

private typealias Tag = Pipeline.Tag

@Suite("Deduplication")
struct DeduplicationTests {
    private func at(_ seconds: Int64) -> Timestamp { Timestamp(nanoseconds: seconds * 1_000_000_000) }

    private func point(_ seconds: Int64, _ idle: Int64, _ guest: Int64, cpu: String = "cpu0") -> Point {
        Point("cpu", tags: [Tag("cpu", cpu)], fields: ["idle": .int(idle), "guest": .int(guest)], time: at(seconds))
    }

    @Test("points that repeat all values are left out until one changes or the interval is over")
    func repeats() {
        var memory = Deduplication(interval: .seconds(600), seriesLimit: 10)
        let values: [(Int64, Int64)] = [(42, 1), (42, 2), (42, 2), (44, 2), (44, 2)]
        let passed = values.enumerated().map { index, value in
            memory.passes(point(Int64(index) * 10, value.0, value.1), wall: at(Int64(index) * 10))
        }
        #expect(passed == [true, true, false, true, false])
        let passes1 = memory.passes(point(629, 44, 2), wall: at(629))
        #expect(!passes1)
        let passes2 = memory.passes(point(630, 44, 2), wall: at(630))
        #expect(passes2)
    }

    @Test("another type is another value, and further fields of the same time pass")
    func details() {
        var memory = Deduplication(interval: .seconds(600), seriesLimit: 10)
        func point(_ fields: KeyValuePairs<String, FieldValue>, _ seconds: Int64 = 0) -> Point {
            Point("m", fields: fields, time: at(seconds))
        }
        let passes3 = memory.passes(point(["a": .int(1)]), wall: at(0))
        #expect(passes3)
        let passes4 = memory.passes(point(["a": .float(1)]), wall: at(0))
        #expect(passes4)
        let passes5 = memory.passes(point(["b": .int(1)]), wall: at(0))
        #expect(passes5)
        let passes6 = memory.passes(point(["b": .int(1)]), wall: at(0))
        #expect(!passes6)
        let passes7 = memory.passes(point(["c": .int(1)], 1), wall: at(1))
        #expect(!passes7)
    }

    @Test("series beyond the limit pass and are counted; old ones are forgotten")
    func bounded() {
        var memory = Deduplication(interval: .seconds(60), seriesLimit: 2)
        for turn in 0..<2 {
            for cpu in 0..<4 { _ = memory.passes(point(Int64(turn), 1, 1, cpu: "cpu\(cpu)"), wall: at(Int64(turn))) }
        }
        #expect(memory.overflow == 4)
        #expect(memory.seriesCount == 2)
        let passes8 = memory.passes(point(100, 1, 1, cpu: "cpu3"), wall: at(100))
        #expect(passes8)
        let passes9 = memory.passes(point(101, 1, 1, cpu: "cpu3"), wall: at(101))
        #expect(!passes9)
        #expect(memory.seriesCount == 1)
    }
}
