import Pipeline

/// The cursor file: any 1024 bytes, with the checksum repaired in every second input. What is read must be written back
/// the same, and its books must balance.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCursor(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let isRepaired = input.byte() & 1 == 1
    var bytes = input.all
    _ = Cursor(bytes)
    _ = CursorSlots.newest(Array((bytes + Array(repeating: 0, count: CursorSlots.length)).prefix(CursorSlots.length)))
    if isRepaired {
        bytes = Array((bytes + Array(repeating: 0, count: Cursor.length)).prefix(Cursor.length))
        bytes.replaceSubrange(0..<12, with: Array("GODWITC\n".utf8) + [1, 0, 0, 4])
        let checksum = CRC32C.checksum(Array(bytes[0..<1020]), seed: 0)
        for index in 0..<4 { bytes[1020 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index))) }
    }
    guard let cursor = Cursor(bytes) else { return 0 }
    precondition(Cursor(cursor.bytes) == cursor, "a cursor does not read back")
    let pending = cursor.pending
    let balance = pending.balance(end: pending.frontier)
    precondition(balance.isExact, "a cursor whose books do not balance")
    var moved = pending
    let end = StreamPosition(
        sequence: pending.frontier.sequence.addingSaturated(UInt64(input.byte())),
        points: pending.frontier.points.addingSaturated(UInt64(input.byte())))
    guard end.sequence > pending.frontier.sequence else { return 0 }
    if let span = moved.next(.replay, end: end, isStrict: false) {
        precondition(moved.drop(span, .age, end: end) <= end.points, "more dropped than was there")
        precondition(moved.balance(end: end).isExact, "the books after a drop")
    }
    return 0
}
