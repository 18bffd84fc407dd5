/// Sockets by state, each counted once.
///
/// Sockets of the same kind, state, local and remote address and port are one, over IPv4 and IPv6 together: ten listeners
/// on one port (SO_REUSEPORT) are 1. Named unix sockets of one type and name are one too, unnamed ones are not.
/// Why fingerprints: of 200,000 sockets 64 bits each are kept, in one flat table; the chance that two of them agree is
/// one to a billion.
public struct SocketTally: Sendable {
    /// TCP sockets by the kernel's number of their state, 1 (established) to 11 (closing).
    public private(set) var tcp = [Int64](repeating: 0, count: 16)
    public private(set) var udp: Int64 = 0
    /// Unix sockets of type datagram, and of all other types.
    public private(set) var unixDatagrams: Int64 = 0
    public private(set) var unixOthers: Int64 = 0

    /// Fingerprints, 0 = free; a power of two of places, at most half of them taken.
    private var seen: [UInt64] = []
    private var taken = 0

    public init() {}

    /// An address of IPv6, or one of IPv4 as IPv6 writes it, in words as the kernel holds them.
    public struct Address: Sendable, Hashable {
        public var words: (UInt32, UInt32, UInt32, UInt32)
        public var port: UInt16

        public init(words: (UInt32, UInt32, UInt32, UInt32), port: UInt16) {
            self.words = words
            self.port = port
        }

        /// `::ffff:a.b.c.d`.
        public init(v4 word: UInt32, port: UInt16) {
            words = (0, 0, UInt32(bigEndian: 0xFFFF), word)
            self.port = port
        }

        public static func == (a: Address, b: Address) -> Bool { a.words == b.words && a.port == b.port }

        public func hash(into hasher: inout Hasher) {
            hasher.combine(words.0)
            hasher.combine(words.1)
            hasher.combine(words.2)
            hasher.combine(words.3)
            hasher.combine(port)
        }

        fileprivate func mixed(into state: UInt64) -> UInt64 {
            var state = SocketTally.mix(state, UInt64(words.0) << 32 | UInt64(words.1))
            state = SocketTally.mix(state, UInt64(words.2) << 32 | UInt64(words.3))
            return SocketTally.mix(state, UInt64(port))
        }
    }

    public mutating func addTCP(state: UInt8, local: Address, remote: Address) {
        guard isNew(remote.mixed(into: local.mixed(into: UInt64(state) + 1))), state < 16 else { return }
        tcp[Int(state)] &+= 1
    }

    public mutating func addUDP(local: Address, remote: Address) {
        if isNew(remote.mixed(into: local.mixed(into: 0x100))) { udp &+= 1 }
    }

    /// `name` as /proc shows it, with `@` for each NUL; empty for an unnamed socket.
    public mutating func addUnix(type: UInt32, name: some Collection<UInt8>) {
        if !name.isEmpty {
            var state: UInt64 = 0x200 + UInt64(type)
            var word: UInt64 = 0
            var count = 0
            for byte in name {
                word = word << 8 | UInt64(byte)
                count += 1
                if count % 8 == 0 {
                    state = SocketTally.mix(state, word)
                    word = 0
                }
            }
            guard isNew(SocketTally.mix(SocketTally.mix(state, word), UInt64(count))) else { return }
        }
        if type == 2 { unixDatagrams &+= 1 } else { unixOthers &+= 1 }
    }

    /// Forgets everything but the memory of the table.
    public mutating func reset() {
        tcp = [Int64](repeating: 0, count: 16)
        udp = 0
        unixDatagrams = 0
        unixOthers = 0
        // A table that was filled once and is all but empty now goes.
        if seen.count > 1024, taken < seen.count / 16 { seen = [] }
        for index in seen.indices { seen[index] = 0 }
        taken = 0
    }

    @inline(__always)
    fileprivate static func mix(_ state: UInt64, _ value: UInt64) -> UInt64 {
        var mixed = (state ^ value) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 29)) &* 0xBF58_476D_1CE4_E5B9
        return mixed ^ (mixed >> 32)
    }

    /// Whether the fingerprint is seen for the first time.
    private mutating func isNew(_ mixed: UInt64) -> Bool {
        if taken >= seen.count / 2 { grow() }
        let fingerprint = max(1, mixed)
        let mask = seen.count - 1
        var place = Int(truncatingIfNeeded: fingerprint >> 20) & mask
        while seen[place] != 0 {
            if seen[place] == fingerprint { return false }
            place = (place &+ 1) & mask
        }
        seen[place] = fingerprint
        taken += 1
        return true
    }

    private mutating func grow() {
        let old = seen
        seen = [UInt64](repeating: 0, count: max(256, old.count * 2))
        let mask = seen.count - 1
        for fingerprint in old where fingerprint != 0 {
            var place = Int(truncatingIfNeeded: fingerprint >> 20) & mask
            while seen[place] != 0 { place = (place &+ 1) & mask }
            seen[place] = fingerprint
        }
    }
}
