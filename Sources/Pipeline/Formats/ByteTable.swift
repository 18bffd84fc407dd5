/// Values remembered by the bytes that they were made from: what makes a repeated line of foreign data cheap.
///
/// Two generations of at most `limit` entries: when the young one is full it becomes the old one, and what is asked for
/// from there moves over. So what is used stays, and what is not used any more is forgotten, without a list of ages.
/// Bounds: 2 × `limit` entries, 2 × `bytesLimit` bytes of keys, 16 probes a look-up whatever the keys are.
struct ByteTable<Value> {
    private struct Slot {
        var hash: UInt64
        var start: Int
        var length: Int
        var value: Value
    }

    private struct Generation {
        var slots: [Slot?] = []
        var keys: [UInt8] = []
        var count = 0
    }

    private static var probes: Int { 16 }

    /// Entries of a generation.
    var limit: Int
    private let bytesLimit: Int
    private let seed: UInt64
    private var young = Generation()
    private var old = Generation()

    /// The hash is keyed for each process, so that no sender can choose keys that collide.
    init(limit: Int = 8_192, bytesLimit: Int = 2 << 20) {
        self.limit = limit
        self.bytesLimit = bytesLimit
        seed = UInt64(truncatingIfNeeded: limit.hashValue)
    }

    /// Entries of both generations.
    var count: Int { young.count + old.count }

    /// The value kept for these bytes.
    @inline(__always)
    mutating func find(_ key: UnsafeBufferPointer<UInt8>) -> Value? {
        let hash = ByteTable.hash(key, seed)
        if let value = ByteTable.find(key, hash, in: young) { return value }
        guard old.count > 0, let value = ByteTable.find(key, hash, in: old) else { return nil }
        insert(value, key, hash)
        return value
    }

    /// Keeps a value for bytes that `find` did not know.
    mutating func insert(_ value: Value, for key: UnsafeBufferPointer<UInt8>) {
        insert(value, key, ByteTable.hash(key, seed))
    }

    private mutating func insert(_ value: Value, _ key: UnsafeBufferPointer<UInt8>, _ hash: UInt64) {
        guard key.count <= bytesLimit else { return }
        if young.count >= limit || young.keys.count > bytesLimit - key.count {
            old = young
            young = Generation()
        }
        if young.count * 2 >= young.slots.count { grow() }
        let slot = Slot(hash: hash, start: young.keys.count, length: key.count, value: value)
        guard place(slot) else { return }
        young.keys.append(contentsOf: key)
        young.count += 1
    }

    private mutating func grow() {
        let slots = young.slots
        young.slots = Array(repeating: nil, count: max(64, slots.count * 2))
        young.count = 0
        for case let slot? in slots where place(slot) { young.count += 1 }
    }

    /// False when all places that the hash allows are taken.
    private mutating func place(_ slot: Slot) -> Bool {
        let mask = young.slots.count - 1
        for probe in 0..<ByteTable.probes {
            let index = Int(truncatingIfNeeded: slot.hash &+ UInt64(probe)) & mask
            guard young.slots[index] == nil else { continue }
            young.slots[index] = slot
            return true
        }
        return false
    }

    @inline(__always)
    private static func find(
        _ key: UnsafeBufferPointer<UInt8>, _ hash: UInt64, in generation: borrowing Generation
    ) -> Value? {
        let mask = generation.slots.count - 1
        guard mask > 0 else { return nil }
        for probe in 0..<probes {
            guard let slot = generation.slots[Int(truncatingIfNeeded: hash &+ UInt64(probe)) & mask] else { return nil }
            guard slot.hash == hash, slot.length == key.count else { continue }
            let isSame = generation.keys.withUnsafeBufferPointer { keys in
                BytesEqual.equal(UnsafeBufferPointer(rebasing: keys[slot.start..<slot.start + slot.length]), key)
            }
            if isSame { return slot.value }
        }
        return nil
    }

    /// Eight bytes a step; the length takes part, so that a shorter key is another one.
    @inline(__always)
    private static func hash(_ key: UnsafeBufferPointer<UInt8>, _ seed: UInt64) -> UInt64 {
        let bytes = UnsafeRawBufferPointer(key)
        var hash = seed ^ UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15
        var index = 0
        while index + 8 <= bytes.count {
            hash = mixed(hash ^ bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        var rest: UInt64 = 0
        while index < bytes.count {
            rest = rest << 8 | UInt64(bytes[index])
            index += 1
        }
        return mixed(hash ^ rest)
    }

    @inline(__always)
    private static func mixed(_ value: UInt64) -> UInt64 {
        let (high, low) = value.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        return high ^ low
    }
}

/// Comparison of runs of bytes, eight at a time.
enum BytesEqual {
    @inline(__always)
    static func equal(_ one: UnsafeBufferPointer<UInt8>, _ other: UnsafeBufferPointer<UInt8>) -> Bool {
        guard one.count == other.count else { return false }
        let (first, second) = (UnsafeRawBufferPointer(one), UnsafeRawBufferPointer(other))
        var index = 0
        while index + 8 <= first.count {
            if first.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                != second.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            {
                return false
            }
            index += 8
        }
        while index < first.count {
            if first[index] != second[index] { return false }
            index += 1
        }
        return true
    }
}
