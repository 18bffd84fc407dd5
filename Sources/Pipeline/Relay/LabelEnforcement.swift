/// Rewrites the line protocol of one guest so that every line carries the guest's labels and nobody else's.
///
///     var position = LineProtocolParser.Position()
///     while enforcement.rewrite(bytes, from: &position, …, into: &out, &tally, &issues) { send out; empty it }
///
/// What it promises: each line that comes out stands on one physical line, was understood whole, and carries each label
/// exactly once, with the value of the guest table; whatever the guest says under such a name, in whatever spelling, is
/// gone. A label without a value is only taken away. Everything else is kept byte for byte: order of tags, numbers,
/// strings, time. A bad line costs that line.
/// What it refuses: what databases read in different ways, since a line that one of them cuts elsewhere than we do could
/// say more than we saw: control characters in names, and a backslash before an escape (for one it escapes the
/// backslash, for another the character behind). A line end inside of a string becomes the two characters `\n`.
/// Comments and empty lines are left out.
///
/// Labels stand right behind the measurement, before anything the guest wrote.
/// Bounds: `Limits`. Cost: one walk over the line, no allocation.
public struct LabelEnforcement: Sendable {
    public struct Limits: Sendable, Hashable {
        public var lineBytes = 1 << 20
        public var tags = 256
        public var fields = 4_096
        /// Measurement with all tags, as InfluxDB bounds it.
        public var headBytes = 65_535

        public init() {}
    }

    /// What becomes of lines that name somebody else under the identity's key.
    public enum ForeignRule: String, Sendable, Hashable, CaseIterable {
        case rewrite, reject
    }

    /// What was done.
    public struct Tally: Sendable, Hashable {
        /// Lines that came out.
        public var lines = 0
        /// Lines that named somebody else, whatever became of them.
        public var foreign = 0

        public init() {}
    }

    /// The tag that says who somebody is.
    public static let identityKey = "vm_id"

    private let rendered: [UInt8]
    private let guarded: GuardedKeys
    private let identityKey: [UInt8]
    private let identity: [UInt8]
    private let foreignRule: ForeignRule
    private let limits: Limits

    /// `labels` are what every line gets; `guarded` are further tags that a guest may not set.
    public init(
        labels: [Tag], guarded names: [String] = [], foreign: ForeignRule = .rewrite, limits: Limits = Limits()
    ) {
        rendered = LabelEnforcement.rendered(labels)
        guarded = GuardedKeys(labels.map(\.key) + names + [LabelEnforcement.identityKey])
        identityKey = Array(LabelEnforcement.identityKey.utf8)
        let own = labels.filter { $0.key == LabelEnforcement.identityKey }
        // As it is written in a line.
        identity = Array(LabelEnforcement.rendered(own).dropFirst(LabelEnforcement.identityKey.utf8.count + 2))
        foreignRule = foreign
        self.limits = limits
    }

    /// `,key=value` for each label that has a value.
    private static func rendered(_ labels: [Tag]) -> [UInt8] {
        // The header of a point without a name of interest: what stands between name and blank are the tags.
        LineProtocol.header("m", labels).map { Array($0.dropFirst().dropLast()) } ?? []
    }

    /// Rewrites lines from `position` on until `out` holds `pieceBytes` or the text ends; true while there is more.
    public func rewrite(
        _ bytes: UnsafeBufferPointer<UInt8>, from position: inout LineProtocolParser.Position,
        precision: TimePrecision = .nanoseconds, pieceBytes: Int = .max, into out: inout ByteWriter,
        _ tally: inout Tally, _ issues: inout LineIssues
    ) -> Bool {
        let factor = precision.factor
        while position.offset < bytes.count {
            guard out.count < pieceBytes else { return true }
            position.line &+= 1
            let before = out.count
            var reader = LineReader(bytes: bytes, at: position.offset)
            do throws(LineIssueReason) {
                if reader.skipToContent() {
                    try line(&reader, factor, &out, &tally)
                    tally.lines &+= 1
                }
                position.offset = reader.at
                position.line &+= reader.newlines
            } catch {
                out.truncate(to: before)
                issues.add(LineIssue(line: position.line, error))
                position.offset = LineReader.nextLine(bytes, from: position.offset)
            }
        }
        return false
    }

    private func line(
        _ reader: inout LineReader, _ factor: Int64, _ out: inout ByteWriter, _ tally: inout Tally
    ) throws(LineIssueReason) {
        let start = reader.at
        let before = out.count
        try head(try reader.head(limit: limits.lineBytes), &out, &tally)
        guard out.count - before <= limits.headBytes else { throw .tooLong }
        reader.skipBlanks()
        let fields = reader.at
        var count = 0
        repeat {
            let key = try reader.fieldKey(limit: limits.lineBytes)
            guard !LabelEnforcement.hasControl(key) else { throw .controlCharacter }
            try reader.skipValue()
            count &+= 1
            guard count <= limits.fields else { throw .tooManyFields }
        } while try reader.takeComma()
        guard reader.at - start <= limits.lineBytes else { throw .tooLong }
        out.append(UInt8(ascii: " "))
        append(UnsafeBufferPointer(rebasing: reader.bytes[fields..<reader.at]), reader.newlines, &out)
        reader.skipBlanks()
        let time = reader.at
        if try reader.time(factor: factor) != nil {
            var end = time
            while end < reader.at, reader.bytes[end] &- 48 < 10 || reader.bytes[end] == UInt8(ascii: "-") { end &+= 1 }
            out.append(UInt8(ascii: " "))
            out.append(contentsOf: UnsafeBufferPointer(rebasing: reader.bytes[time..<end]))
        }
        out.append(UInt8(ascii: "\n"))
    }

    /// The fields as they are, but for line ends inside of strings.
    @inline(__always)
    private func append(_ fields: UnsafeBufferPointer<UInt8>, _ newlines: Int, _ out: inout ByteWriter) {
        guard newlines > 0 else { return out.append(contentsOf: fields) }
        for byte in fields {
            if byte == UInt8(ascii: "\n") {
                out.append(UInt8(ascii: "\\"))
                out.append(UInt8(ascii: "n"))
            } else {
                out.append(byte)
            }
        }
    }

    private func head(
        _ head: UnsafeBufferPointer<UInt8>, _ out: inout ByteWriter, _ tally: inout Tally
    ) throws(LineIssueReason) {
        guard !LabelEnforcement.hasControl(head) else { throw .controlCharacter }
        var at = LineHead.end(head, from: 0, stops: LineHead.comma)
        guard at > 0 else { throw .missingMeasurement }
        try append(head, 0..<at, &out)
        out.append(rendered)
        var count = 0
        var isForeign = false
        while at < head.count {
            let start = at
            let (key, value) = try LineHead.tag(head, &at)
            count &+= 1
            guard count <= limits.tags else { throw .tooManyTags }
            let name = UnsafeBufferPointer(rebasing: head[key])
            if guarded.contains(name) {
                isForeign = isForeign || isForeignIdentity(name, UnsafeBufferPointer(rebasing: head[value]))
            } else {
                try append(head, start..<at, &out)
            }
        }
        guard isForeign else { return }
        tally.foreign &+= 1
        if foreignRule == .reject { throw .foreignIdentity }
    }

    private func isForeignIdentity(_ key: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        key.elementsEqual(identityKey) && !value.elementsEqual(identity)
    }

    @inline(__always)
    private func append(
        _ head: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ out: inout ByteWriter
    ) throws(LineIssueReason) {
        let part = UnsafeBufferPointer(rebasing: head[range])
        guard !LabelEnforcement.isAmbiguous(part) else { throw .ambiguousEscape }
        out.append(contentsOf: part)
    }

    /// Whether a backslash stands right before an escape.
    @inline(__always)
    private static func isAmbiguous(_ part: UnsafeBufferPointer<UInt8>) -> Bool {
        var backslashes = 0
        for byte in part {
            if byte == UInt8(ascii: "\\") {
                backslashes &+= 1
            } else {
                if backslashes > 1, byte == UInt8(ascii: ",") || byte == UInt8(ascii: "=") || byte == UInt8(ascii: " ")
                {
                    return true
                }
                backslashes = 0
            }
        }
        return false
    }

    /// Whether any byte could end a name or a line for somebody; a tab does for nobody.
    @inline(__always)
    private static func hasControl(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        for byte in bytes where byte < 0x20 && byte != UInt8(ascii: "\t") || byte == 0x7F { return true }
        return false
    }
}

/// Tags that a guest may not set, found in every spelling that some database takes for the same name.
///
/// A key counts as `vm_id` when it is that once escapes are read, or once every character that Prometheus does not allow
/// in a label has become `_`: VictoriaMetrics can be told to rename so (`vm-id`, `vm.id`).
struct GuardedKeys: Sendable {
    /// As Prometheus spells them.
    private let names: [[UInt8]]
    /// Whether a key that begins with this byte may be one of them.
    private let mayBegin: [Bool]

    init(_ keys: [String]) {
        let names = Set(keys.map { GuardedKeys.plain(Array($0.utf8)) }).filter { !$0.isEmpty }
        self.names = names.sorted { $0.lexicographicallyPrecedes($1) }
        let first = Set(names.compactMap(\.first))
        mayBegin = (0...255).map { byte in
            let byte = UInt8(byte)
            return byte == UInt8(ascii: "\\") || first.contains(GuardedKeys.plain(byte) ?? UInt8(ascii: "_"))
        }
    }

    /// Whether the key, as it is written in a line, means one of the names.
    @inline(__always)
    func contains(_ raw: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = raw.first, mayBegin[Int(first)] else { return false }
        return names.contains { GuardedKeys.equal(raw, $0) }
    }

    private static func equal(_ raw: UnsafeBufferPointer<UInt8>, _ name: [UInt8]) -> Bool {
        var at = 0
        var index = 0
        while at < raw.count {
            var byte = raw[at]
            if byte == UInt8(ascii: "\\"), at &+ 1 < raw.count, isEscapable(raw[at &+ 1]) {
                at &+= 1
                byte = raw[at]
            }
            at &+= 1
            guard let letter = plain(byte) else { continue }
            guard index < name.count, name[index] == letter else { return false }
            index &+= 1
        }
        return index == name.count
    }

    private static func isEscapable(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: ",") || byte == UInt8(ascii: "=") || byte == UInt8(ascii: " ")
    }

    private static func plain(_ bytes: [UInt8]) -> [UInt8] { bytes.compactMap(plain) }

    /// The byte as Prometheus allows it; nil for the inner bytes of a character that is one `_` as a whole.
    @inline(__always)
    private static func plain(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            byte
        case 0x80...0xBF: nil
        default: UInt8(ascii: "_")
        }
    }
}
