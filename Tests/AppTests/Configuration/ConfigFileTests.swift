import Glibc
import Pipeline
import Testing

@testable import App

/// A folder that goes away with its owner.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/godwit-config-XXXXXX".utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit { remove(path) }

    private func remove(_ path: String) {
        if let handle = opendir(path) {
            var names: [String] = []
            while let entry = readdir(handle) {
                names.append(
                    withUnsafePointer(to: &entry.pointee.d_name) {
                        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                    })
            }
            closedir(handle)
            for name in names where name != "." && name != ".." { remove("\(path)/\(name)") }
            rmdir(path)
        } else {
            unlink(path)
        }
    }

    /// Writes a file below the folder, parents made; returns its path.
    @discardableResult
    func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        var parent = path
        for part in name.split(separator: "/").dropLast() {
            parent += "/\(part)"
            mkdir(parent, 0o700)
        }
        let file = "\(path)/\(name)"
        let descriptor = open(file, O_CREAT | O_WRONLY | O_TRUNC, mode)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        fchmod(descriptor, mode)
        let bytes = Array(text.utf8)
        try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
        return file
    }
}

@Suite("Configuration files")
struct ConfigFileTests {
    private let decoder = ConfigDecoder(inputs: KnownPlugins.inputs)

    private func load(
        _ file: String?, _ directories: [String] = [], main: String = "/nonexistent",
        _ environment: [String: String] = [:]
    ) -> ConfigReport {
        ConfigFile.load(
            ConfigPaths(file: file, directories: directories), decoder: decoder, main: main, environment: environment)
    }

    @Test("a missing file is an error that names it")
    func missing() {
        let report = load("/nonexistent/x.toml")
        #expect(report.issues.first?.description == "/nonexistent/x.toml: there is no such file")
        #expect(report.config == nil)
    }

    @Test("a folder, and a file that is too large, are errors")
    func notFiles() throws {
        let folder = try TemporaryFolder()
        #expect(load(folder.path).issues.first?.message == "is a directory; use --config-directory")
        let large = try folder.write("large.toml", String(repeating: "#", count: 5 << 20))
        #expect(load(large).issues.first?.message.contains("larger than 4MiB") == true)
        #expect(load("/dev/null").issues.allSatisfy { $0.message.contains("is configured") })
    }

    @Test("folders are read in path order, sub-folders too, hidden versions and other names not")
    func directories() throws {
        let folder = try TemporaryFolder()
        try folder.write("20.conf", "[[inputs.mem]]\n")
        try folder.write("10.toml", "[[inputs.cpu]]\n[agent]\ninterval = '1s'\n")
        try folder.write("15/a.conf", "[[inputs.net]]\n[agent]\ninterval = '2s'\n")
        try folder.write("..data/hidden.conf", "broken")
        try folder.write("readme.md", "broken")
        try folder.write("30.conf", "[[outputs.file]]\n")
        let report = load(nil, [folder.path])
        let config = try #require(report.config)
        #expect(config.inputs.map(\.plugin) == ["cpu", "net", "mem"])
        #expect(config.agent.interval == .seconds(2))
        #expect(report.issues.count == 1)
        #expect(
            report.issues.first?.description.hasSuffix(
                "15/a.conf:3: warning: agent.interval: replaces the value from \(folder.path)/10.toml:3") == true)
    }

    @Test("the default file is read only when nothing is named")
    func defaultFile() throws {
        let folder = try TemporaryFolder()
        let main = try folder.write("main.toml", "[[inputs.cpu]]\n[[outputs.file]]\n")
        try folder.write("d/a.conf", "[[inputs.mem]]\n[[outputs.file]]\n")
        #expect(load(nil, main: main).config?.inputs.map(\.plugin) == ["cpu"])
        #expect(load(nil, ["\(folder.path)/d"], main: main).config?.inputs.map(\.plugin) == ["mem"])
        #expect(load(main, ["\(folder.path)/d"]).config?.inputs.map(\.plugin) == ["cpu", "mem"])
    }

    @Test("errors of all files come in one report, in the order of files and lines")
    func allFiles() throws {
        let folder = try TemporaryFolder()
        try folder.write("a.conf", "[agent]\nx = 1\ny = 2\n")
        try folder.write("b.conf", "[[inputs.cpu]]\nz = 3\nq = \n")
        let report = load(nil, [folder.path, "/nonexistent"])
        #expect(report.issues.map(\.origin.line) == [0, 2, 3, 2, 3])
        #expect(report.config == nil)
    }

    @Test("environment variables fill strings and cannot add keys")
    func environment() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "a.toml",
            "[global_tags]\nrack = '$RACK'\n[[inputs.cpu]]\n"
                + "[[outputs.influxdb]]\nurls = ['${URL:-http://d:1}']\npassword = '$PW'\n",
            mode: 0o644)
        let report = load(file, [], ["RACK": "r\"\n[agent]", "PW": "canary"])
        let config = try #require(report.config)
        #expect(config.globalTags.first?.value == "r\"\n[agent]")
        #expect(config.outputs[0].options.strings("urls") == ["http://d:1"])
        #expect(report.issues == [])
    }

    @Test("a literal secret warns only in a file that others can read")
    func secretModes() throws {
        let folder = try TemporaryFolder()
        let text = "[[inputs.cpu]]\n[[outputs.influxdb]]\npassword = 'canary'\n"
        #expect(load(try folder.write("open.toml", text, mode: 0o644)).issues.map(\.severity) == [.warning])
        #expect(load(try folder.write("closed.toml", text, mode: 0o600)).issues == [])
    }

    @Test("a secret file that others can read is an error, one that is not there is none")
    func secretFiles() throws {
        let folder = try TemporaryFolder()
        func issues(_ token: String) throws -> [ConfigIssue] {
            let text = "[[inputs.cpu]]\n\n[[outputs.influxdb]]\ntoken_file = '\(token)'\n"
            return load(try folder.write("a.toml", text)).issues
        }
        let found = try issues(try folder.write("open", "canary", mode: 0o644))
        #expect(found.map(\.severity) == [.error])
        #expect(found.first?.key == "outputs.influxdb.token_file" && found.first?.origin.line == 3)
        #expect(found.first?.message.contains("0600") == true)
        #expect(try issues(try folder.write("closed", "canary", mode: 0o600)) == [])
        #expect(try issues(folder.path + "/absent") == [])
    }

    @Test("an unverified connection is a warning")
    func unverified() throws {
        let folder = try TemporaryFolder()
        let text = "[[inputs.cpu]]\n[[outputs.influxdb]]\ninsecure_skip_verify = true\n"
        let report = load(try folder.write("a.toml", text))
        #expect(report.issues.map(\.severity) == [.warning] && report.config != nil)
    }

    @Test("check --json holds every issue and the summary")
    func json() throws {
        let report = ConfigFile.load(
            text: "[agent]\nintervall = 1\n[[inputs.cpu]]\n[[outputs.file]]\n", decoder: decoder)
        let text = String(decoding: Check.json(report).encoded(), as: UTF8.self)
        #expect(
            text
                == #"{"ok":false,"issues":[{"severity":"error","file":"config.toml","line":2,"#
                + #""key":"agent.intervall","message":"unknown option","nearest":"interval"}],"summary":[]}"#
        )
    }

    @Test("control characters of a hostile file do not reach the terminal")
    func terminal() {
        let report = ConfigFile.load(text: "\"\\u001b[31m\\n\" = 1\n", decoder: decoder)
        #expect(report.issues.allSatisfy { !$0.description.utf8.contains { $0 < 0x20 } })
        #expect(!report.issues.isEmpty)
    }
}
