/// What one collector produced in one tick: rows of cells under shared schemas.
///
/// Shape: cells of all rows stand one after another in one flat array of bit patterns; the row's schema says how to
/// read them. Strings stand in a side table, their cell holds the index. A point costs 32 bytes and 8 a field.
///
///     set.append(series, schema, at: time)
///     set.float(12.5)        // one call a column, in the schema's order
///     set.uint(7)
public struct SampleSet: Sendable {
    public struct Row: Sendable {
        public let series: Series
        public let schema: Schema
        public let time: Timestamp
        /// Index of the row's first cell; it has as many as the schema has fields.
        public let firstCell: Int
    }

    public private(set) var rows: [Row] = []
    public private(set) var cells: [UInt64] = []
    public private(set) var strings: [String] = []

    /// Gives all rows one time.
    public mutating func setTimes(to time: Timestamp) {
        rows = rows.map { Row(series: $0.series, schema: $0.schema, time: time, firstCell: $0.firstCell) }
    }

    public init() {}

    public var isEmpty: Bool { rows.isEmpty }

    /// Begins a row; the schema's cells must follow.
    public mutating func append(_ series: Series, _ schema: Schema, at time: Timestamp) {
        assert(isComplete, "BUG: a row before this one lacks cells")
        rows.append(Row(series: series, schema: schema, time: time, firstCell: cells.count))
    }

    public mutating func int(_ value: Int64) { cells.append(UInt64(bitPattern: value)) }
    public mutating func uint(_ value: UInt64) { cells.append(value) }
    /// NaN and infinities are fields that are left out of the line.
    public mutating func float(_ value: Double) { cells.append(value.bitPattern) }
    public mutating func bool(_ value: Bool) { cells.append(value ? 1 : 0) }
    public mutating func string(_ value: String) {
        cells.append(UInt64(strings.count))
        strings.append(value)
    }

    /// Appends a whole row; strings must have been added before, see `addString`.
    @inline(__always)
    public mutating func append(_ series: Series, _ schema: Schema, at time: Timestamp, cells row: [UInt64]) {
        assert(isComplete && row.count == schema.fields.count, "BUG: a row with another number of cells")
        rows.append(Row(series: series, schema: schema, time: time, firstCell: cells.count))
        cells.append(contentsOf: row)
    }

    /// Adds a string of a row that is still to be appended. Returns its cell.
    public mutating func addString(_ value: String) -> UInt64 {
        strings.append(value)
        return UInt64(strings.count - 1)
    }

    /// Takes back strings of a row that was not appended.
    @inline(__always)
    mutating func forgetStrings(from count: Int) {
        if strings.count > count { strings.removeLast(strings.count - count) }
    }

    /// Appends all rows of another set.
    public mutating func append(_ other: SampleSet) {
        assert(isComplete && other.isComplete, "BUG: a row lacks cells")
        let offset = UInt64(strings.count)
        for row in other.rows {
            rows.append(Row(series: row.series, schema: row.schema, time: row.time, firstCell: cells.count))
            for (column, field) in row.schema.fields.enumerated() {
                let cell = other.cells[row.firstCell + column]
                cells.append(field.kind == .string ? cell &+ offset : cell)
            }
        }
        strings += other.strings
    }

    /// Whether the last row has all its cells.
    public var isComplete: Bool {
        guard let last = rows.last else { return cells.isEmpty }
        return cells.count == last.firstCell + last.schema.fields.count
    }
}
