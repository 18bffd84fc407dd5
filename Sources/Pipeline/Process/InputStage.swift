/// The way of one input's rows to points: names, tags, filters and rounding, cached by series and schema as in
/// `StreamEncoder`.
struct InputStage: Sendable {
    private struct Shape: Sendable {
        /// Keeps the object alive, so that its identity stays unique while it is a key.
        let series: Series
        /// nil: dropped by a filter.
        let name: String?
        let tags: [Tag]
    }

    private struct Columns: Sendable {
        /// Keeps the object alive, as above.
        let schema: Schema
        let kept: [Int]
    }

    private static let cacheLimit = 10_000

    private let rules: InputRules
    private var shapes: [ObjectIdentifier: Shape] = [:]
    private var columns: [ObjectIdentifier: Columns] = [:]

    init(_ rules: InputRules) { self.rules = rules }

    /// The point of a row; nil when a filter drops it or nothing is left of it.
    mutating func point(_ row: SampleSet.Row, of set: SampleSet) -> Point? {
        let shape = shape(row.series)
        guard let name = shape.name else { return nil }
        var point = Point(name: name, sortedTags: shape.tags, time: row.time.rounded(to: rules.precision))
        for column in kept(row.schema) {
            let field = row.schema.fields[column]
            let cell = set.cells[row.firstCell + column]
            switch field.kind {
            case .int: point.append(newField: field.key, .int(Int64(bitPattern: cell)))
            case .uint: point.append(newField: field.key, .uint(cell))
            case .bool: point.append(newField: field.key, .bool(cell != 0))
            case .float:
                let value = Double(bitPattern: cell)
                // No field at all, as everywhere; the end of a series goes on.
                if value.isFinite || value.isStaleMarker { point.append(newField: field.key, .float(value)) }
            case .string:
                if cell < UInt64(set.strings.count) {
                    point.append(newField: field.key, .string(set.strings[Int(cell)]))
                }
            }
        }
        return point.fields.isEmpty ? nil : point
    }

    private mutating func shape(_ series: Series) -> Shape {
        let key = ObjectIdentifier(series)
        if let known = shapes[key] { return known }
        if shapes.count >= InputStage.cacheLimit { shapes.removeAll() }
        var shape: (name: String, tags: [Tag])? = (series.measurement, series.tags)
        for transform in rules.transforms {
            shape = shape.flatMap { transform.apply(name: $0.name, tags: $0.tags) }
        }
        let made = Shape(series: series, name: shape?.name, tags: shape?.tags ?? [])
        shapes[key] = made
        return made
    }

    private mutating func kept(_ schema: Schema) -> [Int] {
        let key = ObjectIdentifier(schema)
        if let known = columns[key] { return known.kept }
        if columns.count >= InputStage.cacheLimit { columns.removeAll() }
        var seen: Set<String> = []
        let kept = schema.fields.indices.filter { column in
            rules.transforms.allSatisfy { $0.keepsField(schema.fields[column].key) }
                && seen.insert(schema.fields[column].key).inserted
        }
        columns[key] = Columns(schema: schema, kept: kept)
        return kept
    }
}

/// Puts points back into sample sets, with series and schemas that are the same objects from set to set.
///
/// Bounds: `cacheLimit` series and schemas; a full cache begins anew.
struct PointComposer: Sendable {
    private static let cacheLimit = 10_000

    private var series: [SeriesKey: Series] = [:]
    private var schemas: [[Schema.Field]: Schema] = [:]

    mutating func append(_ point: Point, to set: inout SampleSet) {
        let schema = schema(point)
        set.append(series(point), schema, at: point.time)
        for field in point.fields {
            switch field.value {
            case .int(let value): set.int(value)
            case .uint(let value): set.uint(value)
            case .float(let value): set.float(value)
            case .bool(let value): set.bool(value)
            case .string(let value): set.string(value)
            }
        }
    }

    private mutating func series(_ point: Point) -> Series {
        let key = SeriesKey(point)
        if let known = series[key] { return known }
        if series.count >= PointComposer.cacheLimit { series.removeAll() }
        let made = Series(point.name, tags: point.tags)
        series[key] = made
        return made
    }

    private mutating func schema(_ point: Point) -> Schema {
        let fields = point.fields.map { Schema.Field($0.key, $0.value.kind) }
        if let known = schemas[fields] { return known }
        if schemas.count >= PointComposer.cacheLimit { schemas.removeAll() }
        let made = Schema(fields)
        schemas[fields] = made
        return made
    }
}
