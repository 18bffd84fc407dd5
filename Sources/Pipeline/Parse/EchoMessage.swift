/// An ICMP echo message (RFC 792, RFC 4443), as sent and as an ICMP socket gives it.
///
/// Shape: type (1 byte), code (1), checksum (2), identifier (2), sequence (2), payload; numbers big-endian.
/// Bounds: `payload` as its caller says; what comes is looked at up to its end.
public struct EchoMessage: Sendable, Hashable {
    public enum Version: Sendable, Hashable { case ipv4, ipv6 }

    public static let headerBytes = 8

    public var identifier: UInt16
    public var sequence: UInt16
    public var payload: [UInt8]

    public init(identifier: UInt16, sequence: UInt16, payload: [UInt8]) {
        self.identifier = identifier
        self.sequence = sequence
        self.payload = payload
    }

    /// The request's bytes. The kernel makes the checksum of ICMPv6, and of datagram sockets; for IPv4 it is there.
    public func request(_ version: Version) -> [UInt8] {
        func bytes(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(truncatingIfNeeded: number)] }
        var out: [UInt8] = [version == .ipv4 ? 8 : 128, 0, 0, 0]
        out += bytes(identifier) + bytes(sequence) + payload
        if version == .ipv4 { out.replaceSubrange(2..<4, with: bytes(EchoMessage.checksum(out))) }
        return out
    }

    /// The reply in `packet`; nil for anything else. `hasHeader`: an IPv4 header stands in front, as raw sockets give.
    public static func reply(_ packet: ArraySlice<UInt8>, _ version: Version, hasHeader: Bool = false) -> EchoMessage? {
        var message = packet
        if hasHeader {
            guard let first = packet.first, first >> 4 == 4 else { return nil }
            let length = Int(first & 0xF) * 4
            guard length >= 20, packet.count >= length else { return nil }
            message = packet.dropFirst(length)
        }
        guard message.count >= headerBytes else { return nil }
        let start = message.startIndex
        guard message[start] == (version == .ipv4 ? 0 : 129), message[start + 1] == 0 else { return nil }
        func number(_ offset: Int) -> UInt16 {
            UInt16(message[start + offset]) << 8 | UInt16(message[start + offset + 1])
        }
        return EchoMessage(
            identifier: number(4), sequence: number(6), payload: Array(message.dropFirst(headerBytes)))
    }

    /// The Internet checksum (RFC 1071): 0 over a message that holds its own.
    public static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for (index, byte) in bytes.enumerated() {
            // At most 64 KiB of bytes, so 32 bits hold the sum.
            sum = sum &+ (index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte))
            sum = (sum & 0xFFFF) &+ (sum >> 16)
        }
        return ~UInt16(truncatingIfNeeded: sum)
    }
}

/// Figures of the round trips of one tick. Units: ms.
public struct RoundTrips: Sendable, Hashable {
    private var times: [Double] = []

    public init() {}

    public var count: Int { times.count }
    public mutating func add(_ duration: Duration) { times.append(duration.inSeconds * 1_000) }

    public var minimum: Double { times.min() ?? .nan }
    public var maximum: Double { times.max() ?? .nan }
    public var average: Double { times.isEmpty ? .nan : times.reduce(0, +) / Double(times.count) }
    /// Of the whole, not of a sample.
    public var deviation: Double {
        let middle = average
        guard !times.isEmpty else { return .nan }
        return (times.reduce(0) { $0 + ($1 - middle) * ($1 - middle) } / Double(times.count)).squareRoot()
    }

    /// Formula: rank p/100 × (n − 1) in the sorted times, between two neighbours in proportion (R7 of Hyndman and Fan).
    public func percentile(_ percent: Double) -> Double {
        let sorted = times.sorted()
        guard let last = sorted.last else { return .nan }
        let rank = min(max(percent, 0), 100) / 100 * Double(sorted.count - 1)
        let index = Int(rank)
        guard index + 1 < sorted.count else { return last }
        return sorted[index] + (rank - Double(index)) * (sorted[index + 1] - sorted[index])
    }
}
