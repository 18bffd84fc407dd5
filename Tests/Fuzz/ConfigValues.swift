import Pipeline

/// What an operator can write into a config: the file as a whole, quantities, environment references, patterns, URLs
/// that are to be printed without their secrets.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzConfigValues(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = FuzzInput(start, count)
    let choice = input.byte() % 6
    let bytes = input.all
    let text = String(decoding: bytes, as: UTF8.self)
    switch choice {
    case 0:
        var (tree, issues) = TOMLParser.parse(bytes, file: "f")
        tree = tree.substituting(["A": "1", "B": "x\"y"], key: "", &issues)
        _ = issues.sorted().map(\.description)
    case 1:
        if let duration = Quantity.duration(text) {
            precondition(Quantity.duration(Quantity.text(duration)) != nil, "a duration does not read back")
        }
        if let size = Quantity.size(text) {
            precondition(Quantity.size(Quantity.text(size: size)) == size, "a size does not read back")
        }
    case 2: _ = try? EnvironmentSubstitution.apply(text, ["A": "1", "LONG_NAME": "${A}", "": "x"])
    case 3:
        let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let pattern = try? Glob(parts[0], separators: "."), parts.count > 1 else { break }
        _ = pattern.matches(parts[1])
    case 4: _ = NearestName.find(String(text.prefix(64)), among: ["interval", "flush_interval", "", "é"])
    default: _ = Secret.redacted(url: text)
    }
    return 0
}
