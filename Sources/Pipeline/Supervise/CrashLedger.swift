/// Which collector was at work when the process crashed, over several starts: a collector that traps again and again
/// is parked at the next start, so it can never keep a host dark.
///
/// Shape: one page of 64 slots of 64 bytes, little-endian. Slot 0 is the head, each other slot one collector:
///
/// | head offset | content |
/// |---|---|
/// | 0 | `GWCRASH1` |
/// | 8 | entry counter, u64 |
/// | 16 | signal that killed the process, u32; 0 = none did |
/// | 24 | hash of the program's version, u64 |
///
/// | slot offset | content |
/// |---|---|
/// | 0 | hash of the name, u64; 0 = free |
/// | 8 | entry number while it gathers, u64; 0 = idle |
/// | 16 | parkings in a row, u8 |
/// | 24 | last three crashes, u32 each, seconds since 1970, newest first; 0 = none |
/// | 36 | parked until, u32, seconds since 1970 |
/// | 40 | name, UTF-8, cut to 24 bytes, zero-padded |
///
/// Rules: only a fatal signal of the program's own making counts (SIGKILL and power cuts leave the signal field at 0).
/// Of several collectors at work the one that began last is blamed: whoever waits did not trap. Three crashes within
/// ten minutes park it for 5 minutes, and a crash in the trial after that doubles it, up to 1 hour. Another version of
/// the program starts with a clean page. Damaged or foreign bytes mean no history, never an error.
/// Why a page and not one name: several collectors may be at work at once, and each has a history.
public struct CrashLedger: Sendable, Hashable {
    public static let byteCount = 4_096
    public static let slotBytes = 64
    public static let crashLimit = 3
    public static let window = Duration.seconds(600)
    public static let magic: [UInt8] = Array("GWCRASH1".utf8)

    /// Offsets of what is written while the program runs.
    public enum Offset {
        public static let entryCounter = 8
        public static let signal = 16
        public static let entryInSlot = 8
        public static let parkingsInSlot = 16
    }

    /// A collector that must begin parked.
    public struct Verdict: Sendable, Hashable {
        public var name: String
        public var start: ParkedStart
    }

    struct Slot: Sendable, Hashable {
        var nameHash: UInt64
        var entry: UInt64 = 0
        var parkings: UInt8 = 0
        /// Seconds, newest first.
        var crashes: [UInt32] = []
        var parkedUntil: UInt32 = 0
        var label: [UInt8] = []
    }

    private(set) var slots: [Slot?] = Array(repeating: nil, count: byteCount / slotBytes - 1)
    private var signal: UInt32 = 0
    private var versionHash: UInt64

    /// Reads a page; empty when it is damaged, foreign or of another version.
    public init(bytes: [UInt8], version: String) {
        versionHash = Self.hash(version)
        guard bytes.count == Self.byteCount, Array(bytes[..<8]) == Self.magic,
            Self.load(bytes, 24, 8) == versionHash
        else { return }
        signal = UInt32(truncatingIfNeeded: Self.load(bytes, Offset.signal, 4))
        for index in slots.indices {
            let base = (index + 1) * Self.slotBytes
            let nameHash = Self.load(bytes, base, 8)
            guard nameHash != 0 else { continue }
            var slot = Slot(nameHash: nameHash)
            slot.entry = Self.load(bytes, base + Offset.entryInSlot, 8)
            slot.parkings = bytes[base + Offset.parkingsInSlot]
            slot.crashes = (0..<3).map { UInt32(truncatingIfNeeded: Self.load(bytes, base + 24 + 4 * $0, 4)) }
                .filter { $0 != 0 }
            slot.parkedUntil = UInt32(truncatingIfNeeded: Self.load(bytes, base + 36, 4))
            slot.label = Array(bytes[(base + 40)..<(base + 64)])
            slots[index] = slot
        }
    }

    /// What a new process does first: books the crash of the one before it and says which collectors begin parked.
    /// `names` are the collectors that are configured; the rest is forgotten when it has no recent history.
    public mutating func begin(names: [String], now: Timestamp) -> [Verdict] {
        let second = UInt32(clamping: now.nanoseconds / 1_000_000_000)
        if signal != 0, let index = lastAtWork { book(index, second) }
        signal = 0
        for index in slots.indices {
            slots[index]?.entry = 0
            // A wall clock that stepped back must not park anybody for years.
            let latest = second.addingSaturated(UInt32(ParkSchedule.limit.components.seconds))
            slots[index]?.crashes.removeAll { $0 > second || second - $0 > 86_400 }
            if let until = slots[index]?.parkedUntil, until > latest { slots[index]?.parkedUntil = 0 }
            if let slot = slots[index], slot.crashes.isEmpty, slot.parkedUntil <= second { slots[index] = nil }
        }
        return names.compactMap { name in
            guard let slot = slot(of: name).flatMap({ slots[$0] }), slot.parkedUntil > second else { return nil }
            let text = "it crashed the program \(slot.crashes.count) times; parked by crash attribution"
            let delay = Duration.seconds(Int64(slot.parkedUntil - second))
            return Verdict(name: name, start: ParkedStart(delay: delay, reason: text))
        }
    }

    /// The place of a collector, found or newly taken; nil when all 63 are.
    public mutating func place(for name: String) -> Int? {
        if let known = slot(of: name) { return known + 1 }
        guard let free = slots.firstIndex(where: { $0 == nil }) else { return nil }
        var slot = Slot(nameHash: Self.hash(name))
        slot.label = Array(name.utf8.prefix(24))
        slots[free] = slot
        return free + 1
    }

    /// The page.
    public func encoded() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.replaceSubrange(0..<8, with: Self.magic)
        Self.store(UInt64(signal), into: &bytes, Offset.signal, 4)
        Self.store(versionHash, into: &bytes, 24, 8)
        for (index, slot) in slots.enumerated() {
            guard let slot else { continue }
            let base = (index + 1) * Self.slotBytes
            Self.store(slot.nameHash, into: &bytes, base, 8)
            Self.store(slot.entry, into: &bytes, base + Offset.entryInSlot, 8)
            bytes[base + Offset.parkingsInSlot] = slot.parkings
            for (place, crash) in slot.crashes.prefix(3).enumerated() {
                Self.store(UInt64(crash), into: &bytes, base + 24 + 4 * place, 4)
            }
            Self.store(UInt64(slot.parkedUntil), into: &bytes, base + 36, 4)
            for (place, byte) in slot.label.prefix(24).enumerated() { bytes[base + 40 + place] = byte }
        }
        return bytes
    }

    private var lastAtWork: Int? {
        slots.indices.filter { (slots[$0]?.entry ?? 0) > 0 }.max { (slots[$0]?.entry ?? 0) < (slots[$1]?.entry ?? 0) }
    }

    private mutating func book(_ index: Int, _ second: UInt32) {
        guard var slot = slots[index] else { return }
        slot.crashes = Array(([second] + slot.crashes).prefix(3))
        let window = UInt32(Self.window.components.seconds)
        let recent = slot.crashes.filter { $0 <= second && second - $0 < window }
        if slot.parkings > 0 || recent.count >= Self.crashLimit {
            slot.parkings = slot.parkings < 16 ? slot.parkings + 1 : 16
            let delay = min(ParkSchedule.limit, ParkSchedule.first * (1 << Int(slot.parkings - 1)))
            slot.parkedUntil = second.addingSaturated(UInt32(delay.components.seconds))
        }
        slots[index] = slot
    }

    private func slot(of name: String) -> Int? {
        let hash = Self.hash(name)
        return slots.firstIndex { $0?.nameHash == hash }
    }

    /// FNV-1a, 64 bits, never 0.
    static func hash(_ text: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        // Wrapping by definition.
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash == 0 ? 1 : hash
    }

    private static func load(_ bytes: [UInt8], _ offset: Int, _ width: Int) -> UInt64 {
        bytes[offset..<(offset + width)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func store(_ value: UInt64, into bytes: inout [UInt8], _ offset: Int, _ width: Int) {
        for place in 0..<width { bytes[offset + place] = UInt8(truncatingIfNeeded: value >> (8 * UInt64(place))) }
    }
}
