/// `/proc/vmstat`: counters of the memory management, under the kernel's own names.
///
/// Shape: `pgfault 123456`, one a line; which names there are depends on the kernel.
/// Units: pages or events, as the kernel defines each.
/// Errors: a name without a value, or one that is no signed 64 bit number; then no value may be used.
///
/// Kept from tick to tick: names are only made when they differ from the reading before.
public struct ProcVmstat: Sendable {
    private var table = CounterTable()

    public init() {}

    public var names: [String] { table.names }
    /// One per name.
    public var values: [Int64] { table.values }
    /// Grows whenever `names` change.
    public var generation: UInt64 { table.generation }

    public mutating func update(_ bytes: [UInt8]) throws(ParseError) {
        var cursor = ByteCursor(bytes)
        table.begin()
        while cursor.nextLine() {
            while let name = cursor.word() {
                guard let word = cursor.word(), let value = cursor.signed(in: word) else {
                    throw ParseError("vmstat", line: cursor.lineNumber, "a value is no number")
                }
                table.add(0..<0, name, value, cursor)
            }
        }
        table.finish()
    }

    /// Pages swapped in and out since boot. What is missing or no number reads 0: kernels without swap have neither.
    public static func swapPages(_ bytes: [UInt8]) -> (in: UInt64, out: UInt64) {
        let pages = pair(bytes, "pswp")
        return (pages.in ?? 0, pages.out ?? 0)
    }

    /// What was read from and written to block devices since boot; nil when the file does not say.
    /// Units: KiB.
    public static func pagedKibibytes(_ bytes: [UInt8]) -> (in: UInt64, out: UInt64)? {
        let paged = pair(bytes, "pgpg")
        guard let pagedIn = paged.in, let pagedOut = paged.out else { return nil }
        return (pagedIn, pagedOut)
    }

    /// The two counters `PREFIXin` and `PREFIXout`, which stand in this order.
    private static func pair(_ bytes: [UInt8], _ prefix: StaticString) -> (in: UInt64?, out: UInt64?) {
        var cursor = ByteCursor(bytes)
        var found: (in: UInt64?, out: UInt64?) = (nil, nil)
        let length = prefix.utf8CodeUnitCount
        while cursor.nextLine() {
            guard cursor.hasPrefix(cursor.rest, prefix), let name = cursor.word() else { continue }
            let rest = (name.lowerBound + length)..<name.upperBound
            if cursor.equals(rest, inName) { found.in = cursor.unsigned() }
            if cursor.equals(rest, outName) {
                found.out = cursor.unsigned()
                break
            }
        }
        return found
    }

    private static let inName = Array("in".utf8)
    private static let outName = Array("out".utf8)
}
