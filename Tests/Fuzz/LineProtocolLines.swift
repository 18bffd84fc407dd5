import Pipeline

/// Names, tags and field values of any content become lines that a reader takes apart again: one line a point, one
/// unescaped blank before the fields and one before the time.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLineProtocol(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let flags = input.byte()
    let measurement = input.text()
    let tags = (0..<Int(flags & 3)).map { _ in Tag(input.text(), input.text()) }
    let schema = Schema([.string(input.text()), .float(input.text()), .uint(input.text()), .int(input.text())])
    let series = Series(measurement, tags: tags)
    var set = SampleSet()
    set.append(series, schema, at: Timestamp(nanoseconds: Int64(bitPattern: input.number())))
    set.string(input.text())
    set.float(Double(bitPattern: input.number()))
    set.uint(input.number())
    set.int(Int64(bitPattern: input.number()))
    encode(
        set,
        LineProtocol.Options(
            uintSupport: flags & 4 != 0, maxLineBytes: flags & 8 != 0 ? 64 : nil, writesSpecials: flags & 16 != 0))
    fuzzIndex(input.all, expected: Int(flags))
    return 0
}

private func encode(_ set: SampleSet, _ options: LineProtocol.Options) {
    var encoder = StreamEncoder(options: options)
    encoder.setRules(InputRules(transforms: [], precision: .zero), for: "fuzz")
    precondition(encoder.add(set, from: "fuzz") == set.rows.count, "a row was not taken")
    let points = encoder.openPoints
    let payload = encoder.seal { lines, _, _ in Array(lines) }
    guard let payload else { return precondition(points == 0, "points without bytes") }
    precondition(payload.last == UInt8(ascii: "\n"), "a batch ends without LF")
    let index = LineIndex(payload, expected: points)
    precondition(index.count == points, "\(points) points became \(index.count) lines")
    for line in 0..<points {
        precondition(blanks(payload[index.bytes(of: line..<line + 1)]) == 2, "a line without its two blanks")
    }
}

/// Blanks that part a line, as InfluxDB finds them: outside of the quotes of a field value, a byte is escaped when the
/// byte before it is a backslash; inside, a backslash covers the next byte.
private func blanks(_ line: ArraySlice<UInt8>) -> Int {
    var found = 0
    var isQuoted = false
    var isEscaped = false
    var (before, twoBefore): (UInt8, UInt8) = (0, 0)
    for byte in line {
        if isQuoted {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted = false
            }
        } else if byte == UInt8(ascii: "\""), found == 1, before == UInt8(ascii: "="),
            twoBefore != UInt8(ascii: "\\")
        {
            isQuoted = true
        } else if byte == UInt8(ascii: " "), before != UInt8(ascii: "\\") {
            found += 1
        }
        (before, twoBefore) = (byte, before)
    }
    return found
}

private func fuzzIndex(_ payload: [UInt8], expected: Int) {
    let index = LineIndex(payload, expected: expected)
    var end = 0
    for line in 0..<index.count {
        let range = index.bytes(of: line..<line + 1)
        precondition(range.lowerBound == end && range.upperBound > end, "lines must tile the payload")
        end = range.upperBound
    }
    precondition(end == payload.count, "bytes behind the last line")
}
