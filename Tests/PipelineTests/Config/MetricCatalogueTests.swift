import Pipeline
import Testing

@Suite("MetricCatalogue")
struct MetricCatalogueTests {
    private let catalogue = MetricCatalogue([
        PluginSpec(
            name: "z", summary: "The last.", options: [],
            metrics: [
                MetricSpec(
                    "z_m", tags: ["a", "b"],
                    fields: [.int("x", .bytes, "one | two <b>"), .string("y_*", "a\nline")], note: "A note.")
            ]),
        PluginSpec(
            name: "a", summary: "The first.", options: [],
            metrics: [MetricSpec("a", fields: [.float("r", .bitsPerSecond, "growth"), .bool("f", "flag")])]),
    ])

    @Test("the page lists inputs by name, with tags, note, kinds and units, and no text breaks out of its cell")
    func markdown() {
        let page = catalogue.markdown
        #expect(page.contains("- [a](#a): The first.\n- [z](#z): The last.\n\n## a\n"))
        #expect(page.contains("| `r` | float | bits/s | growth |\n| `f` | bool | - | flag |\n"))
        #expect(page.contains("### Measurement `z_m`\n\nTags: `a`, `b`.\n\nA note.\n\n| field |"))
        #expect(page.contains("| `x` | int | bytes | one \\| two &lt;b> |\n| `y_*` | string | - | a line |\n"))
        #expect(page.hasSuffix(" |\n") && !page.hasSuffix("\n\n"))
    }

    @Test("the tables for the terminal and the JSON hold the same")
    func others() throws {
        #expect(catalogue.text.contains("z_m,a,b\n    A note.\n    field  type    unit   source\n"))
        #expect(catalogue.text.contains("    r      float  bits/s  growth\n"))
        let inputs = try #require(catalogue.json["inputs"]?.array)
        #expect(inputs.compactMap { $0["name"]?.string } == ["a", "z"])
        let measurement = try #require(inputs.last?["measurements"]?.array?.first)
        #expect(measurement["tags"] == ["a", "b"] && measurement["note"] == "A note.")
        #expect(
            measurement["fields"]?.array?.first
                == ["name": "x", "type": "int", "unit": "bytes", "source": "one | two <b>"])
    }
}
