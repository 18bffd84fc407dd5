/// InfluxDB line protocol, written as Telegraf writes it, with fields sorted.
///
/// Shape: `name[,tag=value...] field=value[,...] timestamp\n`.
/// Source: the line protocol page of InfluxDB 1.8 and Telegraf's serializer; rules in `docs/line-protocol.md`.
public enum LineProtocol {
    /// Why a point could not be written.
    public enum EncodingError: String, Error, Sendable {
        case invalidName = "invalid name"
        case noFields = "no serializable fields"
        case needMoreSpace = "need more space"
    }

    public struct Options: Sendable, Hashable {
        /// Write unsigned fields as `123u`; otherwise as `123i`, held at 9223372036854775807.
        public var uintSupport: Bool
        /// Longest line with its LF; longer points are split by fields. nil = no limit.
        public var maxLineBytes: Int?
        /// Leave the timestamp out.
        public var omitTimestamp: Bool
        /// Write floats that are not finite as words, see `SpecialFloat`; otherwise they are left out.
        public var writesSpecials: Bool

        public init(
            uintSupport: Bool = false, maxLineBytes: Int? = nil, omitTimestamp: Bool = false,
            writesSpecials: Bool = false
        ) {
            self.uintSupport = uintSupport
            self.maxLineBytes = maxLineBytes
            self.omitTimestamp = omitTimestamp
            self.writesSpecials = writesSpecials
        }
    }

    // MARK: Rendering of what does not change from tick to tick

    /// Measurement and tags as they open a line, with the blank before the fields; nil for a name that is empty.
    /// `tags` must be sorted by key; a tag with an empty key or value is left out.
    public static func header(_ measurement: String, _ tags: [Tag]) -> [UInt8]? {
        let name = withoutTrailingBackslashes(measurement)
        guard !name.isEmpty else { return nil }
        var out = escaped(name, equals: false)
        for tag in tags {
            let key = withoutTrailingBackslashes(tag.key)
            let value = withoutTrailingBackslashes(tag.value)
            guard !key.isEmpty, !value.isEmpty else { continue }
            out.append(UInt8(ascii: ","))
            out += escaped(key, equals: true)
            out.append(UInt8(ascii: "="))
            out += escaped(value, equals: true)
        }
        out.append(UInt8(ascii: " "))
        return out
    }

    /// A field key as it stands in a line, with its `=`; empty when there is nothing to write.
    public static func renderedKey(_ key: String) -> [UInt8] {
        let key = withoutTrailingBackslashes(key)
        return key.isEmpty ? [] : escaped(key, equals: true) + [UInt8(ascii: "=")]
    }

    private static func withoutTrailingBackslashes(_ text: String) -> Substring.UTF8View {
        var bytes = Substring(text).utf8
        while bytes.last == UInt8(ascii: "\\") { bytes.removeLast() }
        return bytes
    }

    private static func escaped(_ text: String, equals: Bool) -> [UInt8] {
        escaped(Substring(text).utf8, equals: equals)
    }

    private static func escaped(_ text: Substring.UTF8View, equals: Bool) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(text.count + 4)
        for byte in text {
            switch byte {
            case UInt8(ascii: "\t"): out += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
            case UInt8(ascii: "\n"): out += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case 0x0C: out += [UInt8(ascii: "\\"), UInt8(ascii: "f")]
            case UInt8(ascii: "\r"): out += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
            case UInt8(ascii: ","), UInt8(ascii: " "): out += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "=") where equals: out += [UInt8(ascii: "\\"), byte]
            default: out.append(byte)
            }
        }
        return out
    }

    // MARK: Writing points

    /// Appends one row as one line, or as several when `maxLineBytes` asks for a split.
    ///
    /// `columns` are the row's columns in line order, after field filters. Returns the number of lines.
    /// Errors: `noFields` and `needMoreSpace`; after `needMoreSpace` the lines already written stay.
    @discardableResult
    public static func append(
        header: [UInt8], schema: Schema, columns: [Int], set: borrowing SampleSet, firstCell: Int, time: Timestamp,
        options: Options, to out: inout ByteWriter
    ) throws(EncodingError) -> Int {
        let lineStart = out.count
        out.append(header)
        let fieldsStart = out.count
        var lines = 1
        var start = lineStart
        var isFirst = true
        for column in columns {
            let key = schema.renderedKeys[column]
            guard !key.isEmpty else { continue }
            let before = out.count
            if !isFirst { out.append(UInt8(ascii: ",")) }
            out.append(key)
            guard appendValue(schema.fields[column].kind, set.cells[firstCell + column], set.strings, options, to: &out)
            else {
                out.truncate(to: before)
                continue
            }
            if let limit = options.maxLineBytes, out.count - start + tailLength(time, options) > limit {
                guard !isFirst else {
                    out.truncate(to: start)
                    throw .needMoreSpace
                }
                // This field opens the next line.
                out.truncate(to: before)
                appendTail(time, options, to: &out)
                start = out.count
                lines += 1
                out.append(header)
                out.append(key)
                _ = appendValue(
                    schema.fields[column].kind, set.cells[firstCell + column], set.strings, options, to: &out)
                if out.count - start + tailLength(time, options) > limit {
                    out.truncate(to: start)
                    throw .needMoreSpace
                }
            }
            isFirst = false
        }
        if isFirst || out.count == fieldsStart {
            out.truncate(to: lineStart)
            throw .noFields
        }
        appendTail(time, options, to: &out)
        return lines
    }

    private static func appendTail(_ time: Timestamp, _ options: Options, to out: inout ByteWriter) {
        if !options.omitTimestamp {
            out.append(UInt8(ascii: " "))
            out.append(decimal: time.nanoseconds)
        }
        out.append(UInt8(ascii: "\n"))
    }

    private static func tailLength(_ time: Timestamp, _ options: Options) -> Int {
        options.omitTimestamp ? 1 : String(time.nanoseconds).utf8.count + 2
    }

    /// Appends a value; false, with nothing useful written, for one that line protocol cannot hold.
    @inline(__always)
    private static func appendValue(
        _ kind: FieldKind, _ cell: UInt64, _ strings: [String], _ options: Options, to out: inout ByteWriter
    ) -> Bool {
        switch kind {
        case .int:
            out.append(decimal: Int64(bitPattern: cell))
            out.append(UInt8(ascii: "i"))
        case .uint:
            if options.uintSupport {
                out.append(decimal: cell)
                out.append(UInt8(ascii: "u"))
            } else {
                out.append(decimal: min(cell, UInt64(Int64.max)))
                out.append(UInt8(ascii: "i"))
            }
        case .float:
            let value = Double(bitPattern: cell)
            if value.isFinite {
                out.append(decimal: value)
            } else {
                guard options.writesSpecials else { return false }
                SpecialFloat.word(value).withUTF8Buffer { out.append(contentsOf: $0) }
            }
        case .bool:
            out.append(cell != 0 ? "true" : "false")
        case .string:
            guard cell < UInt64(strings.count) else { return false }
            out.append(UInt8(ascii: "\""))
            for byte in strings[Int(cell)].utf8 {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { out.append(UInt8(ascii: "\\")) }
                out.append(byte)
            }
            out.append(UInt8(ascii: "\""))
        }
        return true
    }
}
