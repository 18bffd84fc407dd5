/// The counter files that `nstat` shows: `/proc/net/netstat`, `/proc/net/snmp` and `/proc/net/snmp6`.
///
/// Shape of the first two: pairs of lines, names and numbers, `TcpExt: SyncookiesSent …` and `TcpExt: 0 …`; a counter's
/// name is both together, `TcpExtSyncookiesSent`. Shape of snmp6: `Ip6InReceives 11707`.
/// A value exactly `0` is left out if asked for, one that is no signed 64 bit number always; names without a value too.
///
/// Kept from tick to tick: names are only made when they differ from the reading before.
public struct ProcNetCounters: Sendable {
    private var table = CounterTable()

    public init() {}

    public var names: [String] { table.names }
    /// One per name.
    public var values: [Int64] { table.values }
    /// Grows whenever `names` change.
    public var generation: UInt64 { table.generation }

    /// Reads pairs of lines, blank ones passed in steps of two.
    public mutating func updatePairs(_ bytes: [UInt8], keepsZeros: Bool) {
        var header = ByteCursor(bytes)
        var numbers = ByteCursor(bytes)
        table.begin()
        _ = numbers.nextLine()
        while header.nextLine(), numbers.nextLine() {
            if let first = header.word(), numbers.word() != nil {
                let hasColon = bytes[first.upperBound - 1] == UInt8(ascii: ":")
                let prefix = first.lowerBound..<(hasColon ? first.upperBound - 1 : first.upperBound)
                while let name = header.word(), let number = numbers.word() {
                    add(prefix, name, number, header, keepsZeros)
                }
            }
            _ = header.nextLine()
            _ = numbers.nextLine()
        }
        table.finish()
    }

    /// Reads names and numbers in turn.
    public mutating func updateList(_ bytes: [UInt8], keepsZeros: Bool) {
        var cursor = ByteCursor(bytes)
        table.begin()
        while cursor.nextLine() {
            while let name = cursor.word(), let number = cursor.word() {
                add(0..<0, name, number, cursor, keepsZeros)
            }
        }
        table.finish()
    }

    @inline(__always)
    private mutating func add(
        _ prefix: Range<Int>, _ name: Range<Int>, _ number: Range<Int>, _ cursor: ByteCursor, _ keepsZeros: Bool
    ) {
        if !keepsZeros, number.count == 1, cursor.bytes[number.lowerBound] == UInt8(ascii: "0") { return }
        guard let value = cursor.signed(in: number) else { return }
        table.add(prefix, name, value, cursor)
    }
}
