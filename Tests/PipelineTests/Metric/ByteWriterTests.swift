import Testing

@testable import Pipeline

@Suite("Byte writer")
struct ByteWriterTests {
    private func text(_ write: (inout ByteWriter) -> Void) -> String {
        var writer = ByteWriter(capacity: 1)
        write(&writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test(
        "unsigned integers in decimal",
        arguments: [
            (0, "0"), (9, "9"), (10, "10"), (99, "99"), (100, "100"), (1_000_000_007, "1000000007"),
            (9_999_999_999_999_999_999, "9999999999999999999"), (10_000_000_000_000_000_000, "10000000000000000000"),
            (UInt64.max, "18446744073709551615"),
        ] as [(UInt64, String)])
    func unsigned(value: UInt64, expected: String) {
        #expect(text { $0.append(decimal: value) } == expected)
    }

    @Test(
        "signed integers in decimal",
        arguments: [
            (0, "0"), (-1, "-1"), (Int64.min, "-9223372036854775808"), (Int64.max, "9223372036854775807"),
        ] as [(Int64, String)])
    func signed(value: Int64, expected: String) {
        #expect(text { $0.append(decimal: value) } == expected)
    }

    @Test(
        "floats are the shortest plain decimals",
        arguments: [
            (0.0, "0"), (1.0, "1"), (0.5, "0.5"), (12.0, "12"), (-12.25, "-12.25"), (1e-5, "0.00001"),
            (1e-6, "0.000001"),
            (1.5e-7, "0.00000015"), (0.1, "0.1"), (0.1 + 0.2, "0.30000000000000004"), (100.0, "100"),
            (1e9, "1000000000"),
            (123_456_789.123456, "123456789.123456"), (1e15, "1000000000000000"), (1e16, "10000000000000000"),
            (1e21, "1000000000000000000000"), (1.5e22, "15000000000000000000000"),
            (99.99999999999999, "99.99999999999999"),
            (81.30081300813008, "81.30081300813008"), (2_251_799_813_685_249.5, "2251799813685249.5"),
        ] as [(Double, String)])
    func floats(value: Double, expected: String) {
        #expect(text { $0.append(decimal: value) } == expected)
    }

    @Test("the smallest and the largest double have all their places")
    func extremes() {
        #expect(
            text { $0.append(decimal: Double.leastNonzeroMagnitude) } == "0." + String(repeating: "0", count: 323) + "5"
        )
        let largest = text { $0.append(decimal: Double.greatestFiniteMagnitude) }
        #expect(largest == "17976931348623157" + String(repeating: "0", count: 292))
        #expect(Double(largest) == .greatestFiniteMagnitude)
        #expect(Double(text { $0.append(decimal: Double.leastNormalMagnitude) }) == .leastNormalMagnitude)
    }

    @Test("minus zero reads back as zero")
    func minusZero() {
        let written = text { $0.append(decimal: -0.0) }
        #expect(Double(written) == 0)
        #expect(["0", "-0"].contains(written))
    }

    @Test("random doubles read back equal and have no exponent")
    func randomDoubles() {
        var random = SplitMix(seed: 1)
        for _ in 0..<50_000 {
            let value = Double(bitPattern: random.next())
            guard value.isFinite else { continue }
            let written = text { $0.append(decimal: value) }
            #expect(Double(written) == value, "\(value)")
            #expect(!written.utf8.contains(UInt8(ascii: "e")), "\(value)")
        }
    }

    @Test("random doubles of everyday size are as short as Swift's own shortest form")
    func everydayDoubles() {
        var random = SplitMix(seed: 2)
        for round in 0..<50_000 {
            let scale = [1.0, 100, 1e6, 1e9, 1e12][round % 5]
            var value = Double.random(in: -scale...scale, using: &random)
            if round % 2 == 0 { value = (value * 1000).rounded() / 1000 }
            let written = text { $0.append(decimal: value) }
            #expect(Double(written) == value)
            let digits = { (text: String) in text.filter(\.isNumber).drop { $0 == "0" }.count }
            if value.magnitude >= 1, value.magnitude < 1e15, value != value.rounded() {
                #expect(digits(written) == digits(value.description), "\(value)")
            }
        }
    }

    @Test("bytes survive growth; truncation and removal keep what is before")
    func growth() {
        var writer = ByteWriter(capacity: 1)
        for index in 0..<10_000 { writer.append(UInt8(truncatingIfNeeded: index)) }
        #expect(writer.count == 10_000)
        #expect(writer.bytes == (0..<10_000).map { UInt8(truncatingIfNeeded: $0) })
        writer.truncate(to: 3)
        #expect(writer.bytes == [0, 1, 2])
        writer.append("äb")
        #expect(writer.bytes == [0, 1, 2, 0xC3, 0xA4, 0x62])
        writer.append([])
        writer.append([7])
        #expect(writer.count == 7)
        writer.removeAll()
        #expect(writer.bytes == [])
    }
}
