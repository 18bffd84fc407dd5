import Testing

@testable import Pipeline

@Suite("Decoding of processors and aggregators")
struct ProcessingDecodingTests {
    private func report(_ text: String, files: [String: String] = [:]) -> ConfigReport {
        let (first, issues) = TOMLParser.parse(Array(("[[inputs.cpu]]\n[[outputs.file]]\n" + text).utf8), file: "b")
        var trees = [first]
        for (name, text) in files.sorted(by: { $0.key > $1.key }) {
            trees.append(TOMLParser.parse(Array(text.utf8), file: name).0)
        }
        let (tree, merged) = ConfigMerge.merge(trees)
        var decoder = ConfigDecoder(inputs: [PluginSpec(name: "cpu", summary: "", options: [])])
        decoder.files = trees.map(\.origin.file)
        return decoder.decode(tree, issues: issues + merged)
    }

    @Test("all errors at once, each with line, key, reason and the nearest name")
    func errors() {
        let text = """
            [[processors.regexx]]
            [[processors.starlark]]
            [[processors.regex]]
            fieldpas = ["x"]
            [[processors.regex.tags]]
            pattern = "(?=a)"
            [[processors.regex.fields]]
            key = "x"
            append = true
            [[processors.regex.field]]
            [processors.regex.tag_rename]
            pattern = "(a"
            [[processors.converter]]
            [[processors.converter]]
            [processors.converter.fields]
            timestamp = ["x"]
            timestamp_format = "Jan"
            integr = []
            [[processors.converter.tags]]
            [[processors.converter.tags]]
            [[processors.tag_limit]]
            keep = ["a"]
            [processors.defaults.tags]
            a = 1
            [[aggregators.basicstats]]
            stats = ["cout"]
            period = "0s"
            [[processors.rename]]
            replace = "x"
            [[processors.defaults]]
            [processors.defaults.fields]
            a = ["b"]
            [agent]
            skip_processors_after_aggregators = true
            skip_processors_before_aggregators = true
            """
        let found = report(text).issues.map(\.description)
        let expected = [
            "b:3: processors.regexx: unknown processor; available: ",
            "b:4: processors.starlark: Telegraf's processor \"starlark\" is not available in this version",
            "b:6: processors.regex.fieldpas: unknown option",
            "b:7: processors.regex.tags.key: which tags to look at is missing",
            "b:8: processors.regex.tags.pattern: looking ahead is not possible in linear time",
            "b:9: processors.regex.fields.pattern: the regular expression is missing",
            "b:12: processors.regex.field: unknown option (nearest: \"fields\")",
            "b:14: processors.regex.tag_rename.pattern: a ( is not closed",
            "b:15: processors.converter: has neither a table tags nor a table fields",
            "b:19: processors.converter.fields.timestamp_format: \"Jan\" is not available",
            "b:20: processors.converter.fields.integr: unknown option (nearest: \"integer\")",
            "b:21: processors.converter.tags: expected one table",
            "b:24: processors.tag_limit.keep: 1 tags to keep are more than limit allows, which is 0",
            "b:26: processors.defaults.tags.a: expected a string: tags are text",
            "b:28: aggregators.basicstats.stats: \"cout\" is not allowed",
            "b:29: aggregators.basicstats.period: 0s is out of range",
            "b:31: processors.rename.replace: expected [[processors.rename.replace]], found a string",
            "b:34: processors.defaults.fields.a: expected text, a number, true or false, found a list",
            "b:36: agent.skip_processors_after_aggregators: skip_processors_before_aggregators is true too",
        ]
        for line in expected {
            #expect(found.contains { $0.hasPrefix(line) }, "\(line)\n\(found.joined(separator: "\n"))")
        }
    }

    @Test("the order of files and lines is kept across plugins, and order goes before it")
    func order() throws {
        let config = try #require(
            report(
                "[[processors.override]]\nalias = \"1\"\n[[processors.dedup]]\nalias = \"2\"\n[[processors.override]]\nalias = \"3\"\n",
                files: [
                    "a": "[[processors.dedup]]\nalias = \"4\"\n[[processors.override]]\nalias = \"5\"\norder = -1\n"
                ]
            ).config)
        #expect(
            config.processors.map(\.id) == [
                "override::1", "dedup::2", "override::3", "dedup::4", "override::5",
            ])
        #expect(config.processors.map(\.order) == [0, 0, 0, 0, -1])
    }

    @Test("a change of one makes one change, and the fingerprint another")
    func differences() throws {
        func config(_ text: String) throws -> Config { try #require(report(text).config) }
        let old = try config(
            "[[processors.dedup]]\n[[aggregators.minmax]]\n[[processors.override]]\nname_suffix = \"a\"")
        let new = try config(
            "[[processors.dedup]]\n[[aggregators.minmax]]\nperiod = \"1s\"\n[[processors.override]]\nname_suffix = \"b\"\n"
                + "[[aggregators.merge]]")
        let diff = ConfigDiff(from: old, to: new)
        #expect(diff.processors.unchanged == ["dedup"])
        #expect(diff.processors.changed == ["override"])
        #expect(diff.aggregators.changed == ["minmax"])
        #expect(diff.aggregators.added == ["merge"])
        #expect(!diff.isEmpty)
        #expect(old.fingerprint != new.fingerprint)
        let moved = try config(
            "[[processors.override]]\nname_suffix = \"a\"\n[[aggregators.minmax]]\n[[processors.dedup]]")
        #expect(ConfigDiff(from: old, to: moved).processorsMoved)
        #expect(ConfigDiff(from: old, to: old).isEmpty)
        #expect(
            old.summary.contains("processors.override: order 0")
                && old.summary.contains("aggregators.minmax: every 30s"))
    }

    @Test("metric_buffer_limit makes room in the backlog, unless its size is set")
    func bufferLimit() throws {
        func spill(_ text: String) throws -> SpillSettings {
            try #require(report(text, files: ["a": "[[outputs.file]]\n"]).config).spill.settings
        }
        #expect(try spill("").bytesLimit == 512 << 20)
        #expect(try spill("[agent]\nmetric_buffer_limit = 10000000").bytesLimit == 2 * 10_000_000 * 256)
        #expect(
            try spill("[agent]\nmetric_buffer_limit = 10000000\n[spill]\nmaxbytes = \"1GiB\"").bytesLimit == 1 << 30)
        #expect(try spill("[agent]\nmetric_buffer_limit = 10000000").memoryBytes == 4 << 20)
        #expect(try spill("[agent]\nmetric_buffer_limit = 100000\n[spill]\nmode = \"off\"").memoryBytes == 51_200_000)
        #expect(try spill("[agent]\nmetric_buffer_limit = 1000000000\n[spill]\nmode = \"off\"").memoryBytes == 1 << 30)
    }
}
