import Testing

@testable import Pipeline

@Suite("Differences of configurations")
struct ConfigDiffTests {
    private func diff(_ old: String, _ new: String) throws -> ConfigDiff {
        ConfigDiff(from: try ConfigSample.config(old), to: try ConfigSample.config(new))
    }

    @Test("the same text is no difference, comments and order of keys aside")
    func same() throws {
        let diff = try diff("[agent]\ninterval='10s'\n[[inputs.cpu]]\npercpu=true\n", "# x\n[[inputs.cpu]]\n")
        #expect(diff.isEmpty)
        #expect(!diff.needsRestart)
        #expect(diff.inputs.unchanged == ["cpu"])
        #expect(diff.outputs.unchanged == ["file"])
    }

    @Test("plugins are removed, added, changed or unchanged")
    func plugins() throws {
        let diff = try diff(
            "[[inputs.cpu]]\n[[inputs.mem]]\n[[inputs.net]]\n",
            "[[inputs.mem]]\ncollect_extended=true\n[[inputs.net]]\n[[inputs.disk]]\n")
        #expect(diff.inputs.removed == ["cpu"])
        #expect(diff.inputs.changed == ["mem"])
        #expect(diff.inputs.unchanged == ["net"])
        #expect(diff.inputs.added == ["disk"])
        #expect(!diff.agentChanged)
    }

    @Test("what is inherited from the agent changes those who inherit it")
    func inherited() throws {
        let diff = try diff(
            "[[inputs.cpu]]\n[[inputs.mem]]\ninterval='5s'\n",
            "[agent]\ninterval='20s'\n[[inputs.cpu]]\n[[inputs.mem]]\ninterval='5s'\n")
        #expect(diff.agentChanged)
        #expect(diff.inputs.changed == ["cpu"])
        #expect(diff.inputs.unchanged == ["mem"])
        #expect(diff.outputs.isEmpty)
    }

    @Test("tags and host show as changed tags")
    func tags() throws {
        #expect(try diff("[[inputs.cpu]]", "[global_tags]\na='b'\n[[inputs.cpu]]").globalTagsChanged)
        #expect(try diff("[[inputs.cpu]]", "[agent]\nhostname='b'\n[[inputs.cpu]]").globalTagsChanged)
        #expect(try !diff("[[inputs.cpu]]", "[agent]\nquiet=true\n[[inputs.cpu]]").globalTagsChanged)
    }

    @Test("places that open files depend on wait for a restart, limits do not")
    func restarts() throws {
        let moved = try diff("[[inputs.cpu]]", "[agent]\nstate_directory='/x'\n[spill]\ndirectory='/y'\n[[inputs.cpu]]")
        #expect(moved.restartKeys == ["agent.state_directory", "spill.directory"])
        #expect(moved.needsRestart)
        let limits = try diff("[[inputs.cpu]]", "[spill]\nmax_bytes='1GiB'\n[[inputs.cpu]]")
        #expect(limits.spillChanged && !limits.needsRestart)
        // The status server lives as long as the process.
        #expect(
            try diff("[[inputs.cpu]]", "[status]\nmax_clients=4\n[[inputs.cpu]]").restartKeys == ["status.max_clients"])
    }
}

@Suite("Merging of files")
struct ConfigMergeTests {
    private func merge(_ texts: String...) -> (tree: ConfigNode, issues: [ConfigIssue]) {
        ConfigMerge.merge(texts.enumerated().map { TOMLParser.parse(Array($1.utf8), file: "f\($0)").tree })
    }

    @Test("plugins accumulate, tags merge, a later option wins with a warning")
    func accumulate() throws {
        let (tree, issues) = merge(
            "[agent]\ninterval='10s'\ndebug=true\n[global_tags]\na='1'\n[[inputs.cpu]]\n",
            "[agent]\ninterval='20s'\ndebug=true\n[global_tags]\n"
                + "b='2'\n[inputs.cpu]\n[[inputs.mem]]\n[[outputs.file]]\n"
        )
        #expect(issues.map(\.description) == ["f1:2: warning: agent.interval: replaces the value from f0:2"])
        let report = ConfigDecoder(inputs: ConfigSample.inputs).decode(tree, issues: issues)
        let config = try #require(report.config)
        #expect(config.agent.interval == .seconds(20))
        #expect(config.globalTags.map(\.key) == ["a", "b"])
        #expect(config.inputs.map(\.id) == ["cpu", "cpu#2", "mem"])
        #expect(report.origins["inputs.cpu#2"] == ConfigOrigin(file: "f1", line: 6))
    }

    @Test("files that contradict each other in kind do not trap")
    func contradictions() {
        for (first, second) in [
            ("agent=1", "[agent]\na=1"), ("[[agent]]", "[agent]"), ("[inputs]\ncpu=1", "[[inputs.cpu]]"), ("", "a=1"),
        ] {
            let (tree, issues) = merge(first, second)
            _ = ConfigDecoder(inputs: ConfigSample.inputs).decode(tree, issues: issues)
        }
        #expect(ConfigMerge.merge([]).tree.entries.isEmpty)
    }
}
