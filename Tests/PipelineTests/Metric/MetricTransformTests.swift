import Testing

@testable import Pipeline

// Swift Testing has a Tag too.
private typealias Tag = Pipeline.Tag

@Suite("Metric transforms")
struct MetricTransformTests {
    private func options(_ build: (inout MetricOptions) throws -> Void) rethrows -> MetricOptions {
        var options = MetricOptions()
        try build(&options)
        return options
    }

    private func tagPatterns(_ key: String, _ patterns: [String]) throws -> MetricFilter.TagPatterns {
        MetricFilter.TagPatterns(key: key, values: try PatternList(patterns))
    }

    @Test("namepass sees the original name, the prefix comes afterwards")
    func namesAfterSelection() throws {
        let transform = MetricTransform(
            try options {
                $0.filter.namePass = try PatternList(["disk*"])
                $0.namePrefix = "agent_"
                $0.nameSuffix = "_x"
            }, globalTags: [], stage: .input)
        #expect(transform.apply(name: "disk", tags: [])?.name == "agent_disk_x")
        #expect(transform.apply(name: "diskio", tags: [])?.name == "agent_diskio_x")
        #expect(transform.apply(name: "swap", tags: []) == nil)
        #expect(transform.apply(name: "agent_disk", tags: []) == nil)
    }

    @Test("an override comes before prefix and suffix")
    func override() {
        let transform = MetricTransform(
            options {
                $0.nameOverride = "load"
                $0.namePrefix = "a_"
                $0.nameSuffix = "_b"
            }, globalTags: [], stage: .input)
        #expect(transform.apply(name: "system", tags: [])?.name == "a_load_b")
    }

    @Test("namepass and namedrop together: pass and not drop")
    func passAndDrop() throws {
        let transform = MetricTransform(
            try options {
                $0.filter.namePass = try PatternList(["cpu*"])
                $0.filter.nameDrop = try PatternList(["cpu_x"])
            }, globalTags: [], stage: .input)
        #expect(transform.apply(name: "cpu", tags: []) != nil)
        #expect(transform.apply(name: "cpu_x", tags: []) == nil)
        #expect(transform.apply(name: "mem", tags: []) == nil)
    }

    @Test("the separator row of the shared fixtures")
    func separators() throws {
        let transform = MetricTransform(
            try options {
                $0.filter.namePass = try PatternList(["foo.*.bar", "foo.*.abc.*.bar"], separators: ".,")
            }, globalTags: [], stage: .input)
        for name in ["foo..bar", "foo.abc.bar", "foo..abc..bar", "foo.xyz.abc.xyz-xyz.bar"] {
            #expect(transform.apply(name: name, tags: []) != nil, "\(name)")
        }
        for name in ["foo.bar", "foo.abc,.bar", "foo..abc.bar", "foo.abc.abc.bar", "foo.xyz.abc.xyz.xyz.bar"] {
            #expect(transform.apply(name: name, tags: []) == nil, "\(name)")
        }
    }

    @Test("tagpass needs any of its tags with a matching value; tagdrop wins")
    func tags() throws {
        let transform = MetricTransform(
            try options {
                $0.filter.tagPass = [try tagPatterns("zone", ["a*"]), try tagPatterns("cpu", ["cpu0"])]
                $0.filter.tagDrop = [try tagPatterns("state", ["off"])]
            }, globalTags: [], stage: .input)
        #expect(transform.apply(name: "m", tags: [Tag("zone", "a1")]) != nil)
        #expect(transform.apply(name: "m", tags: [Tag("cpu", "cpu0"), Tag("zone", "b")]) != nil)
        #expect(transform.apply(name: "m", tags: [Tag("zone", "b1")]) == nil)
        #expect(transform.apply(name: "m", tags: []) == nil)
        #expect(transform.apply(name: "m", tags: [Tag("state", "off"), Tag("zone", "a1")]) == nil)
    }

    @Test("data beat plugin tags, plugin tags beat global tags")
    func precedence() {
        let transform = MetricTransform(
            options { $0.tags = [Tag("a", "plugin"), Tag("b", "plugin")] },
            globalTags: [Tag("a", "global"), Tag("b", "global"), Tag("c", "global")], stage: .input)
        let tags = transform.apply(name: "m", tags: [Tag("a", "data"), Tag("z", "data")])?.tags
        #expect(tags == [Tag("a", "data"), Tag("b", "plugin"), Tag("c", "global"), Tag("z", "data")])
    }

    @Test("tagdrop on a global tag has no effect at an input, tagexclude has")
    func hostTag() throws {
        let host = [Tag("host", "h1")]
        let drop = MetricTransform(
            try options { $0.filter.tagDrop = [try tagPatterns("host", ["*"])] }, globalTags: host, stage: .input)
        #expect(drop.apply(name: "m", tags: [])?.tags == host)
        let exclude = MetricTransform(
            try options { $0.filter.tagExclude = try PatternList(["host"]) }, globalTags: host, stage: .input)
        #expect(exclude.apply(name: "m", tags: [])?.tags == [])
    }

    @Test("tags are put back after the filter only where the agent says so")
    func keptTags() throws {
        var built = try options {
            $0.tags = [Tag("local", "1")]
            $0.filter.tagInclude = try PatternList(["cpu"])
        }
        let global = [Tag("global", "1")]
        func keys(_ options: MetricOptions) -> [String]? {
            MetricTransform(options, globalTags: global, stage: .input)
                .apply(name: "m", tags: [Tag("cpu", "0"), Tag("x", "1")])?.tags.map(\.key)
        }
        #expect(keys(built) == ["cpu"])
        built.keepsLocalTags = true
        #expect(keys(built) == ["cpu", "local"])
        built.keepsGlobalTags = true
        #expect(keys(built) == ["cpu", "global", "local"])
    }

    @Test("fields: include first, then exclude")
    func fields() throws {
        let transform = MetricTransform(
            try options {
                $0.filter.fieldInclude = try PatternList(["used*"])
                $0.filter.fieldExclude = try PatternList(["used_percent"])
            }, globalTags: [], stage: .input)
        #expect(transform.keepsField("used"))
        #expect(!transform.keepsField("used_percent"))
        #expect(!transform.keepsField("free"))
        #expect(!transform.keepsAllFields)
        #expect(MetricTransform(MetricOptions(), globalTags: [], stage: .input).keepsAllFields)
    }

    @Test("an output adds no tags, selects by the full name and all tags, and renames last")
    func output() throws {
        let transform = MetricTransform(
            try options {
                $0.namePrefix = "db_"
                $0.filter.namePass = try PatternList(["agent_*"])
                $0.filter.tagPass = [try tagPatterns("host", ["h1"])]
            }, globalTags: [Tag("rack", "r")], stage: .output)
        let result = transform.apply(name: "agent_cpu", tags: [Tag("host", "h1")])
        #expect(result?.name == "db_agent_cpu")
        #expect(result?.tags == [Tag("host", "h1")])
        #expect(transform.apply(name: "cpu", tags: [Tag("host", "h1")]) == nil)
    }

    @Test("without options everything passes as it is, with sorted tags")
    func plain() {
        let transform = MetricTransform(MetricOptions(), globalTags: [Tag("host", "h")], stage: .input)
        let result = transform.apply(name: "cpu", tags: [Tag("cpu", "cpu0")])
        #expect(result?.name == "cpu")
        #expect(result?.tags == [Tag("cpu", "cpu0"), Tag("host", "h")])
    }
}
