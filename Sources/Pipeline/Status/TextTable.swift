/// Rows of cells, aligned in columns, for the terminal.
struct TextTable {
    enum Alignment { case left, right }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    init(_ columns: [(title: String, alignment: Alignment)]) { self.columns = columns }

    /// Adds a row; missing cells are empty, cells beyond the columns are ignored.
    mutating func add(_ cells: String...) { add(cells) }

    mutating func add(_ cells: [String]) {
        rows.append(columns.indices.map { $0 < cells.count ? Readable.line(cells[$0], limit: 400) : "" })
    }

    var isEmpty: Bool { rows.isEmpty }

    /// The lines, the titles first, two blanks between columns, none at the end. Where they are wider than `width`, the
    /// first column gives way, down to 8 characters, so that the values behind it are seen.
    func lines(indent: String, width: Int = .max) -> [String] {
        var all = [columns.map(\.title)] + rows
        var widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        let excess = widths.reduce(indent.count, +) + 2 * (widths.count - 1) - width
        if excess > 0, let first = widths.first, first > 8 {
            widths[0] = max(8, first - excess)
            for row in all.indices where all[row][0].count > widths[0] {
                all[row][0] = all[row][0].prefix(widths[0] - 1) + "…"
            }
        }
        return all.map { row in
            var line = indent
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += columns[column].alignment == .left ? cell + padding : padding + cell
                line += "  "
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
