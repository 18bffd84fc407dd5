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
        var cursor = ByteCursor(bytes)
        var pages: (in: UInt64, out: UInt64) = (0, 0)
        while cursor.nextLine() {
            guard cursor.hasPrefix(cursor.rest, "pswp"), let name = cursor.word() else { continue }
            if cursor.equals(name, inName) { pages.in = cursor.unsigned() ?? 0 }
            if cursor.equals(name, outName) {
                pages.out = cursor.unsigned() ?? 0
                break
            }
        }
        return pages
    }

    private static let inName = Array("pswpin".utf8)
    private static let outName = Array("pswpout".utf8)
}
