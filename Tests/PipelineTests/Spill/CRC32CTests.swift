import Testing

@testable import Pipeline

@Suite("CRC32C") struct CRC32CTests {
    @Test("the known answer pins the polynomial")
    func knownAnswer() {
        #expect(CRC32C.checksum(Array("123456789".utf8), seed: 0) == 0xe306_9283)
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32), seed: 0) == 0x8a91_36aa)
        #expect(CRC32C.checksum([], seed: 7) == 7)
    }

    @Test("a checksum continues from a former one at every cut")
    func continues() {
        let bytes = (0..<97).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let whole = CRC32C.checksum(bytes, seed: 5)
        for cut in 0...bytes.count {
            let first = CRC32C.checksum(Array(bytes[..<cut]), seed: 5)
            #expect(CRC32C.checksum(Array(bytes[cut...]), seed: first) == whole)
        }
    }
}
