/// The socket tables of /proc/net: tcp, tcp6, udp, udp6 and unix.
///
/// Shape of the first four: `0: 0100007F:1F90 0100007F:C350 01 …`, addresses in hexadecimal words of the host's byte
/// order, ports in plain hexadecimal, then the state. Lines of fewer than ten words and those with odd addresses are
/// passed. Shape of unix: `NUM: refs protocol flags 0001 st inode [name]`; lines of fewer than six words are passed.
/// The first line of a file is its heading.
/// Errors: a type of a unix socket that is no number.
public enum ProcNetSockets {
    /// Adds the lines of a piece that holds whole lines only. `isFirst`: the piece begins with the heading.
    public static func addInet(_ bytes: [UInt8], isTCP: Bool, isFirst: Bool, to tally: inout SocketTally) {
        var cursor = ByteCursor(bytes)
        if isFirst { _ = cursor.nextLine() }
        while cursor.nextLine() {
            guard cursor.word() != nil, let local = cursor.word(), let remote = cursor.word(),
                let state = cursor.word(), let localAddress = address(bytes, local),
                let remoteAddress = address(bytes, remote), let number = hex(bytes, state), hasSixMore(cursor)
            else { continue }
            if isTCP {
                tally.addTCP(state: UInt8(truncatingIfNeeded: number), local: localAddress, remote: remoteAddress)
            } else {
                tally.addUDP(local: localAddress, remote: remoteAddress)
            }
        }
    }

    public static func addUnix(_ bytes: [UInt8], isFirst: Bool, to tally: inout SocketTally) throws(ParseError) {
        var cursor = ByteCursor(bytes)
        if isFirst { _ = cursor.nextLine() }
        while cursor.nextLine() {
            guard cursor.word() != nil, cursor.word() != nil, cursor.word() != nil, cursor.word() != nil,
                let type = cursor.word(), cursor.word() != nil
            else { continue }
            guard let number = cursor.unsigned(in: type) else {
                throw ParseError("net/unix", line: cursor.lineNumber, "a type is no number")
            }
            // The inode, and then the name with whatever blanks it holds.
            _ = cursor.word()
            let name = cursor.isAtLineEnd ? 0..<0 : (cursor.rest.lowerBound + 1)..<cursor.rest.upperBound
            tally.addUnix(type: UInt32(truncatingIfNeeded: number), name: bytes[name])
        }
    }

    private static func hasSixMore(_ cursor: ByteCursor) -> Bool {
        var probe = cursor
        for _ in 0..<6 where probe.word() == nil { return false }
        return true
    }

    @inline(__always)
    private static func address(_ bytes: [UInt8], _ word: Range<Int>) -> SocketTally.Address? {
        let isV4 = word.count == 13
        let colon = word.lowerBound + (isV4 ? 8 : 32)
        guard isV4 || word.count == 37, bytes[colon] == UInt8(ascii: ":"),
            let port = hex(bytes, (colon + 1)..<word.upperBound)
        else { return nil }
        func part(_ index: Int) -> UInt32? {
            let start = word.lowerBound + index * 8
            return hex(bytes, start..<(start + 8)).map { UInt32(truncatingIfNeeded: $0) }
        }
        guard let first = part(0) else { return nil }
        if isV4 { return SocketTally.Address(v4: first, port: UInt16(truncatingIfNeeded: port)) }
        guard let second = part(1), let third = part(2), let fourth = part(3) else { return nil }
        return SocketTally.Address(words: (first, second, third, fourth), port: UInt16(truncatingIfNeeded: port))
    }

    @inline(__always)
    private static func hex(_ bytes: [UInt8], _ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty, range.count <= 16 else { return nil }
        var value: UInt64 = 0
        for position in range {
            let byte = bytes[position]
            let digit: UInt8
            if byte &- UInt8(ascii: "0") < 10 {
                digit = byte &- UInt8(ascii: "0")
            } else if (byte | 0x20) &- UInt8(ascii: "a") < 6 {
                digit = (byte | 0x20) &- UInt8(ascii: "a") &+ 10
            } else {
                return nil
            }
            value = value << 4 | UInt64(digit)
        }
        return value
    }
}
