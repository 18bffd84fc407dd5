/// Requests and answers of the kernel's sock_diag interface (NETLINK_SOCK_DIAG).
///
/// An answer is a row of netlink messages: 16 bytes of heading (length, type, flags, sequence, port), then
/// `inet_diag_msg` (72 bytes) and attributes. All in the host's byte order but addresses and ports, which are the
/// network's.
/// Source: sock_diag(7), linux/inet_diag.h.
public enum SocketDiag {
    /// What is asked for.
    public enum Table: CaseIterable, Sendable {
        /// TCP of both families at once: the old request, which walks the table of connections once.
        case tcp
        case udp4
        case udp6
    }

    /// How far an answer has come.
    public enum Progress: Sendable, Hashable {
        case more
        case done
        /// errno of the kernel's refusal, or -1 for an answer that is none.
        case failed(Int32)
    }

    private static let headingBytes = 16
    private static let endType: UInt16 = 3
    private static let errorType: UInt16 = 2
    private static let oldTCPRequest: UInt16 = 18
    private static let newRequest: UInt16 = 20
    /// States 1 to 12, which are those that /proc shows; sockets that are bound only are none of them.
    private static let states: UInt32 = 0x1FFE

    /// The bytes of a request for all sockets of `table`.
    public static func request(_ table: Table) -> [UInt8] {
        let body: [UInt8]
        switch table {
        case .tcp:
            // inet_diag_req: family, source length, destination length, extensions, id, states, dbs.
            body = [UInt8](repeating: 0, count: 4 + 48) + native(states) + native(0)
        case .udp4, .udp6:
            // inet_diag_req_v2: family, protocol, extensions, padding, states, id.
            let family: UInt8 = table == .udp4 ? 2 : 10
            body = [family, 17, 0, 0] + native(.max) + [UInt8](repeating: 0, count: 48)
        }
        let type = table == .tcp ? oldTCPRequest : newRequest
        // NLM_F_REQUEST and NLM_F_DUMP.
        let flags: UInt32 = 0x301
        let heading =
            native(UInt32(headingBytes + body.count)) + native(UInt32(littleEndian: UInt32(type) | flags << 16))
            + native(1) + native(0)
        return heading + body
    }

    /// Adds the sockets of one piece of an answer, whole messages.
    public static func add(_ bytes: UnsafeRawBufferPointer, _ table: Table, to tally: inout SocketTally) -> Progress {
        var start = 0
        while start <= bytes.count - headingBytes {
            let length = Int(bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self))
            let type = bytes.loadUnaligned(fromByteOffset: start + 4, as: UInt16.self)
            guard length >= headingBytes, length <= bytes.count - start else { return .failed(-1) }
            let body = UnsafeRawBufferPointer(rebasing: bytes[(start + headingBytes)..<(start + length)])
            switch type {
            case endType:
                // A dump that ends with an error carries it here.
                let code = body.count >= 4 ? body.loadUnaligned(as: Int32.self) : 0
                return code < 0 ? .failed(0 &- code) : .done
            case errorType:
                guard body.count >= 4 else { return .failed(-1) }
                return .failed(0 &- body.loadUnaligned(as: Int32.self))
            case oldTCPRequest, newRequest:
                addInet(body, table, to: &tally)
            default: break
            }
            // Messages begin at multiples of four.
            start += (length + 3) & ~3
        }
        return .more
    }

    private static func addInet(_ body: UnsafeRawBufferPointer, _ table: Table, to tally: inout SocketTally) {
        guard body.count >= 72 else { return }
        func word(_ offset: Int) -> UInt32 { body.loadUnaligned(fromByteOffset: offset, as: UInt32.self) }
        func address(_ port: Int, _ offset: Int) -> SocketTally.Address {
            let number = UInt16(bigEndian: body.loadUnaligned(fromByteOffset: port, as: UInt16.self))
            if body[0] == 2 { return SocketTally.Address(v4: word(offset), port: number) }
            return SocketTally.Address(
                words: (word(offset), word(offset + 4), word(offset + 8), word(offset + 12)), port: number)
        }
        // family, state, timer, retransmissions, then the id: ports, addresses, interface, cookie.
        let local = address(4, 8)
        let remote = address(6, 24)
        if table == .tcp {
            tally.addTCP(state: body[1], local: local, remote: remote)
        } else {
            tally.addUDP(local: local, remote: remote)
        }
    }

    private static func native(_ value: UInt32) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
}
