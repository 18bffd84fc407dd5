/// The control messages that came with a packet, as recvmsg(2) leaves them.
///
/// Shape, one after another, each at a multiple of 8 bytes: length with this head (8 bytes), level (4), type (4), data;
/// numbers in the byte order of the machine (little-endian).
public enum ControlMessages {
    /// Time to live of IPv4, hop limit of IPv6; nil when neither is there.
    public static func hops(_ bytes: [UInt8]) -> Int? {
        func number(_ start: Int) -> Int {
            (0..<4).reduce(0) { $0 | Int(bytes[start + $1]) << ($1 * 8) }
        }
        var start = 0
        while bytes.count - start >= 20 {
            // The upper half of the length is 0 for anything real.
            let length = number(start)
            guard length >= 16, number(start + 4) == 0, length <= bytes.count - start else { return nil }
            let (level, type) = (number(start + 8), number(start + 12))
            // IPPROTO_IP with IP_TTL, IPPROTO_IPV6 with IPV6_HOPLIMIT.
            if length >= 20, (level, type) == (0, 2) || (level, type) == (41, 52) { return number(start + 16) & 0xFF }
            start += (length + 7) & ~7
        }
        return nil
    }
}
