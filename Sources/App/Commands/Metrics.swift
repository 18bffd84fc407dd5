import ArgumentParser
import Pipeline

/// `godwit metrics [INPUT…]`: what the inputs of this version emit, without reading a configuration.
///
/// Errors: exit code 64 when there is no input of a name, with the nearest.
struct Metrics: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print what each input emits: fields, types, units, sources.",
        discussion: "Reads no configuration and no kernel file. docs/metrics.md is made with --markdown.")

    @Argument(help: "Only these inputs.")
    var inputs: [String] = []

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Print the page of the documentation.")
    var markdown = false

    func run() throws {
        let known = KnownPlugins.inputs
        for name in inputs where !known.contains(where: { $0.name == name }) {
            let nearest = NearestName.find(name, among: known.map(\.name))
            complain("there is no input \(name)" + (nearest.map { " (nearest: \($0))" } ?? ""))
            throw ExitCode(64)
        }
        let catalogue = MetricCatalogue(inputs.isEmpty ? known : known.filter { inputs.contains($0.name) })
        if json {
            emit(String(decoding: catalogue.json.encoded(indent: true), as: UTF8.self) + "\n")
        } else {
            emit(markdown ? catalogue.markdown : catalogue.text)
        }
    }
}
