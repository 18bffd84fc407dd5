/// Named counters of a kernel file whose names stay the same from tick to tick.
///
/// A reading passes each name and value to `add`. As long as the names are those of the reading before, in the same
/// order, nothing is allocated and no string is made; `generation` tells whoever keeps a schema when they are not.
/// Cost: one comparison a byte of the names.
struct CounterTable: Sendable, Hashable {
    private(set) var names: [String] = []
    /// One per name.
    private(set) var values: [Int64] = []
    /// Grows whenever `names` change.
    private(set) var generation: UInt64 = 0
    /// The names as bytes, an LF after each.
    private var spelling: [UInt8] = []
    private var position = 0

    /// Begins a reading.
    mutating func begin() {
        values.removeAll(keepingCapacity: true)
        position = 0
    }

    /// One counter; its name is `prefix` and then `name`, both ranges of `cursor.bytes`.
    @inline(__always)
    mutating func add(_ prefix: Range<Int>, _ name: Range<Int>, _ value: Int64, _ cursor: ByteCursor) {
        if !matches(prefix, name, cursor) { replaceRest(prefix, name, cursor) }
        values.append(value)
    }

    /// Ends a reading: names that were not there this time are forgotten.
    mutating func finish() {
        guard position < spelling.count else { return }
        forgetRest()
    }

    @inline(__always)
    private mutating func matches(_ prefix: Range<Int>, _ name: Range<Int>, _ cursor: ByteCursor) -> Bool {
        let length = prefix.count &+ name.count
        guard length < spelling.count &- position, spelling[position &+ length] == UInt8(ascii: "\n") else {
            return false
        }
        var offset = position
        for index in prefix {
            if spelling[offset] != cursor.bytes[index] { return false }
            offset &+= 1
        }
        for index in name {
            if spelling[offset] != cursor.bytes[index] { return false }
            offset &+= 1
        }
        position = offset &+ 1
        return true
    }

    private mutating func replaceRest(_ prefix: Range<Int>, _ name: Range<Int>, _ cursor: ByteCursor) {
        forgetRest()
        names.append(cursor.text(prefix) + cursor.text(name))
        spelling += cursor.bytes[prefix]
        spelling += cursor.bytes[name]
        spelling.append(UInt8(ascii: "\n"))
        position = spelling.count
    }

    private mutating func forgetRest() {
        spelling.removeLast(spelling.count - position)
        names.removeLast(names.count - values.count)
        generation &+= 1
    }
}
