/// Where the packets of a server begin and end, so that a packet's length is judged before libssh2 acts on it.
///
/// libssh2 asks for as many bytes as its buffer holds. It gets no more than the head of one packet, learns the length
/// from it and takes memory for the rest; that request for memory tells the length here, also of an encrypted packet.
/// Then it gets the rest of this packet and nothing of the next.
///
/// Shape: a plain head is 5 bytes (length, padding), an encrypted one is the first cipher block of 16. Of a plain packet
/// libssh2 stores length − 1 bytes, of an encrypted one the MAC as well.
/// Why: libssh2 1.10 ends the process by an assertion when an encrypted packet is no whole number of cipher blocks
/// (corrected in 1.11.0).
/// Bounds: only for ciphers with blocks of 16 bytes and without encrypt-then-MAC, as `SSHMethods` offers them.
/// Source: RFC 4253, section 6.
public struct SSHFraming: Sendable, Hashable {
    public enum Verdict: Sendable, Hashable {
        /// The memory is for something else.
        case unrelated
        /// It is for a packet.
        case packet
        /// The packet of this length is no whole number of blocks.
        case malformed(length: Int)
    }

    private static let plainHead = 5
    private static let block = 16

    /// Latched by the first head of which 5 bytes were not enough.
    public private(set) var isEncrypted = false
    /// Packets whose head was understood.
    public private(set) var packets: UInt64 = 0
    /// Bytes of the present packet's head that were handed out.
    private var head = 0
    /// The first four of them: the length, while packets are plain.
    private var announced: UInt32 = 0
    /// Bytes of the present packet that are still to be handed out.
    private var remaining = 0
    private var isReadingBanner = true

    public init() {}

    /// How many of the bytes that the library asks for it may get. 0: it asks for more than the packet has.
    public mutating func room(for asked: Int) -> Int {
        // The server's first line is read byte by byte, packets never are.
        if asked != 1 { isReadingBanner = false }
        if isReadingBanner { return asked }
        if remaining > 0 { return min(asked, remaining) }
        if !isEncrypted, head == SSHFraming.plainHead { isEncrypted = true }
        return min(asked, (isEncrypted ? SSHFraming.block : SSHFraming.plainHead) - head)
    }

    /// Notes what it got.
    public mutating func handed(_ bytes: UnsafeRawBufferPointer) {
        guard !isReadingBanner else { return }
        guard remaining == 0 else {
            remaining = max(0, remaining - bytes.count)
            return
        }
        for byte in bytes {
            if head < 4 { announced = announced << 8 | UInt32(byte) }
            head += 1
        }
    }

    /// Judges a request for memory.
    public mutating func allocated(_ count: Int, macLength: Int) -> Verdict {
        guard remaining == 0 else { return .unrelated }
        guard isEncrypted else {
            guard head == SSHFraming.plainHead, count > 0, count == Int(announced) - 1 else { return .unrelated }
            return begin(count)
        }
        guard head == SSHFraming.block else { return .unrelated }
        let (length, overflow) = count.subtractingReportingOverflow(macLength - 1)
        // The length does not count its own four bytes.
        guard !overflow, length >= SSHFraming.block - 4, (length &+ 4) % SSHFraming.block == 0 else {
            return .malformed(length: length)
        }
        return begin(count - (SSHFraming.block - SSHFraming.plainHead))
    }

    private mutating func begin(_ rest: Int) -> Verdict {
        packets &+= 1
        head = 0
        announced = 0
        remaining = rest
        return .packet
    }
}
