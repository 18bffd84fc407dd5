/// The counters of one network interface.
public struct InterfaceCounters: Sendable, Hashable {
    /// Where the name stands in the parsed bytes: it need not be UTF-8, and as a rule it is known from the last tick.
    public var name: Range<Int>
    public var bytesReceived: UInt64 = 0
    public var packetsReceived: UInt64 = 0
    public var errorsIn: UInt64 = 0
    public var dropsIn: UInt64 = 0
    public var bytesSent: UInt64 = 0
    public var packetsSent: UInt64 = 0
    public var errorsOut: UInt64 = 0
    public var dropsOut: UInt64 = 0

    /// The counters in the order of the file: those of receiving, then those of sending.
    public var growing: InlineArray<8, UInt64> {
        [bytesReceived, packetsReceived, errorsIn, dropsIn, bytesSent, packetsSent, errorsOut, dropsOut]
    }
}

/// `/proc/net/dev`.
///
/// Shape: two header lines, then `  eth0: 16 numbers`, split at the last colon. A line without a colon, without a name
/// or with fewer than 13 numbers is passed.
/// Errors: no header; a counter in use (columns 1 to 5 and 9 to 13) that is no number.
/// Source: proc(5).
public enum ProcNetDev {
    public static func parse(_ bytes: [UInt8]) throws(ParseError) -> [InterfaceCounters] {
        var cursor = ByteCursor(bytes)
        guard cursor.nextLine(), cursor.nextLine() else { throw ParseError("net/dev", "no header") }
        var rows: [InterfaceCounters] = []
        var words: [Range<Int>] = []
        words.reserveCapacity(16)
        while cursor.nextLine() {
            let line = cursor.rest
            guard let colon = cursor.last(UInt8(ascii: ":"), in: line) else { continue }
            let name = cursor.trimmed(line.lowerBound..<colon)
            guard !name.isEmpty else { continue }
            // A first number may stick to the colon: `eth0:123`.
            words.removeAll(keepingCapacity: true)
            split(cursor, (colon + 1)..<line.upperBound, into: &words)
            guard words.count >= 13 else { continue }
            rows.append(try row(name, words, cursor))
        }
        return rows
    }

    private static func split(_ cursor: ByteCursor, _ range: Range<Int>, into words: inout [Range<Int>]) {
        var position = range.lowerBound
        while position < range.upperBound {
            while position < range.upperBound, isBlank(cursor.bytes[position]) { position &+= 1 }
            let start = position
            while position < range.upperBound, !isBlank(cursor.bytes[position]) { position &+= 1 }
            if start < position { words.append(start..<position) }
        }
    }

    private static func row(
        _ name: Range<Int>, _ words: [Range<Int>], _ cursor: ByteCursor
    ) throws(ParseError) -> InterfaceCounters {
        func number(_ column: Int) throws(ParseError) -> UInt64 {
            guard let value = cursor.unsigned(in: words[column]) else {
                throw ParseError("net/dev", line: cursor.lineNumber, "column \(column + 1) is no number")
            }
            return value
        }
        var row = InterfaceCounters(name: name)
        row.bytesReceived = try number(0)
        row.packetsReceived = try number(1)
        row.errorsIn = try number(2)
        row.dropsIn = try number(3)
        _ = try number(4)
        row.bytesSent = try number(8)
        row.packetsSent = try number(9)
        row.errorsOut = try number(10)
        row.dropsOut = try number(11)
        _ = try number(12)
        return row
    }

    @inline(__always)
    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
    }
}
