import Testing

@testable import Pipeline

@Suite("Relabelling")
struct RelabelRuleTests {
    private let labels = ["__address__": "10.0.0.1:9100", "__meta_zone": "a-1", "__meta_team": "Core", "job": "node"]

    private func apply(_ set: [String: OptionValue]) throws -> [String: String]? {
        RelabelRule.apply([try RelabelRule(OptionValues(RelabelRule.options, set: set))], to: labels)
    }

    @Test("keep and drop look at the whole value")
    func selection() throws {
        let job: OptionValue = .strings(["job"])
        #expect(try apply(["action": .string("keep"), "source_labels": job, "regex": .string("no")]) == nil)
        #expect(try apply(["action": .string("keep"), "source_labels": job, "regex": .string("no.e")]) == labels)
        #expect(try apply(["action": .string("drop"), "source_labels": job, "regex": .string("no|node")]) == nil)
        let two: OptionValue = .strings(["job", "__meta_zone"])
        #expect(try apply(["action": .string("drop"), "source_labels": two, "regex": .string("node;a-.*")]) == nil)
    }

    @Test("replace, with groups in the value and in the name; an empty value removes")
    func replacement() throws {
        let address: OptionValue = .strings(["__address__"])
        let host = try apply([
            "source_labels": address, "regex": .string("(.*):\\d+"), "target_label": .string("host"),
        ])
        #expect(host?["host"] == "10.0.0.1")
        let same = try apply(["source_labels": address, "regex": .string("x"), "target_label": .string("host")])
        #expect(same == labels)
        let fixed = try apply(["target_label": .string("env"), "replacement": .string("lab")])
        #expect(fixed?["env"] == "lab")
        let gone = try apply(["target_label": .string("job"), "replacement": .string("")])
        #expect(gone?["job"] == nil && gone?.count == 3)
        let lower = try apply([
            "action": .string("lowercase"), "source_labels": .strings(["__meta_team"]), "target_label": .string("team"),
        ])
        #expect(lower?["team"] == "core")
    }

    @Test("labelmap, labelkeep and labeldrop go by names")
    func names() throws {
        let map = try apply(["action": .string("labelmap"), "regex": .string("__meta_(.*)")])
        #expect(map?["zone"] == "a-1" && map?["team"] == "Core" && map?.count == 6)
        let keep = try apply(["action": .string("labelkeep"), "regex": .string("job")])
        #expect(keep == ["job": "node"])
        let drop = try apply(["action": .string("labeldrop"), "regex": .string("__meta_.*")])
        #expect(drop?.keys.sorted() == ["__address__", "job"])
    }

    @Test("rules that make no sense are refused")
    func refused() {
        for set: [String: OptionValue] in [
            ["regex": .string("(")], ["action": .string("replace")], ["action": .string("keep")],
        ] {
            #expect(throws: RelabelRule.Failure.self) { try RelabelRule(OptionValues(RelabelRule.options, set: set)) }
        }
    }
}
