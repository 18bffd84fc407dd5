import Glibc
import Testing

@testable import App
@testable import Pipeline

/// `config.toml` against the declarations in the code.
@Suite("The documented default")
struct DefaultConfigTests {
    /// One `key = value` of the file, in use or behind a `#`.
    private struct Entry {
        var line: Int
        var value: String
        /// The default, where the value in use is another.
        var fallback: String?
    }

    private static let path =
        #filePath.split(separator: "/").dropLast(4).reduce(into: "") { $0 += "/" + $1 } + "/config.toml"

    private func text() throws -> String {
        let file = try #require(fopen(DefaultConfigTests.path, "r"))
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    /// All entries by section; `inputs.NAME` holds what every input takes.
    private func entries() throws -> [String: [String: Entry]] {
        var result: [String: [String: Entry]] = [:]
        var section = ""
        for (index, raw) in try text().split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = raw.hasPrefix("# ") ? raw.dropFirst(2) : raw
            if line.hasPrefix("["), let end = line.lastIndex(of: "]") {
                section = line[...end].filter { $0 != "[" && $0 != "]" }
                #expect(result.updateValue([:], forKey: section) == nil, "[\(section)] stands twice")
                continue
            }
            let parts = line.split(separator: " ", maxSplits: 2)
            guard parts.count == 3, parts[1] == "=", parts[0].allSatisfy({ $0.isLowercase || $0.isNumber || $0 == "_" })
            else {
                continue
            }
            let fallback = parts[2].firstRange(of: "# default: ").map { String(parts[2][$0.upperBound...]) }
            let entry = Entry(line: index + 1, value: String(parts[2]), fallback: fallback)
            #expect(
                result[section, default: [:]].updateValue(entry, forKey: String(parts[0])) == nil,
                "\(section).\(parts[0])")
        }
        return result
    }

    private func sections() -> [String: [OptionSpec]] {
        var all = [
            "global_tags": [], "agent": SectionSpecs.agent, "spill": SectionSpecs.spill, "status": SectionSpecs.status,
            "inputs.NAME": SectionSpecs.commonInput, "outputs.NAME": SectionSpecs.commonOutput,
            "outputs.influxdb.routes": OutputSpecs.route, "tunnels": TunnelSpecs.tunnel,
            "forwards": TunnelSpecs.forward, "metadata_relay": RelaySpecs.section,
            "pushprox.proxy": PushProxSpecs.proxy, "pushprox.proxy.listeners": PushProxSpecs.listener,
            "pushprox.proxy.names": PushProxSpecs.name, "pushprox.client": PushProxSpecs.client,
            "pushprox.client.proxies": PushProxSpecs.clientProxy,
            "pushprox.client.targets": PushProxSpecs.clientTarget,
        ]
        for plugin in KnownPlugins.inputs {
            all["inputs.\(plugin.name)"] = plugin.options
            for table in plugin.subtables { all["inputs.\(plugin.name).\(table.name)"] = table.options }
        }
        for plugin in KnownPlugins.outputs { all["outputs.\(plugin.name)"] = plugin.options }
        for (group, plugins, common) in [
            ("processors", ProcessorSpecs.all, ProcessorSpecs.common),
            ("aggregators", AggregatorSpecs.all, AggregatorSpecs.common),
        ] {
            all["\(group).NAME"] = common
            for plugin in plugins {
                all["\(group).\(plugin.name)"] = plugin.options
                for table in plugin.subtables { all["\(group).\(plugin.name).\(table.name)"] = table.options }
            }
        }
        return all
    }

    @Test("every declared option stands in config.toml with its default, and nothing else does")
    func complete() throws {
        let written = try entries()
        let declared = sections()
        #expect(Set(written.keys) == Set(declared.keys))
        for (section, specs) in declared {
            let found = written[section] ?? [:]
            #expect(Set(found.keys) == Set(specs.map(\.name)), "[\(section)]")
            for spec in specs {
                guard let entry = found[spec.name] else { continue }
                let (tree, issues) = TOMLParser.parse(
                    Array("x = \(entry.fallback ?? entry.value)\n".utf8), file: "config.toml")
                #expect(issues == [], "\(section).\(spec.name)")
                let reader = OptionReader(path: "", specs: [OptionSpec("x", spec.fallback, "")])
                var complaints: [ConfigIssue] = []
                let value = reader.read(tree.entries, &complaints).values["x"]
                #expect(value == spec.fallback, "line \(entry.line): \(section).\(spec.name)")
            }
        }
    }

    @Test("it runs as it is: five inputs and the file output, without a word of complaint")
    func runs() throws {
        let report = ConfigFile.load(
            ConfigPaths(file: DefaultConfigTests.path), decoder: ConfigDecoder(inputs: KnownPlugins.inputs),
            environment: [:])
        #expect(report.issues == [])
        let config = try #require(report.config)
        #expect(Set(config.inputs.map(\.id)).isSuperset(of: ["cpu", "mem", "disk", "net", "system"]))
        #expect(config.outputs.map(\.id) == ["file"])
    }

    @Test("what is commented out runs too, when the # is taken away")
    func commentedSections() throws {
        var lines: [Substring] = []
        for line in try text().split(separator: "\n") {
            guard line.hasPrefix("# ") else {
                lines.append(line)
                continue
            }
            let bare = line.dropFirst(2)
            let parts = bare.split(separator: " ", maxSplits: 2)
            let isEntry =
                parts.count == 3 && parts[1] == "="
                && parts[0].allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" }
            let isPlugin =
                [
                    "[[inputs.", "[[processors.", "[processors.", "[[aggregators.", "[[outputs.", "[[tunnels",
                    "[[forwards", "[metadata_relay", "[pushprox", "[[pushprox",
                ]
                .contains { bare.hasPrefix($0) } && !bare.contains(".NAME]]")
            if isPlugin || isEntry { lines.append(bare) }
            // The options of every plugin may stand in any.
            if bare.hasPrefix("[[inputs.NAME") { lines.append("[[inputs.mem]]") }
            if bare.hasPrefix("[[processors.NAME") { lines.append("[[processors.dedup]]") }
            if bare.hasPrefix("[[aggregators.NAME") { lines.append("[[aggregators.minmax]]") }
            if bare.hasPrefix("[[outputs.NAME") { lines.append("[[outputs.file]]") }
        }
        let report = ConfigFile.load(
            text: lines.joined(separator: "\n"), decoder: ConfigDecoder(inputs: KnownPlugins.inputs))
        #expect(report.issues == [])
        let outputs = ["file", "file#2", "influxdb", "influxdb_v2", "prometheus_client", "prometheus_remote_write"]
        #expect(report.config?.outputs.map(\.id) == outputs)
    }

    @Test("every option has a sentence, and choices and bounds hold its default")
    func declarations() {
        for (section, specs) in sections() {
            #expect(Set(specs.map { NearestName.normalized($0.name) }).count == specs.count, "[\(section)]")
            for spec in specs {
                #expect(spec.summary.hasSuffix("."), "\(section).\(spec.name)")
                if !spec.choices.isEmpty, case .string(let value) = spec.fallback {
                    #expect(spec.choices.contains(value), "\(section).\(spec.name)")
                }
            }
        }
        for section in ["agent", "spill", "status"] {
            let specs = sections()[section] ?? []
            let text = "[\(section)]\n" + specs.map { "\($0.name) = \($0.fallback.text)" }.joined(separator: "\n")
            let report = ConfigFile.load(
                text: text + "\n[[inputs.cpu]]\n[[outputs.file]]\n", decoder: ConfigDecoder(inputs: KnownPlugins.inputs)
            )
            #expect(report.issues == [], "[\(section)]")
        }
    }
}
