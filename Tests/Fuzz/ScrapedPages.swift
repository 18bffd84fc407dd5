import Pipeline

/// Pages of metrics in both formats and both layouts: each is read without a trap, a second reading gives the same, and
/// what the page of the agent itself would say of it is read back.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzScrapedPages(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let flags = input.byte()
    let bytes = input.all
    let format: ExpositionFormat = flags & 1 == 0 ? .text : .openMetrics
    var settings = ScrapeWriter.Settings()
    settings.version = flags & 2 == 0 ? .first : .second
    settings.samplesLimit = 1_000
    var writer = ScrapeWriter(settings, tags: [])
    let first = writer.read(bytes, format, at: .zero)
    let second = writer.read(bytes, format, at: .zero)
    precondition(first.samples.rows.count == second.samples.rows.count, "another number of points")
    precondition(first.complaints == second.complaints, "other complaints")
    precondition(first.samples.isComplete, "a row that lacks cells")
    precondition(first.failure != nil || first.samples.rows.count <= first.count, "more points than samples")
    // What goes ends once.
    let ends = writer.read([], .text, at: .zero).samples
    precondition(ends.rows.count <= first.count, "more ends than samples")
    precondition(ends.cells.allSatisfy { Double(bitPattern: $0).isStaleMarker }, "an end with a value")
    precondition(writer.read([], .text, at: .zero).samples.isEmpty, "an end again")
    var table = ExpositionTable(settings: ExpositionTable.Settings())
    _ = table.add(first.samples, now: .zero)
    var again = ScrapeWriter(settings, tags: [])
    let page = again.read(table.page(now: .zero).bytes, .text, at: .zero)
    precondition(page.complaints.isEmpty && page.failure == nil, "our own page is not understood")
    precondition(page.count == table.count, "our own page has another number of samples")
    return 0
}
