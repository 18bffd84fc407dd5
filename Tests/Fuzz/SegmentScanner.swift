import Pipeline

/// The segment scanner over any bytes. Every second input gets its checksums repaired first, so that the fuzzer reaches
/// what stands behind them.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSegmentScanner(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let isRepaired = input.byte() & 1 == 1
    var bytes = input.all
    if isRepaired { repair(&bytes) }
    guard let scan = SegmentScan.scan(bytes) else { return 0 }
    var end = SegmentHeader.length
    var sequence: UInt64 = 0
    for entry in scan.records {
        precondition(entry.offset >= end, "records overlap or go back")
        precondition(entry.header.start.sequence > sequence || sequence == 0, "a sequence does not grow")
        sequence = entry.header.start.sequence
        end = entry.offset + RecordHeader.length + entry.header.payloadLength
        precondition(end <= bytes.count, "a record beyond the end")
    }
    for range in scan.damaged {
        precondition(range.upperBound <= bytes.count && !range.isEmpty, "damage outside of the file")
    }
    if let torn = scan.tornAt { precondition(torn <= bytes.count, "a tail beyond the end") }
    return 0
}

/// Makes the header and every record header that has its magic valid in its checksum.
private func repair(_ bytes: inout [UInt8]) {
    guard bytes.count >= SegmentHeader.length else { return }
    let magic: [UInt8] = Array("GODWIT\u{1a}\n".utf8) + [1, 0, 64, 0, 0, 0, 0, 0]
    bytes.replaceSubrange(0..<magic.count, with: magic)
    if bytes[16..<24].allSatisfy({ $0 == 0 }) { bytes[16] = 1 }
    store(CRC32C.checksum(Array(bytes[0..<60]), seed: 0), at: 60, in: &bytes)
    let salt = UInt32(bytes[48]) | UInt32(bytes[49]) << 8 | UInt32(bytes[50]) << 16 | UInt32(bytes[51]) << 24
    var offset = SegmentHeader.length
    while offset + RecordHeader.length <= bytes.count {
        if bytes[offset..<offset + 4].elementsEqual([0x47, 0x44, 0x42, 0x4b]) {
            store(CRC32C.checksum(Array(bytes[offset..<offset + 44]), seed: salt), at: offset + 44, in: &bytes)
        }
        offset += 8
    }
}

private func store(_ value: UInt32, at offset: Int, in bytes: inout [UInt8]) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
}
