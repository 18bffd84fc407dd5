extension StageCounters {
    var json: JSONValue {
        [
            "id": .string(id),
            "points": .init(exactly: points),
            "dropped": .init(exactly: dropped),
            "made": .init(exactly: made),
            "late": .init(exactly: late),
            "overflow": .init(exactly: overflow),
            "series": .init(exactly: series),
        ]
    }
}

extension StatusText {
    /// Processors and aggregators with their counters; nothing without any.
    static func stages(_ title: String, _ stages: [StageCounters]) -> [String] {
        guard !stages.isEmpty else { return [] }
        var table = TextTable([
            (title, .left), ("points", .right), ("dropped", .right), ("made", .right), ("late", .right),
            ("overflow", .right), ("series", .right),
        ])
        for stage in stages {
            table.add(
                stage.id, Readable.count(stage.points), Readable.count(stage.dropped), Readable.count(stage.made),
                Readable.count(stage.late), Readable.count(stage.overflow), "\(stage.series)")
        }
        return table.lines(indent: "  ")
    }
}
