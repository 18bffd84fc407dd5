import Testing

@testable import Pipeline

@Suite("Instants and timestamps")
struct InstantTests {
    @Test(
        "timestamps round to the nearest multiple, halves up",
        arguments: [
            (10_600, 1_000, 11_000), (10_500, 1_000, 11_000), (10_499, 1_000, 10_000), (-500, 1_000, 0),
            (-501, 1_000, -1_000), (-1_500, 1_000, -1_000), (7, 0, 7), (7, 1, 7), (0, 1_000, 0),
        ] as [(Int64, Int64, Int64)])
    func rounding(time: Int64, step: Int64, expected: Int64) {
        #expect(Timestamp(nanoseconds: time).rounded(to: .nanoseconds(step)).nanoseconds == expected)
    }

    @Test("arithmetic is held at the bounds")
    func saturation() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: .min) - .seconds(1) == Instant(nanoseconds: .min))
        #expect(Timestamp(nanoseconds: .max).rounded(to: .seconds(3_600)).nanoseconds > 0)
        #expect(Timestamp(nanoseconds: .min).rounded(to: .seconds(3_600)).nanoseconds < 0)
        #expect(Int64.max.multipliedSaturated(by: 2) == .max)
        #expect(Int64.min.multipliedSaturated(by: 2) == .min)
        #expect(UInt8(3).subtractingSaturated(4) == 0)
        #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
        #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
    }

    @Test("distances and order")
    func distances() {
        let start = Instant(nanoseconds: 5)
        #expect(start + .nanoseconds(3) - start == .nanoseconds(3))
        #expect(start < start + .nanoseconds(1))
        #expect(start - (start + .seconds(1)) == .seconds(-1))
        #expect(Duration.milliseconds(1_500).inSeconds == 1.5)
    }
}
