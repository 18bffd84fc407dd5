import Pipeline

/// Foreign lines on the page for Prometheus: every line of it is whole, no series stands there twice; and the texts of
/// addresses and networks.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzExposition(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let flags = input.byte()
    let bytes = input.all
    var settings = ExpositionTable.Settings()
    settings.version = flags & 1 == 0 ? .first : .second
    settings.stringsAreLabels = flags & 2 == 0
    settings.writesTimes = flags & 4 == 0
    settings.names = flags & 8 != 0 ? .prometheus : flags & 16 != 0 ? .nodeExporter : .telegraf
    settings.seriesLimit = 64
    var table = ExpositionTable(settings: settings)
    var parser = LineProtocolParser(takesSpecials: flags & 8 != 0)
    _ = table.add(parser.parse(all: bytes, at: .zero).samples, now: .zero)
    precondition(table.count <= settings.seriesLimit, "more series than the limit")
    check(table.page(now: .zero).bytes, samples: table.count)
    // Whatever was scraped is said of names that come by other ways.
    var notes = MetricNotes()
    for (index, name) in table.names.sorted().prefix(16).enumerated() {
        let kinds = ExpositionKind.allCases
        notes.add(name, MetricNotes.Note(kinds[(index + Int(flags)) % kinds.count], help: ""))
        for part in MetricNotes.parts(name) { notes.add(part, MetricNotes.Note(.histogram, help: "")) }
    }
    table.notes = notes
    for format in [ExpositionFormat.text, .openMetrics] {
        let page = table.page(now: .zero, format: format)
        check(page.bytes, samples: table.count)
        var reader = ExpositionReader(page.bytes, format: format)
        var samples = 0
        while let family = reader.next() { samples += family.samples.count }
        precondition(reader.issueCount == 0 && samples <= table.count, "a page that we cannot read ourselves")
    }
    _ = (ExpositionAccept.format(String(decoding: bytes, as: UTF8.self)), ExpositionAccept.takesGzip("\(bytes)"))
    let text = String(decoding: bytes.prefix(64), as: UTF8.self)
    if let range = AddressRange(text), let address = IPAddress(text) {
        precondition(range.contains(address), "an address outside of itself")
    }
    _ = ListenAddress(text)
    precondition(Base64.encoded(bytes).count == (bytes.count + 2) / 3 * 4, "Base64 of another length")
    return 0
}

private func check(_ page: [UInt8], samples: Int) {
    var seen: Set<[UInt8]> = []
    for line in page.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
    where line.first != UInt8(ascii: "#") {
        var isQuoted = false
        var isEscaped = false
        var end = line.startIndex
        for (index, byte) in line.enumerated() {
            if isEscaped {
                isEscaped = false
            } else if isQuoted, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
            } else if byte == UInt8(ascii: " "), !isQuoted {
                end = line.startIndex + index
                break
            }
        }
        precondition(!isQuoted && end > line.startIndex, "a line that is not whole")
        precondition(seen.insert(Array(line[..<end])).inserted, "a series twice")
    }
    // A tag and a text field may make one series of two.
    precondition(seen.count <= samples, "\(samples) samples became \(seen.count) lines")
}
