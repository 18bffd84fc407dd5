import Testing

@testable import Pipeline

@Suite("Quantities")
struct QuantityTests {
    @Test(
        "durations",
        arguments: [
            ("10s", .seconds(10)), ("1m30s", .seconds(90)), ("500ms", .milliseconds(500)), ("1h", .seconds(3_600)),
            ("7d", .seconds(604_800)), ("1.5h", .seconds(5_400)), ("250us", .microseconds(250)),
            ("3µs", .microseconds(3)),
            ("9ns", .nanoseconds(9)), ("-2s", .seconds(-2)), ("+2s", .seconds(2)), ("0", .zero), ("90", .seconds(90)),
            ("0.25", .milliseconds(250)), ("1d12h", .seconds(129_600)), (".5s", .milliseconds(500)),
        ] as [(String, Duration)])
    func durations(text: String, expected: Duration) {
        #expect(Quantity.duration(text) == expected)
    }

    @Test(
        "what is no duration",
        arguments: [
            "", " ", "s", "10 s", "10x", "1m30", "10s ", "ten", "1e3s", "--1s", "1..5s", ".", "-", "300000000h",
            "99999999999999999999s",
            "106752d", String(repeating: "1s", count: 40),
        ])
    func noDurations(text: String) {
        #expect(Quantity.duration(text) == nil)
    }

    @Test(
        "sizes",
        arguments: [
            ("64KiB", 65_536), ("10MB", 10_000_000), ("4096", 4_096), ("0", 0), ("1.5GiB", 1_610_612_736),
            ("5 MiB", 5_242_880),
            ("1kb", 1_000), ("12B", 12), ("9223372036854775807", .max), ("8191PiB", 9_222_246_136_947_933_184),
        ] as [(String, Int64)])
    func sizes(text: String, expected: Int64) {
        #expect(Quantity.size(text) == expected)
    }

    @Test(
        "what is no size", arguments: ["", "-1", "10M", "KiB", "1KiBx", "8192PiB", "9223372036854775808", "1e3", "1 0"])
    func noSizes(text: String) {
        #expect(Quantity.size(text) == nil)
    }

    @Test("what is written reads back")
    func roundTrip() {
        var random = SplitMix(seed: 5)
        for _ in 0..<5_000 {
            let shift = Int.random(in: 0...62, using: &random)
            let number = Int64.random(in: 0...(.max >> Int64(shift)), using: &random)
            #expect(Quantity.duration(Quantity.text(.nanoseconds(number))) == .nanoseconds(number))
            #expect(Quantity.size(Quantity.text(size: number)) == number)
        }
        #expect(Quantity.text(.seconds(90)) == "1m30s")
        #expect(Quantity.text(.zero) == "0s")
        #expect(Quantity.text(.seconds(-90)) == "-1m30s")
        #expect(Quantity.text(size: 512 << 20) == "512MiB")
        #expect(Quantity.text(size: 1_000) == "1000B")
        #expect(Quantity.text(size: 0) == "0B")
    }

    @Test("seconds as numbers, within bounds")
    func seconds() {
        #expect(Quantity.duration(seconds: 1.5) == .milliseconds(1_500))
        for value in [Double.nan, .infinity, -.infinity, 1e300, 9.3e9] {
            #expect(Quantity.duration(seconds: value) == nil)
        }
    }
}
