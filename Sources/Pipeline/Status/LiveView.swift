/// The page that `godwit top` shows, fitted to a terminal.
public enum LiveView {
    /// The smallest and largest page that is drawn; other wishes are brought to these.
    public static let widths = 20...500
    public static let heights = 4...200

    /// Shape: at most `height` lines of at most `width` characters, each with LF. The head line is always there; then
    /// health, outputs, inputs and the latest values as far as they fit.
    public static func page(_ report: StatusReport, width: Int, height: Int) -> String {
        let width = min(max(width, widths.lowerBound), widths.upperBound)
        let height = min(max(height, heights.lowerBound), heights.upperBound)
        var lines = [head(report)]
        lines += report.health.reasons.map { "  \($0.state.rawValue): \(Readable.line($0.text))" }.prefix(3)
        lines += [""] + deliveries(report, width: width)
        lines += [""] + inputs(report.inputs)
        let room = height - lines.count - 1
        if room > 1 { lines += [""] + values(report.headlines, room: room, width: width) }
        return lines.prefix(height).map { fit($0, width) + "\n" }.joined()
    }

    private static func head(_ report: StatusReport) -> String {
        "godwit \(report.version)  \(Readable.line(report.hostname, limit: 40))  \(report.health.state.rawValue)"
            + "  up \(Readable.duration(report.uptime))  rss \(Readable.bytes(report.process.residentBytes))"
            + "  cpu \(Readable.decimal(report.process.cpuSeconds, places: 1)) s"
    }

    private static func deliveries(_ report: StatusReport, width: Int) -> [String] {
        var table = TextTable([
            ("output", .left), ("route", .left), ("delivered", .right), ("pending", .right), ("dropped", .right),
            ("last", .right),
        ])
        for output in report.outputs {
            table.add(
                output.id, output.activeRoute ?? "none", Readable.count(output.balance.delivered),
                Readable.count(output.balance.pending), Readable.count(output.balance.droppedTotal),
                StatusText.ago(output.lastDelivery))
        }
        return table.isEmpty ? ["no outputs"] : table.lines(indent: "", width: width)
    }

    private static func inputs(_ inputs: [StatusReport.Input]) -> [String] {
        var table = TextTable([
            ("input", .left), ("points", .right), ("took", .right), ("last", .right), ("errors", .right),
            ("last error", .left),
        ])
        for input in inputs {
            table.add(
                input.id, Readable.count(input.points), input.lastDuration.map(StatusText.milliseconds) ?? "-",
                StatusText.ago(input.lastGather), Readable.count(input.errors), input.lastError ?? "")
        }
        return table.isEmpty ? ["no inputs"] : table.lines(indent: "")
    }

    /// A row for each series under a head line for each name. All share their columns, so that numbers stand below
    /// numbers.
    private static func values(_ headlines: [StatusReport.Headline], room: Int, width: Int) -> [String] {
        guard let first = headlines.first else { return [] }
        let count = headlines.map(\.fields.count).max() ?? 0
        let titles = first.fields.map(\.name) + Array(repeating: "", count: count - first.fields.count)
        var table = TextTable([(first.name, .left)] + titles.map { ($0, .right) })
        var name = first.name
        for headline in headlines {
            if headline.name != name {
                name = headline.name
                table.add([name] + headline.fields.map(\.name))
            }
            table.add(["  " + headline.series] + headline.fields.map(\.text))
        }
        return Array(table.lines(indent: "", width: width).prefix(room))
    }

    private static func fit(_ line: String, _ width: Int) -> String {
        line.count <= width ? line : String(line.prefix(width - 1)) + "…"
    }
}
