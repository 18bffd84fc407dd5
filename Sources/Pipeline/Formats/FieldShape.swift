/// The keys and kinds of a line's fields, as they were written, and the schema made from them.
///
/// Shape of `bytes`: for each field its raw key, `=`, and one byte for the kind.
final class FieldShape {
    let schema: Schema
    let kinds: [FieldKind]
    /// For lines that name a field twice: the cells that count, in the schema's order. nil = all.
    let winners: [Int]?
    private let bytes: [UInt8]
    /// Where each field begins in `bytes`, and the end.
    private let starts: [Int]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        var starts = [0]
        var kinds: [FieldKind] = []
        var fields: [Schema.Field] = []
        var winners: [Int] = []
        var places: [String: Int] = [:]
        var at = 0
        bytes.withUnsafeBufferPointer { raw in
            while at < raw.count {
                let keyEnd = LineHead.end(raw, from: at, stops: LineHead.equals)
                guard keyEnd + 1 < raw.count, let kind = FieldKind(rawValue: raw[keyEnd + 1]) else { break }
                let key = LineHead.unescaped(UnsafeBufferPointer(rebasing: raw[at..<keyEnd]), equals: true)
                let place = places[key]
                if let place {
                    fields[place] = Schema.Field(key, kind)
                    winners[place] = kinds.count
                } else {
                    places[key] = fields.count
                    fields.append(Schema.Field(key, kind))
                    winners.append(kinds.count)
                }
                kinds.append(kind)
                at = keyEnd + 2
                starts.append(at)
            }
        }
        self.starts = starts
        self.kinds = kinds
        self.winners = fields.count == kinds.count ? nil : winners
        schema = Schema(fields)
    }

    /// The raw key of a field with its `=`.
    @inline(__always)
    func withKey<Result>(_ field: Int, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        bytes.withUnsafeBufferPointer {
            body(UnsafeBufferPointer(rebasing: $0[starts[field]..<starts[field + 1] - 1]))
        }
    }

    func bytes(before field: Int) -> ArraySlice<UInt8> { bytes[..<starts[field]] }
}
