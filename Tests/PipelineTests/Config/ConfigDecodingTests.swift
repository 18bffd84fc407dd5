import Testing

@testable import Pipeline

// Swift Testing has a Tag too.
private typealias Tag = Pipeline.Tag

/// Decodes text with the inputs of the first version.
enum ConfigSample {
    static let inputs = [
        PluginSpec(
            name: "cpu", summary: "",
            options: [
                OptionSpec("percpu", .bool(true), ""), OptionSpec("totalcpu", .bool(true), ""),
                OptionSpec("collect_cpu_time", .bool(false), ""), OptionSpec("report_active", .bool(false), ""),
                OptionSpec("core_tags", .bool(false), ""),
            ]),
        PluginSpec(name: "mem", summary: "", options: [OptionSpec("collect_extended", .bool(false), "")]),
        PluginSpec(
            name: "disk", summary: "",
            options: [
                OptionSpec("mount_points", .strings([]), ""), OptionSpec("ignore_fs", .strings([]), ""),
                OptionSpec("ignore_mount_opts", .strings([]), ""),
            ]),
        PluginSpec(
            name: "net", summary: "",
            options: [
                OptionSpec("interfaces", .strings([]), ""), OptionSpec("ignore_protocol_stats", .bool(false), ""),
            ]),
        PluginSpec(
            name: "system", summary: "",
            options: [
                OptionSpec("include", .strings(["legacy"]), "", choices: ["legacy", "load", "users", "os"]),
                OptionSpec("os_cache_ttl", .duration(.seconds(28_800)), ""),
                OptionSpec("dmi_cache_ttl", .duration(.seconds(28_800)), ""),
            ]),
    ]

    static func report(
        _ text: String, skipsUnknown: Bool = false, readableByOthers: Bool = false, allowsNoOutputs: Bool = false
    ) -> ConfigReport {
        let (tree, issues) = TOMLParser.parse(Array(text.utf8), file: "f")
        let decoder = ConfigDecoder(
            inputs: inputs, skipsUnknown: skipsUnknown, allowsNoOutputs: allowsNoOutputs,
            filesReadableByOthers: readableByOthers ? ["f"] : [])
        return decoder.decode(tree, issues: issues)
    }

    /// The config of a text that must be right; ends in `[[outputs.file]]` by itself.
    static func config(_ text: String, at place: SourceLocation = #_sourceLocation) throws -> Config {
        let report = report(text + "\n[[outputs.file]]\n")
        #expect(report.issues.filter { $0.severity == .error } == [], sourceLocation: place)
        return try #require(report.config, sourceLocation: place)
    }
}

@Suite("Decoding of the configuration")
struct ConfigDecodingTests {
    private func errors(_ text: String) -> [String] {
        ConfigSample.report(text).issues.filter { $0.severity == .error }.map(\.description)
    }

    @Test("thousands of instances of one plugin get an id each, without thousands of look-ups for each")
    func manyInstances() throws {
        let config = try ConfigSample.config(String(repeating: "[[inputs.cpu]]\n", count: 3_000))
        #expect(Set(config.inputs.map(\.id)).count == 3_000)
        #expect(config.inputs.last?.id == "cpu#3000")
    }

    @Test("an interval that would keep a core busy is an error")
    func tinyIntervals() {
        #expect(errors("[[inputs.cpu]]\ninterval = '1us'\n[[outputs.file]]\n").count == 1)
        #expect(errors("[[inputs.cpu]]\ninterval = '0s'\n[[outputs.file]]\n").isEmpty)
        #expect(errors("[[inputs.cpu]]\ninterval = '1ms'\n[[outputs.file]]\n").isEmpty)
        #expect(errors("[[inputs.cpu]]\n[[outputs.file]]\nflush_interval = '1ns'\n").count == 1)
    }

    @Test("what the file does not say has its default")
    func defaults() throws {
        let config = try ConfigSample.config("[[inputs.cpu]]")
        #expect(config.agent.interval == .seconds(10))
        #expect(config.agent.roundsInterval)
        #expect(config.agent.batchSize == 5_000)
        #expect(config.agent.logLevel == .info)
        #expect(config.spill.settings == SpillSettings())
        #expect(config.spill.replayBytesPerSecond == 1 << 20)
        #expect(config.status.isEnabled)
        #expect(config.status.clientLimit == 8)
        #expect(config.inputs.map(\.id) == ["cpu"])
        #expect(config.inputs[0].schedule == InputSchedule(interval: .seconds(10)))
        #expect(config.inputs[0].schedule.precision == .seconds(1))
        #expect(config.inputs[0].options.bool("percpu"))
        #expect(config.outputs.map(\.id) == ["file"])
        #expect(config.outputs[0].options.size("rotation_max_bytes") == 16 << 20)
        #expect(config.outputs[0].flush == FlushConfig(config.agent))
    }

    @Test("plugins inherit from the agent what they do not set")
    func inheritance() throws {
        let config = try ConfigSample.config(
            """
            [agent]
            interval = "60s"
            collection_jitter = "5s"
            precision = "10s"
            flush_interval = 30
            always_include_local_tags = true
            [[inputs.cpu]]
            [[inputs.mem]]
            interval = "100ms"
            collection_jitter = "0s"
            precision = "1ms"
            [[inputs.net]]
            time_source = "collection_end"
            [[outputs.influxdb]]
            flush_interval = "1s"
            metric_batch_size = 100
            """)
        let schedules = config.inputs.map(\.schedule)
        #expect(schedules[0].interval == .seconds(60))
        #expect(schedules[0].jitter == .seconds(5))
        #expect(schedules[0].precision == .seconds(10))
        #expect(schedules[1].interval == .milliseconds(100))
        #expect(schedules[1].jitter == .zero)
        #expect(schedules[1].precision == .milliseconds(1))
        #expect(schedules[2].precision == .zero)
        #expect(schedules[2].timeSource == .collectionEnd)
        #expect(config.inputs.allSatisfy { $0.metric.keepsLocalTags })
        #expect(config.outputs[0].flush == FlushConfig(interval: .seconds(1), batchSize: 100))
        #expect(config.outputs[1].flush == FlushConfig(interval: .seconds(30), batchSize: 5_000))
    }

    @Test("ids are stable and unique, aliases included")
    func ids() throws {
        let config = try ConfigSample.config(
            "[[inputs.cpu]]\n[[inputs.cpu]]\nalias = \"a\"\n[[inputs.cpu]]\n"
                + "[[inputs.cpu]]\nalias = \"a\"\n[[inputs.mem]]\nalias='../x y'"
        )
        #expect(config.inputs.map(\.id) == ["cpu", "cpu::a", "cpu#2", "cpu::a#2", "mem::../x y"])
        var output = config.outputs[0]
        output.id = "influxdb::../x y"
        #expect(output.folderName == "influxdb::%2E%2E%2Fx%20y")
    }

    @Test("old spellings: [inputs.cpu], [plugins.cpu], [tags], fieldpass, pass, fielddrop, drop")
    func oldSpellings() throws {
        let config = try ConfigSample.config(
            """
            [tags]
            rack = "r1"
            [inputs.cpu]
            fieldpass = ["a*"]
            pass = ["b*"]
            drop = ["c"]
            fieldexclude = ["d"]
            [plugins.mem]
            Collect_Extended = true
            """)
        #expect(config.globalTags == [Tag("rack", "r1")])
        #expect(config.inputs.map(\.id) == ["cpu", "mem"])
        #expect(config.inputs[0].metric.filter.fieldInclude.patterns == ["a*", "b*"])
        #expect(config.inputs[0].metric.filter.fieldExclude.patterns == ["c", "d"])
        #expect(config.inputs[1].options.bool("collect_extended"))
    }

    @Test("option names match without case and underscores")
    func names() throws {
        let config = try ConfigSample.config(
            "[agent]\nFlushInterval = \"3s\"\n[[inputs.cpu]]\nPerCPU = false\nname_Prefix = 'x_'")
        #expect(config.agent.flushInterval == .seconds(3))
        #expect(config.inputs[0].options.bool("percpu") == false)
        #expect(config.inputs[0].metric.namePrefix == "x_")
    }

    @Test("all errors at once, each with file, line, key, reason and the nearest name")
    func allErrors() {
        let text = """
            interval = "10s"
            [agnet]
            [agent]
            intervall = "10s"
            interval = "ten"
            flush_interval = "0s"
            metric_batch_size = 0
            collection_offset = "-1s"
            debug = "yes"
            logformat = "xml"
            [[inputs.cpu]]
            percpus = true
            [[inputs.cpuu]]
            [[inputs.diskio]]
            [[inputs.disk]]
            ignore_fs = "tmpfs"
            tagpass = ["a"]
            namepass = ["[a", "b*"]
            metricpass = "true"
            [[outputs.influxdb]]
            urls = ["udp://h:8089", "h:8086", "http://", "http://h:x"]
            database_tag = "db"
            content_encoding = "zip"
            [[outputs.influxdb.routes]]
            via = "proxy"
            url = "172.31.25.194:12345"
            [[outputs.influxdb.routes]]
            via = "pigeon"
            [spill]
            max_bytes = "lots"
            min_free_percent = 99
            [secretstores]
            """
        let found = errors(text)
        func expect(_ fragment: String, line: Int, at place: SourceLocation = #_sourceLocation) {
            #expect(
                found.contains { $0.hasPrefix("f:\(line): ") && $0.contains(fragment) }, "\(line): \(fragment)",
                sourceLocation: place)
        }
        expect("interval: an option must stand in a section", line: 1)
        expect("agnet: unknown section (nearest: \"agent\")", line: 2)
        expect("agent.intervall: unknown option (nearest: \"interval\")", line: 4)
        expect("agent.interval: expected a duration such as \"10s\", \"1m30s\" or \"500ms\", found \"ten\"", line: 5)
        expect("agent.flush_interval: 0s is out of range; allowed: 1ms to 87600h", line: 6)
        expect("agent.metric_batch_size: 0 is out of range; allowed: 1 to 1000000", line: 7)
        expect("agent.collection_offset: -1s is out of range", line: 8)
        expect("agent.debug: expected true or false, found \"yes\"", line: 9)
        expect("agent.logformat: \"xml\" is not allowed; allowed: \"text\", \"structured\"", line: 10)
        expect("inputs.cpu.percpus: unknown option (nearest: \"percpu\")", line: 12)
        expect("inputs.cpuu: unknown input; available: cpu, disk, mem, net, system (nearest: \"cpu\")", line: 13)
        expect("inputs.diskio: Telegraf's input \"diskio\" is not available in this version", line: 14)
        expect("inputs.disk.ignore_fs: expected a list of strings, found \"tmpfs\"", line: 16)
        expect("inputs.disk.tagpass: expected a table of lists of strings, found a list", line: 17)
        expect("inputs.disk.namepass: pattern \"[a\": a [ is not closed", line: 18)
        expect("inputs.disk.metricpass: expressions are not available in this version", line: 19)
        expect("UDP is not available", line: 21)
        expect("\"h:8086\" is no URL", line: 21)
        expect("the host is missing", line: 21)
        expect("the port must be a number", line: 21)
        expect("outputs.influxdb.database_tag: a database per tag is not available", line: 22)
        expect("outputs.influxdb.content_encoding: \"zip\" is not allowed", line: 23)
        expect("outputs.influxdb.routes.url: \"172.31.25.194:12345\" is no URL", line: 26)
        expect(
            "outputs.influxdb.routes.via: \"pigeon\" is not allowed; allowed: \"direct\", \"metadata\", \"proxy\"",
            line: 28)
        expect("spill.max_bytes: expected a size", line: 30)
        expect("spill.min_free_percent: 99 is out of range; allowed: 0 to 90", line: 31)
        expect("secretstores: this section is not available in this version", line: 32)
        #expect(found.count == 27, "\(found.joined(separator: "\n"))")
        #expect(ConfigSample.report(text).config == nil)
    }

    @Test("syntax errors and wrong options are reported together")
    func syntaxToo() {
        #expect(
            errors("[agent]\ninterval = 10x\ndebgu = true\n") == [
                "f:2: 10x is no valid number", "f:3: agent.debgu: unknown option (nearest: \"debug\")",
            ])
    }

    @Test("nothing to do is an error; outputs may be missing where they are not used")
    func nothingToDo() {
        #expect(errors("").count == 2)
        #expect(errors("[[outputs.file]]").first?.contains("no input is configured") == true)
        #expect(ConfigSample.report("[[inputs.cpu]]", allowsNoOutputs: true).config != nil)
    }

    @Test("an unknown plugin is one error per name, or skipped with one warning")
    func unknownPlugins() {
        let text =
            "[[inputs.diskio]]\n[[inputs.diskio]]\nx = 1\n[[inputs.cpu]]\n"
            + "[[outputs.file]]\n[[outputs.kafka]]\n[[processors.starlark]]\n"
        #expect(errors(text).count == 3)
        let report = ConfigSample.report(text, skipsUnknown: true)
        #expect(report.config?.inputs.map(\.id) == ["cpu"])
        #expect(report.issues.map(\.severity) == [.warning, .warning, .warning])
        #expect(Set(report.config?.skipped ?? []) == Set(report.issues.map(\.key)))
        #expect(report.issues.first?.description.hasPrefix("f:1: warning: inputs.diskio: ") == true)
    }

    @Test("an empty duration is none, as Telegraf takes it; where there must be one it is out of range")
    func emptyDuration() throws {
        let config = try ConfigSample.config("[agent]\nprecision = \"\"\n[[inputs.cpu]]\ninterval = \"\"")
        #expect(config.agent.precision == .zero)
        #expect(config.inputs[0].schedule.interval == .seconds(10))
        #expect(errors("[agent]\ninterval = \"\"\n[[inputs.cpu]]").first?.contains("out of range") == true)
    }

    @Test("wrong options of a known plugin are errors with skipping too")
    func skippingIsNotBlind() {
        #expect(ConfigSample.report("[[inputs.cpu]]\nx = 1\n[[outputs.file]]", skipsUnknown: true).config == nil)
    }

    @Test("Telegraf's options without effect are notes, and defaults of theirs are not even that")
    func notes() throws {
        let report = ConfigSample.report(
            "[agent]\nmetric_buffer_limit = 10000\nlogtarget = \"file\"\n"
                + "[[inputs.cpu]]\n[[outputs.influxdb]]\nprecision = \"s\"\n"
        )
        #expect(report.config != nil)
        #expect(
            report.issues.map(\.description) == [
                "f:3: note: agent.logtarget: has no effect: logfile decides it",
                "f:6: note: outputs.influxdb.precision: has no effect: it is always ns",
            ])
    }

    @Test("a number as a plugin's interval counts as seconds, with a warning")
    func bareNumbers() {
        let report = ConfigSample.report("[[inputs.cpu]]\ninterval = 5\n[[outputs.file]]")
        #expect(report.config?.inputs.first?.schedule.interval == .seconds(5))
        #expect(report.issues.map(\.severity) == [.warning])
    }

    @Test("secrets in the file work, warn where others can read them, and are never printed")
    func secrets() throws {
        let text = "[[inputs.cpu]]\n[[outputs.influxdb]]\nusername = 'u'\npassword = 'canary'\n"
        let report = ConfigSample.report(text, readableByOthers: true)
        let config = try #require(report.config)
        #expect(config.outputs[0].options.secret("password").revealed == "canary")
        #expect(report.issues.map(\.severity) == [.warning])
        #expect(ConfigSample.report(text).issues == [])
        var dumped = ""
        dump(report, to: &dumped)
        #expect(!"\(report) \(dumped) \(config.summary)".contains("canary"))
        for wrong in ["password = ['canary']", "password = 5\ntoken = { a = 'canary' }"] {
            let text = ConfigSample.report("[[inputs.cpu]]\n[[outputs.influxdb]]\n\(wrong)").issues.map(\.description)
            #expect(!text.isEmpty && !"\(text)".contains("canary"))
        }
    }

    @Test("options that exclude or need each other")
    func combinations() {
        func complaints(_ options: String) -> [String] { errors("[[inputs.cpu]]\n[[outputs.influxdb]]\n" + options) }
        #expect(complaints("password = 'a'\npassword_file = 'b'").count == 1)
        #expect(complaints("token = 'a'\nusername = 'b'").count == 1)
        #expect(complaints("tls_cert = 'a'").count == 1)
        #expect(complaints("urls = []").count == 1)
        #expect(complaints("http_headers = { 'A\\nB' = 'x' }").count == 0)
        #expect(complaints("http_headers = { 'A' = \"x\\ny\" }").count == 1)
        #expect(complaints("urls = ['http://[::1]:8086', 'https://u:p@h/x', 'unix:///run/x']").count == 0)
        #expect(complaints("urls = ['http://u:canary@/x']").first?.contains("canary") == false)
    }

    @Test("routes have names of their own, addresses, and TLS where it differs")
    func routeKinds() throws {
        let head = "[[inputs.cpu]]\n[[outputs.influxdb]]\nurls = ['https://a']\n"
        let text = """
            [[outputs.influxdb.routes]]
            via = "metadata"
            [[outputs.influxdb.routes]]
            via = "proxy"
            url = "https://u:p@[fd00::1]:12345/x?y=z"
            tls_server_name = "db"
            insecure_skip_verify = true
            [[outputs.influxdb.routes]]
            via = "proxy"
            url = "https://[fd00::1]:12345"
            [[outputs.influxdb.routes]]
            url = "https://b"
            """
        let output = try #require(ConfigSample.report(head + text).config).outputs[0]
        #expect(
            output.routes.map(\.id) == [
                "direct", "metadata", "proxy:[fd00::1]:12345", "proxy:[fd00::1]:12345#2", "direct#2",
            ])
        #expect(output.routes[1].urls == ["http://169.254.169.254/monitor"])
        #expect(output.routes.map(\.probesStrictly) == [false, true, true, true, false])
        #expect(output.routes.map(\.skipsVerification) == [nil, nil, true, nil, nil])
        #expect(output.routes[2].tlsServerName == "db")
        #expect(output.skipsVerification)
        let bad = errors(head + "[[outputs.influxdb.routes]]\nvia = 'proxy'\n")
        #expect(bad.contains { $0.contains("needs the url of the port") })
    }

    @Test("routes: the urls come first, unless a direct route says where")
    func routes() throws {
        func routes(_ text: String) throws -> [[String]] {
            let report = ConfigSample.report("[[inputs.cpu]]\n[[outputs.influxdb]]\nurls = ['http://a']\n" + text)
            return try #require(report.config).outputs[0].routes.map(\.urls)
        }
        #expect(try routes("") == [["http://a"]])
        #expect(try routes("[[outputs.influxdb.routes]]\nvia='direct'") == [["http://a"]])
        #expect(try routes("[[outputs.influxdb.routes]]\nurl='http://b'") == [["http://a"], ["http://b"]])
        #expect(
            try routes("[[outputs.influxdb.routes]]\nurl='http://b'\n[[outputs.influxdb.routes]]") == [
                ["http://b"], ["http://a"],
            ])
    }

    @Test("the platform's file as it is: one error for each plugin that does not exist, none else")
    func platformFile() throws {
        let report = ConfigSample.report(ConfigSample.platform)
        let missing = [
            "diskio", "kernel", "kernel_vmstat", "processes", "swap", "netstat", "nstat", "ntpq", "internal",
        ]
        #expect(report.issues.map(\.key) == missing.map { "inputs.\($0)" })
        let skipped = ConfigSample.report(ConfigSample.platform, skipsUnknown: true)
        let config = try #require(skipped.config)
        #expect(config.inputs.map(\.id) == ["cpu", "disk", "mem", "system", "net"])
        #expect(config.inputs.allSatisfy { $0.metric.namePrefix == "agent_" && $0.schedule.interval == .seconds(60) })
        #expect(config.outputs[0].options.strings("urls") == ["https://192.168.12.251:50041"])
        #expect(config.outputs[0].options.bool("insecure_skip_verify"))
    }

    @Test("host is a global tag unless omitted or set by hand")
    func hostTag() throws {
        #expect(try ConfigSample.config("[[inputs.cpu]]").globalTags(nodeName: "n") == [Tag("host", "n")])
        #expect(
            try ConfigSample.config("[agent]\nhostname='h'\n[[inputs.cpu]]").globalTags(nodeName: "n") == [
                Tag("host", "h")
            ])
        #expect(try ConfigSample.config("[agent]\nomit_hostname=true\n[[inputs.cpu]]").globalTags(nodeName: "n") == [])
        #expect(
            try ConfigSample.config("[global_tags]\nhost='x'\n[[inputs.cpu]]").globalTags(nodeName: "n") == [
                Tag("host", "x")
            ])
    }

    @Test("no tree of values makes the decoder trap")
    func fuzz() {
        let text = Array(
            (ConfigSample.platform
                + "[spill]\nmax_bytes='1GiB'\n[global_tags]\na='b'\n[[outputs.influxdb.routes]]\nvia='direct'\n").utf8)
        var random = SplitMix(seed: 13)
        let pieces = [
            "[[inputs.cpu]]", "[inputs]", "inputs = 1", "[[inputs]]", "cpu = 1", "[agent.x]", "interval = {}",
            "tags = {a=1}",
            "routes = [1]", "routes = 1", "urls = [[1]]", "[outputs]", "file = [1, 2]", "interval = nan",
            "interval = 1e400",
            "max_bytes = -1", "[[agent]]", "[tags]", "a = []", "tagpass = {a=['[']}", "interval = '9999999999h'",
            "[[plugins]]", "[plugins.cpu]",
        ]
        for round in 0..<3_000 {
            var changed = text
            if round % 2 == 0 {
                for _ in 0..<3 {
                    changed[Int.random(in: 0..<changed.count, using: &random)] = UInt8.random(
                        in: 9...126, using: &random)
                }
            } else {
                let lines = changed.split(separator: UInt8(ascii: "\n"))
                let cut = Int.random(in: 0...lines.count, using: &random)
                changed = Array(lines[..<cut].joined(separator: [10])) + [10]
                for _ in 0..<3 { changed += Array((pieces.randomElement(using: &random) ?? "").utf8) + [10] }
                changed += Array(lines[cut...].joined(separator: [10]))
            }
            let report = ConfigSample.report(String(decoding: changed, as: UTF8.self), skipsUnknown: round % 3 == 0)
            #expect((report.config == nil) == report.issues.hasErrors)
        }
    }
}

extension ConfigSample {
    /// The file that the platform's first agent ran with.
    static let platform = """
        [agent]
          interval = "60s"
          flush_interval = "60s"
        [[outputs.influxdb]]
          urls = ["https://192.168.12.251:50041"]
          database = "telegraf"
          insecure_skip_verify = true
        [[inputs.cpu]]
          name_prefix = "agent_"
          percpu = true
          totalcpu = true
          collect_cpu_time = false
          report_active = true
        [[inputs.disk]]
          name_prefix = "agent_"
          ignore_fs = ["tmpfs", "devtmpfs", "overlay", "squashfs", "iso9660"]
        [[inputs.diskio]]
          name_prefix = "agent_"
          skip_serial_number = false
        [[inputs.kernel]]
          name_prefix = "agent_"
        [[inputs.kernel_vmstat]]
          name_prefix = "agent_"
        [[inputs.mem]]
          name_prefix = "agent_"
        [[inputs.processes]]
          name_prefix = "agent_"
        [[inputs.swap]]
          name_prefix = "agent_"
        [[inputs.system]]
          name_prefix = "agent_"
        [[inputs.net]]
          name_prefix = "agent_"
        [[inputs.netstat]]
          name_prefix = "agent_"
        [[inputs.nstat]]
          name_prefix = "agent_"
        [[inputs.ntpq]]
          name_prefix = "agent_"
          dns_lookup = false
        [[inputs.internal]]
          name_prefix = "agent_"
          collect_memstats = false

        """
}
