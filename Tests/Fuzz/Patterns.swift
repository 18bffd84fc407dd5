import Pipeline

/// Regular expressions and what processors do with text that others wrote: no trap, and work that ends.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPatterns(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let choice = input.byte() % 3
    let first = input.text()
    let second = input.text()
    let rest = String(decoding: input.all.prefix(4_096), as: UTF8.self)
    switch choice {
    case 0:
        guard let pattern = try? RE2Pattern(first) else { break }
        let groups = pattern.groups(of: rest)
        precondition(groups.map { $0.count == pattern.groupNames.count } ?? true, "a match has other groups")
        precondition(pattern.matches(rest) == (groups != nil), "two ways to match differ")
        _ = pattern.replacing(in: rest, with: RE2Replacement(second))
    case 1:
        // What stands in quotes means itself.
        guard !first.unicodeScalars.contains("\\"), let pattern = try? RE2Pattern("\\Q\(first)\\E") else { break }
        precondition(pattern.matches(rest + first + second), "a quoted text does not match itself")
        precondition(
            pattern.replacing(in: first, with: RE2Replacement("$0")) == first, "a match is not replaced by itself")
    default: process(first, second, rest)
    }
    return 0
}

private func process(_ first: String, _ second: String, _ rest: String) {
    let text = "[[inputs.cpu]]\n[[outputs.file]]\n" + rest
    let (tree, issues) = TOMLParser.parse(Array(text.utf8), file: "f")
    let decoder = ConfigDecoder(inputs: [PluginSpec(name: "cpu", summary: "", options: [])])
    guard let config = decoder.decode(tree, issues: issues).config, let plan = ChainPlan(config, nodeName: first)
    else { return }
    var chain = PointChain(plan, wall: Timestamp(nanoseconds: 1), now: .zero)
    let schema = Schema([.string(first), .float("f"), .int(second)])
    var set = SampleSet()
    set.append(Series(first, tags: [Tag(second, first), Tag("t", second)]), schema, at: Timestamp(nanoseconds: 2))
    set.string(second)
    set.float(0.5)
    set.int(-7)
    _ = chain.add(set, from: "cpu", wall: Timestamp(nanoseconds: 3))
    _ = chain.push(wall: Timestamp(nanoseconds: .max), now: .distantFuture)
    _ = chain.drain(wall: Timestamp(nanoseconds: .min))
}
