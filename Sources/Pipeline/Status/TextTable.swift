/// Rows of cells, aligned in columns, for the terminal.
struct TextTable {
    enum Alignment { case left, right }

    private let columns: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    init(_ columns: [(title: String, alignment: Alignment)]) { self.columns = columns }

    /// Adds a row; missing cells are empty, cells beyond the columns are ignored.
    mutating func add(_ cells: String...) {
        rows.append(columns.indices.map { $0 < cells.count ? Readable.line(cells[$0], limit: 400) : "" })
    }

    var isEmpty: Bool { rows.isEmpty }

    /// The lines, the titles first, two blanks between columns, none at the end.
    func lines(indent: String) -> [String] {
        let all = [columns.map(\.title)] + rows
        let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
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
