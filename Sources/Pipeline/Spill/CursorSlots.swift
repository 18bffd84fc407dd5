/// The file of a cursor: two slots that are written in turn.
///
/// Shape: slot 0 at `0`, slot 1 at `4096`, 1024 bytes each, zeros between and behind, 8192 in all. Generation n stands in
/// slot n % 2. A file of 1024 bytes, as earlier versions wrote, is slot 0 alone.
/// Why: a write in place changes no name and no size, so that its sync waits for one block of data, where a new file under
/// the old name waits for the journal three times. A write that is torn leaves the other slot, which is the last one that
/// is known to be on disk; the slots are a block apart, since a device may tear a whole block.
public enum CursorSlots {
    static let distance = 4096
    public static let length = 2 * distance

    /// Where a generation is written.
    public static func offset(_ generation: UInt64) -> Int { generation.isMultiple(of: 2) ? 0 : distance }

    /// A new file with this cursor as generation 0.
    public static func file(_ cursor: Cursor) -> [UInt8] {
        var first = cursor
        first.generation = 0
        var bytes = first.bytes
        bytes.pad(to: length)
        return bytes
    }

    /// The newest valid cursor of a file; nil when there is none.
    public static func newest(_ bytes: [UInt8]) -> Cursor? {
        if bytes.count == Cursor.length { return Cursor(bytes) }
        guard bytes.count == length else { return nil }
        let slots = [0, distance].compactMap { Cursor(Array(bytes[$0..<$0 + Cursor.length])) }
        return slots.max { $0.generation < $1.generation }
    }
}
