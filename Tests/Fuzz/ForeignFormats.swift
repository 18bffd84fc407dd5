import Pipeline

/// Foreign data of any content: line protocol, JSON, statsd. The first byte chooses the format and its options.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzForeignFormats(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let choice = input.byte()
    let text = input.all
    switch choice & 3 {
    case 0: fuzzLines(text)
    case 1: fuzzJSON(text, choice)
    case 2: fuzzStatsd(text, choice)
    default: fuzzBuffer(text)
    }
    return 0
}

/// What is read is encoded, and read again from that: the same number of points.
private func fuzzLines(_ text: [UInt8]) {
    var parser = LineProtocolParser()
    let (samples, issues) = parser.parse(all: text, at: .zero)
    precondition(samples.isComplete, "a row without its cells")
    precondition(issues.named.count <= issues.count, "more issues named than counted")
    // A second time, with everything remembered.
    let (again, _) = parser.parse(all: text, at: .zero)
    precondition(again.rows.count == samples.rows.count && again.cells.count == samples.cells.count, "not repeatable")
    var encoder = StreamEncoder(limits: BatchLimits(points: .max, bytes: .max))
    encoder.setRules(InputRules(transforms: [], precision: .zero), for: "fuzz")
    precondition(encoder.add(samples, from: "fuzz") == samples.rows.count, "a row was not taken")
}

private func fuzzJSON(_ text: [UInt8], _ choice: UInt8) {
    let set: [String: OptionValue] = [
        "data_format": .string("json"), "json_strict": .bool(choice & 4 != 0), "tag_keys": .strings(["t*"]),
        "json_string_fields": .strings(["s*"]), "json_name_key": .string("n"),
        "json_time_key": .string(choice & 8 != 0 ? "at" : ""),
        "json_time_format": .string(choice & 16 != 0 ? "unix_ms" : "RFC3339"),
    ]
    let options = OptionValues(ForeignData.options(fallback: "json"), set: set)
    guard var data = try? ForeignData(options: options, measurement: "fuzz") else { return }
    precondition(data.read(text, at: .zero).samples.isComplete, "a row without its cells")
    precondition(data.read(lines: text, at: .zero).samples.isComplete, "a row without its cells")
}

private func fuzzStatsd(_ text: [UInt8], _ choice: UInt8) {
    var settings = StatsdAggregate.Settings()
    settings.datadogExtensions = choice & 4 != 0
    settings.percentiles = [0, 50, 100]
    settings.seriesLimit = 16
    settings.membersLimit = 4
    settings.percentileLimit = 4
    guard let templates = try? StatsdTemplates(["a.* measurement.field*", "measurement*"], separator: "_") else {
        return
    }
    var aggregate = StatsdAggregate(settings, templates: templates)
    aggregate.add(text)
    let samples = aggregate.read(at: .zero).samples
    precondition(samples.isComplete && samples.rows.count <= 16, "more series than the bound")
}

private func fuzzBuffer(_ text: [UInt8]) {
    var buffer = LineBuffer(limit: 16)
    var lines: [UInt8] = []
    for byte in text {
        lines += buffer.add([byte])
        precondition(buffer.count <= 17, "more held than the bound")
    }
    precondition(lines.isEmpty || lines.last == UInt8(ascii: "\n"), "a line without its end")
    _ = TailState(text)
    if let address = ListenAddress(String(decoding: text, as: UTF8.self)) { _ = address.port }
}
