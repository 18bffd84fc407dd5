import Glibc
import Testing

@testable import App
@testable import Pipeline

/// What the inputs declare, and the page that is made of it.
@Suite("The catalogue of metrics")
struct MetricCatalogueTests {
    private static let path =
        #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 } + "/docs/metrics.md"

    private func page() throws -> String {
        let file = try #require(fopen(MetricCatalogueTests.path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 4 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    @Test("docs/metrics.md is what the declarations say; `make docs` writes it")
    func current() throws {
        let written = try page().split(separator: "\n", omittingEmptySubsequences: false)
        let rendered = MetricCatalogue(KnownPlugins.inputs).markdown
            .split(separator: "\n", omittingEmptySubsequences: false)
        for (number, (old, new)) in zip(written, rendered).enumerated() where old != new {
            Issue.record("docs/metrics.md:\(number + 1) is stale, run `make docs`: '\(old)' should be '\(new)'")
            return
        }
        #expect(written.count == rendered.count, "docs/metrics.md is stale, run `make docs`")
    }

    @Test(
        "every input declares what it emits, each field once a kind, with unit and source",
        arguments: KnownPlugins.inputs)
    func complete(_ input: PluginSpec) {
        #expect(!input.metrics.isEmpty, "\(input.name) has no metrics:")
        for metric in input.metrics {
            #expect(!metric.measurement.isEmpty && !metric.fields.isEmpty, "\(input.name)")
            #expect(Set(metric.tags).count == metric.tags.count, "\(metric.measurement)")
            let names = metric.fields.map { "\($0.name) \($0.kind.name)" }
            #expect(Set(names).count == names.count, "\(metric.measurement)")
            #expect(metric.note.isEmpty || metric.note.hasSuffix("."), "\(metric.measurement)")
            for field in metric.fields {
                #expect(!field.name.isEmpty && !field.source.isEmpty, "\(metric.measurement).\(field.name)")
                if field.kind == .string || field.kind == .bool {
                    #expect(field.unit == .none, "\(metric.measurement).\(field.name)")
                }
            }
        }
        #expect(input.summary.hasSuffix("."), "\(input.name)")
    }
}
