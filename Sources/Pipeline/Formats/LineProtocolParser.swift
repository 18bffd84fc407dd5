/// Reads line protocol that others wrote, strictly, into sample sets.
///
///     var position = LineProtocolParser.Position()
///     while parser.parse(bytes, from: &position, at: now, into: &samples, &issues) { hand over samples }
///
/// Shape: `name[,tag=value...] field=value[,...] [timestamp]\n`; empty lines and lines that begin with `#` are passed over,
/// CR LF ends a line as LF does. A comma, blank or equals sign is part of a name when a backslash stands before it; any
/// other backslash is itself. A bad line costs that line: its number and reason go to the issues, the others flow.
/// Of tags or fields of one key the last counts.
/// Bounds: `Limits`; the memory for series and schemas that are kept is that of `ByteTable`.
/// Cost: a line whose series and fields were seen before is one look-up, a comparison of its keys and the reading of its
/// values.
/// Source: the line protocol reference of InfluxDB, and what Telegraf's own parser takes.
public struct LineProtocolParser {
    public struct Limits: Sendable, Hashable {
        public var lineBytes = 1 << 20
        public var tags = 256
        public var fields = 4_096
        /// Rows of one set; then the caller hands it over and goes on.
        public var rows = 5_000

        public init() {}
    }

    /// How far a text has been read.
    public struct Position: Sendable, Hashable {
        public var offset = 0
        /// Lines begun so far.
        public var line = 0

        public init() {}
    }

    /// What is known of a line's head: the series, and the shape that its fields had last.
    final class KnownSeries {
        let series: Series
        var shape: FieldShape?

        init(_ series: Series) { self.series = series }
    }

    private let limits: Limits
    /// Tags that every point gets; they replace what a line says.
    private let extraTags: [Tag]
    private let takesSpecials: Bool
    private var series: ByteTable<KnownSeries>
    private var shapes = ByteTable<FieldShape>()
    private var cells: [UInt64] = []
    private var shapeBytes: [UInt8] = []

    /// `takesSpecials` is for lines of our own streams: floats that are not finite, see `SpecialFloat`, and as many series
    /// remembered as their points can have.
    public init(limits: Limits = Limits(), extraTags: [Tag] = [], takesSpecials: Bool = false) {
        series =
            takesSpecials
            ? ByteTable(limit: InputRules.manySeries, bytesLimit: InputRules.manySeries * 256) : ByteTable()
        self.limits = limits
        self.extraTags = extraTags
        self.takesSpecials = takesSpecials
    }

    /// Reads until the set holds `Limits.rows` rows or the text ends; true while there is more. Points without a time of
    /// their own get `time`.
    public mutating func parse(
        _ bytes: UnsafeBufferPointer<UInt8>, from position: inout Position, at time: Timestamp,
        precision: TimePrecision = .nanoseconds, into samples: inout SampleSet, _ issues: inout LineIssues
    ) -> Bool {
        let factor = precision.factor
        while position.offset < bytes.count {
            guard samples.rows.count < limits.rows else { return true }
            position.line &+= 1
            let strings = samples.strings.count
            var reader = LineReader(bytes: bytes, at: position.offset, takesSpecials: takesSpecials)
            do throws(LineIssueReason) {
                try readLine(&reader, time, factor, &samples)
                position.offset = reader.at
                position.line &+= reader.newlines
            } catch {
                samples.forgetStrings(from: strings)
                issues.add(LineIssue(line: position.line, error))
                position.offset = LineReader.nextLine(bytes, from: position.offset)
            }
        }
        return false
    }

    /// The same for a text in an array, from its beginning to its end; the set may grow beyond `Limits.rows`.
    public mutating func parse(
        all bytes: [UInt8], at time: Timestamp, precision: TimePrecision = .nanoseconds
    ) -> (samples: SampleSet, issues: LineIssues) {
        var all = SampleSet()
        var issues = LineIssues()
        var position = Position()
        bytes.withUnsafeBufferPointer { bytes in
            var isMore = true
            while isMore {
                var samples = SampleSet()
                isMore = parse(
                    bytes, from: &position, at: time, precision: precision, into: &samples, &issues)
                if all.isEmpty { all = samples } else { all.append(samples) }
            }
        }
        return (all, issues)
    }

    /// Reads the line that the reader stands at, and moves it behind its end.
    private mutating func readLine(
        _ reader: inout LineReader, _ time: Timestamp, _ factor: Int64, _ samples: inout SampleSet
    ) throws(LineIssueReason) {
        guard reader.skipToContent() else { return }
        let start = reader.at
        let head = try reader.head(limit: limits.lineBytes)
        let known: KnownSeries
        if let found = series.find(head) {
            known = found
        } else {
            known = KnownSeries(try LineHead.series(head, tagsLimit: limits.tags, extraTags))
            series.insert(known, for: head)
        }
        reader.skipBlanks()
        let shape = try readFields(&reader, known.shape, &samples)
        known.shape = shape
        guard reader.at - start <= limits.lineBytes else { throw .tooLong }
        let own = try reader.time(factor: factor)
        if let winners = shape.winners {
            samples.append(known.series, shape.schema, at: own ?? time, cells: winners.map { cells[$0] })
        } else {
            samples.append(known.series, shape.schema, at: own ?? time, cells: cells)
        }
    }

    /// Reads all fields into `cells`: along the shape that this series had last as far as that goes, else by its own keys.
    private mutating func readFields(
        _ reader: inout LineReader, _ expected: FieldShape?, _ samples: inout SampleSet
    ) throws(LineIssueReason) -> FieldShape {
        cells.removeAll(keepingCapacity: true)
        if let expected {
            var field = 0
            while true {
                // `at` stays at a key until that key and the kind of its value are as expected.
                let keyStart = reader.at
                let newlines = reader.newlines
                let strings = samples.strings.count
                guard field < expected.kinds.count, reader.take(expected, field) else { break }
                let (cell, kind) = try reader.value(&samples)
                guard kind == expected.kinds[field] else {
                    reader.at = keyStart
                    reader.newlines = newlines
                    samples.forgetStrings(from: strings)
                    break
                }
                cells.append(cell)
                field &+= 1
                guard try reader.takeComma() else {
                    if field == expected.kinds.count { return expected }
                    return try shape(expected, field)
                }
            }
            shapeBytes.removeAll(keepingCapacity: true)
            shapeBytes += expected.bytes(before: field)
        } else {
            shapeBytes.removeAll(keepingCapacity: true)
        }
        repeat {
            let key = try reader.fieldKey(limit: limits.lineBytes)
            let (cell, kind) = try reader.value(&samples)
            shapeBytes.append(contentsOf: key)
            shapeBytes.append(kind.rawValue)
            cells.append(cell)
            guard cells.count <= limits.fields else { throw .tooManyFields }
        } while try reader.takeComma()
        return knownShape()
    }

    /// The shape of the first fields of another one.
    private mutating func shape(_ longer: FieldShape, _ count: Int) throws(LineIssueReason) -> FieldShape {
        shapeBytes.removeAll(keepingCapacity: true)
        shapeBytes += longer.bytes(before: count)
        return knownShape()
    }

    private mutating func knownShape() -> FieldShape {
        let found = shapeBytes.withUnsafeBufferPointer { shapes.find($0) }
        if let found { return found }
        let made = FieldShape(shapeBytes)
        shapeBytes.withUnsafeBufferPointer { shapes.insert(made, for: $0) }
        return made
    }

    /// Series that are remembered, for tests.
    var knownSeries: Int { series.count }
}
