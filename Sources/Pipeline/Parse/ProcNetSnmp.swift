/// `/proc/net/snmp`: protocol counters of IP, ICMP, TCP and UDP.
///
/// Shape: pairs of lines, names and numbers: `Tcp: RtoAlgorithm MaxConn` and `Tcp: 1 -1`. Other protocols are passed.
/// Errors: a line without a colon, a pair of unequal length, a value that is no number, a last line without partner.
/// Source: RFC 1213, RFC 4293 and the kernel's snmp_counter documentation.
///
/// Kept from tick to tick: names are only read again when the header lines change (ICMP types appear with use).
public struct ProcNetSnmp: Sendable {
    /// Field keys as Telegraf's net input spells them: `tcp_retranssegs`.
    public private(set) var names: [String] = []
    /// One per name.
    public private(set) var values: [Int64] = []
    private var headers: [UInt8] = []

    public init() {}

    private static let protocols = Set(["ip", "icmp", "icmpmsg", "tcp", "udp", "udplite"])

    /// Reads the file. Returns whether `names` differ from the time before. After an error nothing may be used.
    public mutating func update(_ bytes: [UInt8]) throws(ParseError) -> Bool {
        var cursor = ByteCursor(bytes)
        values.removeAll(keepingCapacity: true)
        var seen = 0
        var isKnown = true
        while cursor.nextLine() {
            let header = cursor.rest
            guard let colon = cursor.first(UInt8(ascii: ":"), in: header) else {
                throw ParseError("net/snmp", line: cursor.lineNumber, "no colon")
            }
            let name = header.lowerBound..<colon
            let isWanted = ProcNetSnmp.isWanted(name, cursor)
            guard cursor.nextLine() else {
                if !isWanted { break }
                throw ParseError("net/snmp", line: cursor.lineNumber, "names without values")
            }
            guard isWanted else { continue }
            if isKnown, matches(header, at: seen, cursor) { seen += header.count + 1 } else { isKnown = false }
            try readValues(&cursor, header: (colon + 1)..<header.upperBound, offset: colon + 1 - header.lowerBound)
        }
        guard !isKnown || seen != headers.count else { return false }
        readNames(bytes)
        return true
    }

    private mutating func readValues(
        _ cursor: inout ByteCursor, header: Range<Int>, offset: Int
    ) throws(ParseError) {
        let line = cursor.rest
        let before = values.count
        guard line.count >= offset else {
            throw ParseError("net/snmp", line: cursor.lineNumber, "too short")
        }
        var position = line.lowerBound + offset
        while let word = ProcNetSnmp.word(cursor.bytes, &position, line.upperBound) {
            guard let value = cursor.signed(in: word) else {
                throw ParseError("net/snmp", line: cursor.lineNumber, "a value is no number")
            }
            values.append(value)
        }
        var count = 0
        position = header.lowerBound
        while ProcNetSnmp.word(cursor.bytes, &position, header.upperBound) != nil { count += 1 }
        guard values.count - before == count else {
            throw ParseError("net/snmp", line: cursor.lineNumber, "not as many values as names")
        }
    }

    private mutating func readNames(_ bytes: [UInt8]) {
        var cursor = ByteCursor(bytes)
        names.removeAll()
        headers.removeAll()
        while cursor.nextLine() {
            let header = cursor.rest
            guard let colon = cursor.first(UInt8(ascii: ":"), in: header) else { return }
            let name = header.lowerBound..<colon
            if ProcNetSnmp.isWanted(name, cursor) {
                headers += bytes[header]
                headers.append(UInt8(ascii: "\n"))
                let prefix = cursor.text(name).lowercased() + "_"
                var position = colon + 1
                while let word = ProcNetSnmp.word(bytes, &position, header.upperBound) {
                    names.append(prefix + cursor.text(word).lowercased())
                }
            }
            guard cursor.nextLine() else { return }
        }
    }

    /// Whether `header` is what stood at `offset` of the headers of the time before.
    private func matches(_ header: Range<Int>, at offset: Int, _ cursor: ByteCursor) -> Bool {
        guard offset + header.count < headers.count, headers[offset + header.count] == UInt8(ascii: "\n") else {
            return false
        }
        var position = 0
        while position < header.count {
            if headers[offset &+ position] != cursor.bytes[header.lowerBound &+ position] { return false }
            position &+= 1
        }
        return true
    }

    private static func isWanted(_ name: Range<Int>, _ cursor: ByteCursor) -> Bool {
        // At most seven letters, so the string is small and costs no allocation.
        name.count <= 7 && protocols.contains(cursor.text(name).lowercased())
    }

    @inline(__always)
    private static func word(_ bytes: [UInt8], _ position: inout Int, _ end: Int) -> Range<Int>? {
        while position < end, bytes[position] == UInt8(ascii: " ") { position &+= 1 }
        guard position < end else { return nil }
        let start = position
        while position < end, bytes[position] != UInt8(ascii: " ") { position &+= 1 }
        return start..<position
    }
}
