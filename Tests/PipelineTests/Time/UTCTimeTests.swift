import Testing

@testable import Pipeline

@Suite("UTC time")
struct UTCTimeTests {
    @Test(
        "a timestamp becomes its civil date",
        arguments: [
            (Int64(0), "1970-01-01T00:00:00.000Z"),
            (1_000_000, "1970-01-01T00:00:00.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_000_000_000, "2024-02-29T00:00:00.000Z"),
            (1_735_689_599_999_000_000, "2024-12-31T23:59:59.999Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000Z"),
        ])
    func civil(_ nanoseconds: Int64, _ text: String) {
        #expect(UTCTime(Timestamp(nanoseconds: nanoseconds)).text == text)
    }

    @Test("the ends of the range do not trap")
    func ends() {
        #expect(UTCTime(Timestamp(nanoseconds: .max)).year == 2262)
        #expect(UTCTime(Timestamp(nanoseconds: .min)).year == 1677)
    }

    @Test("the stamp of a file name sorts like the time")
    func stamp() {
        #expect(UTCTime(Timestamp(nanoseconds: 1_709_164_805_000_000_000)).stamp == "20240229T000005Z")
    }
}
